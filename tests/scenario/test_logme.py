"""LogME equals the evidence maximised by a general optimizer, and has its invariances."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from headstart.scenario.logme import log_maximum_evidence


def made_up(count: int, columns: int, classes: int, apart: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(count)
    labels = generator.permutation(np.arange(count) % classes)
    return generator.normal(size=(count, columns)) + apart * np.eye(classes, columns)[labels], labels


def largest_evidence(features: np.ndarray, target: np.ndarray) -> float:
    """Return the largest log density of a target that is normal with covariance I / beta + F F' / alpha, per image."""
    count = len(target)

    def negative(logarithms: np.ndarray) -> float:
        alpha, beta = np.exp(logarithms)
        covariance = np.eye(count) / beta + features @ features.T / alpha
        _, log_determinant = np.linalg.slogdet(covariance)
        return 0.5 * (count * np.log(2 * np.pi) + log_determinant + target @ np.linalg.solve(covariance, target))

    options = {"xatol": 1e-8, "fatol": 1e-10, "maxiter": 4000}
    starts = [(0.0, 0.0), (3.0, 3.0), (-2.0, 2.0)]
    return -min(minimize(negative, start, method="Nelder-Mead", options=options).fun for start in starts) / count


@pytest.mark.parametrize(("count", "columns", "classes"), [(40, 6, 3), (30, 60, 2), (50, 10, 4)])
def test_logme_is_the_maximum_of_the_evidence(count: int, columns: int, classes: int) -> None:
    features, labels = made_up(count, columns, classes)
    expected = np.mean([largest_evidence(features, (labels == label).astype(float)) for label in range(classes)])
    assert log_maximum_evidence(features, labels, classes) == pytest.approx(expected, abs=1e-7)


def test_a_rotation_or_another_scale_of_the_features_changes_nothing() -> None:
    features, labels = made_up(60, 8, 3)
    expected = log_maximum_evidence(features, labels, 3)
    rotation, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(8, 8)))
    assert log_maximum_evidence(features @ rotation, labels, 3) == pytest.approx(expected, abs=1e-9)
    assert log_maximum_evidence(1000 * features, labels, 3) == pytest.approx(expected, abs=1e-9)
    doubled = np.concatenate([features, features], axis=1)  # the same directions, of half the rank
    assert log_maximum_evidence(doubled, labels, 3) == pytest.approx(expected, abs=1e-7)


def test_better_features_rank_higher_and_noise_is_not_rewarded() -> None:
    scores = [log_maximum_evidence(*made_up(90, 8, 3, apart), 3) for apart in (0.0, 1.0, 3.0)]
    assert scores == sorted(scores)
    assert scores[2] - scores[0] > 0.1
    features, labels = made_up(90, 8, 3)
    noise = np.random.default_rng(2).normal(size=(90, 300))  # with which least squares would fit any labels exactly
    with_noise = np.concatenate([features, noise], axis=1)
    assert log_maximum_evidence(with_noise, labels, 3) < log_maximum_evidence(features, labels, 3)
    shuffled = np.random.default_rng(3).permutation(labels)
    assert log_maximum_evidence(features, shuffled, 3) < log_maximum_evidence(features, labels, 3)


def test_useless_and_perfect_features_give_a_finite_score() -> None:
    labels = np.arange(12) % 3
    for features in (np.zeros((12, 4)), np.ones((12, 4)), np.eye(12), np.eye(3)[labels]):
        assert np.isfinite(log_maximum_evidence(features, labels, 3))
