"""The scenario of a data set follows from the number of images and from the depth of the best probe."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.results.codec import from_plain, to_plain
from headstart.results.scenario import ImagesPerClass, SplitPointProbe
from headstart.scenario.square import (
    FEW_BELOW,
    Placement,
    find_placement,
    gain_p_value,
    summarize_imagenet_predictions,
)

SPLIT_POINTS = 5


def placed(right: list[int], per_class: int = 10, images: int = 100) -> Placement:
    """Return the placement of data of which each probe gets the first so many images right."""
    correct = np.arange(images) < np.array(right)[:, None]
    probes = [
        SplitPointProbe(
            split_point=f"point{place}", depth=(place + 1) / SPLIT_POINTS, channels=8, accuracy=count / images
        )
        for place, count in enumerate(right)
    ]
    return find_placement(np.array([per_class, per_class, per_class + 1]), probes, correct, None, "no classifier", 0.34)


@pytest.mark.parametrize(
    ("right", "per_class", "cell"),
    [
        ([40, 60, 80, 90, 95], FEW_BELOW - 1, "small_similar"),
        ([40, 60, 80, 90, 95], FEW_BELOW, "large_similar"),
        ([40, 60, 95, 90, 70], FEW_BELOW - 1, "small_different"),
        ([40, 60, 95, 90, 70], FEW_BELOW, "large_different"),
        ([40, 60, 80, 93, 90], 10, "small_similar"),  # three images more are no proof
        ([100, 100, 100, 100, 100], 10, "small_similar"),  # of equals the deepest one
        ([0, 0, 0, 0, 0], 10, "small_similar"),
    ],
)
def test_the_cell(right: list[int], per_class: int, cell: str) -> None:
    placement = placed(right, per_class)
    assert placement.cell == cell
    size, similarity = cell.split("_")
    assert placement.why[0].endswith(f"{size}.")
    assert placement.why[1].endswith(f"{similarity}.")
    assert "no classifier" in placement.why[2]


def test_the_evidence() -> None:
    placement = placed([40, 60, 95, 90, 70])
    assert (placement.best.split_point, placement.last.split_point) == ("point2", "point4")
    assert placement.chance_of_gain == pytest.approx(4 * 0.5**25)  # 25 images to none, chosen from four split points
    assert "point2 (60 % of the depth) gets 95.0 % right, at the last split point, point4, 70.0 %" in placement.why[1]
    assert placement.images_per_class == ImagesPerClass(median=10, least=10, most=11)
    assert placement.probes[0] == SplitPointProbe(split_point="point0", depth=0.2, channels=8, accuracy=0.4)
    assert from_plain(Placement, to_plain(placement)) == placement  # as it is stored
    assert placed([1, 2, 3, 4, 5]).chance_of_gain is None


def test_a_gain_is_tested_on_the_images_that_differ() -> None:
    better, worse = np.arange(1000) < 910, np.arange(1000) < 900
    assert gain_p_value(better, worse, 1) == pytest.approx(0.5**10)
    assert gain_p_value(better, worse, 30) == pytest.approx(30 * 0.5**10)
    assert gain_p_value(better, better, 1) == gain_p_value(worse, better, 30) == 1
    even = np.arange(1000) % 2 == 0
    assert gain_p_value(even, ~even, 1) > 0.4


def test_equal_probes_are_seldom_called_different() -> None:
    """All probes are equally good and independent: no more than one data set in twenty may be called different."""
    generator = np.random.default_rng(0)
    called = 0
    for _ in range(300):
        correct = generator.random((12, 200)) < 0.8
        probes = [
            SplitPointProbe(split_point=str(point), depth=(point + 1) / 12, channels=8, accuracy=float(row.mean()))
            for point, row in enumerate(correct)
        ]
        called += find_placement(np.array([100, 100]), probes, correct, None, "", 0.5).cell == "small_different"
    assert called <= 300 * 0.05


def test_imagenet_predictions_are_summarised() -> None:
    probabilities = np.array([[1, 0, 0, 0], [0.25, 0.25, 0.25, 0.25], [0, 0, 0.5, 0.5], [1, 0, 0, 0]])
    view = summarize_imagenet_predictions(probabilities, ("cat", "dog", "owl", "fox"))
    assert view.confidence == pytest.approx((1 + 0.25 + 0.5 + 1) / 4)
    assert view.entropy == pytest.approx((0 + 1 + 0.5 + 0) / 4, abs=1e-6)
    assert view.labels == (("cat", 0.75), ("owl", 0.25))
