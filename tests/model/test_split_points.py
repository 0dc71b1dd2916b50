"""Cuts are found from the graph alone, and both halves share their variables."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from headstart.core.errors import HeadstartError
from headstart.model.split_points import find_split_points, last_split_point_before, split_at


@pytest.fixture
def residual() -> keras.Model:
    """Return a model with a residual connection: nothing between `first` and `sum` carries everything."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 3), name="images")
    first = keras.layers.Conv2D(4, 3, padding="same", name="first")(inputs)
    x = keras.layers.Conv2D(4, 3, padding="same", name="inside")(first)
    x = keras.layers.ReLU(name="inside_relu")(x)
    x = keras.layers.Add(name="sum")([x, first])
    return keras.Model(inputs, keras.layers.Conv2D(2, 1, name="last")(x))


def images() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2, 6, 6, 3)).astype("float32")


def test_finds_the_layers_whose_output_alone_determines_the_rest(residual: keras.Model) -> None:
    assert [split_point.name for split_point in find_split_points(residual)] == ["first", "sum", "last"]


def test_split_points_stay_the_same_after_splitting_and_calling(residual: keras.Model) -> None:
    split_at(residual, "sum")
    split_at(residual, "first")
    residual(keras.Input((6, 6, 3)))
    assert [split_point.name for split_point in find_split_points(residual)] == ["first", "sum", "last"]


@pytest.mark.parametrize("name", ["first", "sum", "last"])
def test_halves_compose_to_the_same_numbers(residual: keras.Model, name: str) -> None:
    prefix, suffix = split_at(residual, name)
    np.testing.assert_allclose(np.asarray(suffix(prefix(images()))), np.asarray(residual(images())), rtol=1e-6)


def test_halves_share_variables_with_the_whole(residual: keras.Model) -> None:
    prefix, suffix = split_at(residual, "sum")
    before = np.asarray(residual(images()))
    residual.get_layer("last").kernel.assign_add(np.ones((1, 1, 4, 2)))
    after = np.asarray(residual(images()))
    assert not np.allclose(before, after)
    np.testing.assert_allclose(np.asarray(suffix(prefix(images()))), after, rtol=1e-6)
    assert len(prefix.weights) + len(suffix.weights) == len(residual.weights)


@pytest.mark.parametrize(
    ("layer", "expected"), [("first", None), ("inside", "first"), ("sum", "first"), ("last", "sum")]
)
def test_last_split_point_before_a_layer(residual: keras.Model, layer: str, expected: str | None) -> None:
    split_point = last_split_point_before(residual, layer)
    assert (split_point.name if split_point else None) == expected


def test_a_plain_sum_is_a_split_point() -> None:
    inputs = keras.Input((4,))
    x = keras.layers.Dense(4, name="first")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, name="last")(x + keras.layers.Dense(4)(x)))
    split_points = find_split_points(model)
    assert [type(split_point).__name__ for split_point in split_points] == ["Dense", "Add", "Dense"]
    prefix, suffix = split_at(model, split_points[1].name)
    values = np.ones((1, 4), "float32")
    np.testing.assert_allclose(np.asarray(suffix(prefix(values))), np.asarray(model(values)), rtol=1e-6)


def test_other_layers_are_refused(residual: keras.Model) -> None:
    with pytest.raises(HeadstartError, match="Received: inside"):
        split_at(residual, "inside")
