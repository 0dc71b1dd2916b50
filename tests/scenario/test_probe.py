"""The probe equals a regression fitted without each image in turn."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.scenario.probe import probe
from headstart.training.ridge import STRENGTHS


def made_up(count: int, columns: int, classes: int = 3, apart: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(count + columns)
    labels = generator.permutation(np.arange(count) % classes)
    return generator.normal(size=(count, columns)) + apart * np.eye(classes, columns)[labels], labels


def left_out_one_by_one(features: np.ndarray, labels: np.ndarray, classes: int, strength: float) -> np.ndarray:
    """Return the outputs of ridge regressions for the image that each was fitted without, (n, classes)."""
    standard = (features - features.mean(axis=0)) / features.std(axis=0)
    values = np.linalg.svd(standard, compute_uv=False) ** 2
    ridge = strength * values[values > 1e-9 * values.max()].mean()
    one_hot, said = np.eye(classes)[labels], []
    for position in range(len(labels)):
        others = np.arange(len(labels)) != position
        inputs, outputs = standard[others], one_hot[others]
        centre, mean = inputs.mean(axis=0), outputs.mean(axis=0)
        inner = (inputs - centre).T @ (inputs - centre) + ridge * np.eye(features.shape[1])
        weights = np.linalg.solve(inner, (inputs - centre).T @ (outputs - mean))
        said.append((standard[position] - centre) @ weights + mean)
    return np.array(said)


@pytest.mark.parametrize(("count", "columns"), [(40, 6), (24, 60)])  # more images than features, and fewer
def test_the_probe_agrees_with_leaving_out_each_image(count: int, columns: int) -> None:
    features, labels = made_up(count, columns)
    result = probe(features, labels, 3)
    errors = {}
    for strength in STRENGTHS:
        said = left_out_one_by_one(features, labels, 3, strength)
        errors[float(strength)] = float(((said - np.eye(3)[labels]) ** 2).mean())
        if strength == result.strength:
            np.testing.assert_array_equal(said.argmax(axis=1) == labels, result.correct)
    assert result.strength == min(errors, key=errors.get)
    assert result.accuracy == result.correct.mean()


def test_the_probe_separates_classes_and_does_not_overfit_many_features() -> None:
    features, labels = made_up(120, 10, apart=4)
    assert probe(features, labels, 3).accuracy > 0.9
    noise = np.random.default_rng(0).normal(size=(120, 400))  # any labels can be fitted exactly
    assert probe(noise, labels, 3).accuracy < 0.5


def test_scale_and_constant_features_do_not_matter() -> None:
    features, labels = made_up(60, 8)
    expected = probe(features, labels, 3).correct
    changed = np.concatenate([features * np.logspace(-3, 3, 8), np.full((60, 2), 7.0)], axis=1)
    np.testing.assert_array_equal(probe(changed, labels, 3).correct, expected)
    nothing = probe(np.ones((6, 4)), np.array([0, 0, 0, 0, 1, 1]), 2)
    assert nothing.accuracy == pytest.approx(4 / 6)  # the largest class


def test_a_class_with_one_image_is_not_known_when_it_is_left_out() -> None:
    features, labels = made_up(20, 5, apart=5)
    labels[0] = 3
    assert not probe(features, labels, 4).correct[0]
