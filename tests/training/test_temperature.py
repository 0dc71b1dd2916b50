"""One factor on the scores makes probabilities fit labels, and folding it into the head changes nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from tiny import SIZE, pictures, tiny_network

from headstart.evaluation.metrics import evaluate
from headstart.model.heads import class_probabilities, class_scores, scale_logits
from headstart.training.temperature import best_factor, cross_entropy, smoothing_for


def drawn(factor: float, images: int = 3000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return scores that are too large by a factor, and labels drawn from the probabilities before it."""
    generator = np.random.default_rng(seed)
    scores = generator.normal(0, 2, (images, 4))
    return scores * factor, np.array([generator.choice(4, p=row) for row in softmax(scores, axis=1)])


@pytest.mark.parametrize("factor", [0.3, 1.0, 4.0])
def test_the_factor_undoes_scores_that_are_too_large_or_too_small(factor: float) -> None:
    scores, labels = drawn(factor)
    found = best_factor(scores[None], labels, smoothing_for(len(labels)))
    assert found == pytest.approx(1 / factor, rel=0.06)
    fresh, truth = drawn(factor, seed=1)
    before, after = (evaluate(truth, softmax(fresh * one, axis=1), list("abcd")) for one in (1.0, found))
    assert after.accuracy == before.accuracy
    assert after.calibration_error < 0.03
    if factor != 1:
        assert after.calibration_error < before.calibration_error / 3
        assert after.log_loss < before.log_loss


def test_scores_that_are_right_for_every_image_stay_open_to_mistakes() -> None:
    labels = np.arange(60) % 3
    scores = 2.0 * np.eye(3)[labels]
    sure, open_to_mistakes = best_factor(scores[None], labels), best_factor(scores[None], labels, smoothing_for(60))
    assert sure > 10
    confidence = softmax(scores * open_to_mistakes, axis=1).max(axis=1)
    np.testing.assert_allclose(confidence, 61 / 62, atol=1e-3)  # as if one more image of 62 were wrong


def test_smoothed_cross_entropy_is_that_of_smoothed_targets() -> None:
    scores, labels = drawn(1.0, 20)
    targets = np.full((20, 4), 0.1 / 3)
    targets[np.arange(20), labels] = 0.9
    by_hand = -(targets * np.log(softmax(scores, axis=1))).sum(axis=1).mean()
    assert cross_entropy(scores[None], labels, 0.1) == pytest.approx(by_hand)


def test_two_views_are_fitted_as_the_average_of_their_probabilities() -> None:
    scores, labels = drawn(3.0, 200)
    views = np.stack([scores, scores + np.random.default_rng(2).normal(0, 3, scores.shape)])
    averaged = softmax(views * 0.4, axis=2).mean(axis=0)
    by_hand = -np.log(averaged[np.arange(200), labels]).mean()
    assert cross_entropy(views * 0.4, labels) == pytest.approx(by_hand)
    factor = best_factor(views, labels)
    found = [cross_entropy(views * one, labels) for one in (0.8 * factor, factor, 1.2 * factor)]
    assert found[1] == min(found)


@pytest.mark.parametrize(
    ("classes", "head"),
    [(3, {}), (2, {"output": "sigmoid"}), (3, {"units": 8, "batch_norm": True, "dropout": 0.5, "pooling": "flatten"})],
)
def test_a_folded_temperature_gives_the_probabilities_of_the_scaled_logits(classes: int, head: dict) -> None:
    network = tiny_network(classes=classes, **head)
    images = (
        pictures(12, classes=classes)[0]
        if classes == 3
        else np.random.default_rng(0).uniform(0, 255, (12, SIZE, SIZE, 3))
    )
    logits = class_scores(network.with_logits().classifier(images))
    plain = class_probabilities(network.classifier(images))
    np.testing.assert_allclose(softmax(logits, axis=1), plain, atol=1e-6)
    scale_logits(network.head, 1 / 2.5)
    folded = class_probabilities(network.classifier(images))
    np.testing.assert_allclose(folded, softmax(logits / 2.5, axis=1), atol=1e-6)
    np.testing.assert_array_equal(folded.argmax(axis=1), plain.argmax(axis=1))
    assert np.abs(folded - plain).max() > 1e-4
