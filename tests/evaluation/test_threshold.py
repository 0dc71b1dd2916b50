"""The advised threshold between two classes: the best balanced accuracy on validation, unless 0.5 is as good."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.core.errors import HeadstartError
from headstart.evaluation.threshold import advise_threshold, threshold_advice, threshold_figures


def two_columns(second: np.ndarray | list[float]) -> np.ndarray:
    return np.stack([1 - np.asarray(second), second], axis=1)


def test_the_threshold_separates_the_classes_in_the_middle_of_the_gap() -> None:
    labels = np.repeat([0, 1], [40, 40])
    second = np.concatenate([np.linspace(0.01, 0.1, 40), np.linspace(0.2, 0.3, 40)])
    assert advise_threshold(labels, two_columns(second)) == pytest.approx(0.15)
    assert advise_threshold(1 - labels, two_columns(1 - second)) == pytest.approx(0.85)


def test_of_equally_good_thresholds_the_one_nearest_to_a_half_is_taken() -> None:
    labels, second = np.array([0, 0, 1, 1]), [0.1, 0.2, 0.7, 0.9]
    assert advise_threshold(labels, two_columns(second)) == 0.5


def test_a_gain_that_may_be_chance_leaves_the_threshold_at_a_half() -> None:
    labels = np.array([0] * 10 + [1] * 10)
    second = np.array([0.1] * 10 + [0.45] + [0.9] * 9)  # one image of twenty is better below 0.45
    assert advise_threshold(labels, two_columns(second)) == 0.5
    many = np.tile(labels, 20), two_columns(np.tile(second, 20))
    assert advise_threshold(*many) == pytest.approx(0.275)


def test_a_rare_class_gets_a_lower_threshold_which_holds_for_other_images() -> None:
    generator = np.random.default_rng(0)

    def draw(images: int) -> tuple[np.ndarray, np.ndarray]:
        labels = (generator.random(images) < 0.1).astype(int)
        logits = 2 * generator.normal(2 * labels - 1, 1) / 1 + np.log(0.1 / 0.9)  # calibrated
        return labels, two_columns(1 / (1 + np.exp(-logits)))

    validation, test = draw(500), draw(5000)
    advice = threshold_advice({"validation": validation, "test": test}, ("common", "rare"))
    assert advice is not None
    assert advice.second_class == "rare"
    assert advice.threshold < 0.3
    for split in ("validation", "test"):
        assert advice.at_threshold[split].balanced_accuracy > advice.at_half[split].balanced_accuracy + 0.05


def test_figures_at_a_threshold_by_hand() -> None:
    found = threshold_figures(np.array([0, 0, 0, 1]), two_columns([0.1, 0.4, 0.6, 0.4]), 0.3)
    assert (found.accuracy, found.balanced_accuracy) == (0.5, pytest.approx((1 / 3 + 1) / 2))
    assert (found.precision, found.recall) == (pytest.approx(1 / 3), 1.0)
    assert threshold_figures(np.array([0, 0]), two_columns([0.1, 0.2]), 0.5).recall is None


def test_a_half_gives_the_likelier_class() -> None:
    probabilities = two_columns(np.random.default_rng(0).random(50))
    labels = probabilities.argmax(axis=1)
    assert threshold_figures(labels, probabilities, 0.5).accuracy == 1.0


def test_without_two_classes_or_images_of_both_there_is_nothing_to_choose() -> None:
    assert advise_threshold(np.array([1, 1]), two_columns([0.1, 0.9])) == 0.5
    three = np.full((3, 3), 1 / 3)
    assert threshold_advice({"validation": (np.arange(3), three)}, ("a", "b", "c")) is None
    assert threshold_advice({}, ("a", "b")) is None
    with pytest.raises(HeadstartError, match="empty split"):
        advise_threshold(np.array([], int), np.zeros((0, 2)))
