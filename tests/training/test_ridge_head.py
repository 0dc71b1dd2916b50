"""A ridge regression in blocks gives the head that scikit-learn would give with all features in memory."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from headstart.data.rows import InMemory
from headstart.training import ridge_head
from headstart.training.linear_head import LinearClassifier
from headstart.training.ridge import fit_ridge, spectrum
from headstart.training.ridge_head import fit_on_every_depth, fit_ridge_head

DEPTHS = (slice(0, 6), slice(6, 30))


def blobs(each: int = 20, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return features of overlapping classes, on scales that differ a hundredfold and far from zero."""
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(classes), each)
    features = generator.normal(0, 1, (classes, 30))[labels] + generator.normal(0, 1.5, (len(labels), 30))
    scales = np.geomspace(0.1, 10, 30)
    return (features * scales + 20 * scales).astype(np.float32), labels


def fit(features: np.ndarray, labels: np.ndarray, class_weights: np.ndarray | None = None) -> LinearClassifier:
    weights = np.ones(labels.max() + 1) if class_weights is None else class_weights
    return fit_ridge_head(InMemory(features), DEPTHS, labels, weights, seed=0)


def scaled(features: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return features with weighted mean 0 and variance 1 / channels of the depth."""
    mean = np.average(features, axis=0, weights=weights)
    deviation = np.sqrt(np.average((features - mean) ** 2, axis=0, weights=weights))
    channels = np.concatenate([np.full(depth.stop - depth.start, depth.stop - depth.start) for depth in DEPTHS])
    return (features - mean) / deviation / channels**0.5


@pytest.mark.parametrize("class_weights", [np.ones(3), np.array([1.0, 4.0, 0.5])])
def test_the_head_is_the_ridge_regression_of_scikit_learn(class_weights: np.ndarray) -> None:
    features, labels = blobs()
    weights = class_weights[labels]
    fitted = fit(features, labels, class_weights)
    values = scaled(features.astype(np.float64), weights)
    squares = np.linalg.svd(np.sqrt(weights)[:, None] * values, compute_uv=False) ** 2
    expected = Ridge(alpha=fitted.regularisation * squares.mean()).fit(values, np.eye(3)[labels], weights)
    scores = features @ fitted.kernel + fitted.bias
    plain = expected.predict(values)
    temperature = (scores[:, 0] - scores[:, 1]).std() / (plain[:, 0] - plain[:, 1]).std()
    difference = scores - scores.mean(1, keepdims=True) - temperature * (plain - plain.mean(1, keepdims=True))
    assert np.abs(difference).max() < 1e-3 * temperature


def test_leaving_each_image_out_by_hand_gives_the_same_predictions_and_the_best_strength() -> None:
    features, labels = blobs(each=6)
    values = scaled(features.astype(np.float64), np.ones(len(labels)))
    left, squares = spectrum(values)
    fit_ = fit_ridge(left, squares, labels, classes=3)
    by_hand = np.empty((len(labels), 3))
    for image in range(len(labels)):
        others = np.arange(len(labels)) != image
        model = Ridge(alpha=fit_.strength * squares.mean()).fit(values[others], np.eye(3)[labels[others]])
        by_hand[image] = model.predict(values[image : image + 1])[0]
    np.testing.assert_allclose(fit_.left_out, by_hand, atol=1e-6)
    assert fit_.accuracy(labels) == (by_hand.argmax(axis=1) == labels).mean()


def test_more_images_than_landmarks_give_nearly_the_same_head(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = blobs(each=100)  # more than a block
    whole = fit(features, labels)
    monkeypatch.setattr(ridge_head, "LANDMARKS", 40)
    few = fit(features, labels)  # 40 images span all 30 features
    assert few.accuracy == whole.accuracy
    np.testing.assert_allclose(features @ few.kernel + few.bias, features @ whole.kernel + whole.bias, atol=0.02)


def test_landmarks_cover_rare_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ridge_head, "LANDMARKS", 10)
    labels = np.array([0] * 500 + [1] * 3 + [2] * 100)
    chosen = ridge_head._landmarks(labels, seed=0)
    assert np.bincount(labels[chosen]).tolist() in ([4, 3, 3], [3, 3, 4])


def test_channels_that_never_change_get_no_weight_that_matters() -> None:
    features, labels = blobs()
    features[:, 3] = 7.0
    fitted = fit(features, labels)
    moved = features.copy()
    moved[:, 3] += 1e-6
    assert np.isfinite(fitted.kernel).all()
    assert np.abs((moved - features) @ fitted.kernel).max() < 1e-3


def test_the_last_depth_alone_is_fitted_for_comparison() -> None:
    features, labels = blobs()
    fitted = fit_on_every_depth(InMemory(features), DEPTHS, labels, np.ones(3), seed=0)
    alone = fit_ridge_head(InMemory(features[:, DEPTHS[-1]]), (slice(0, 24),), labels, np.ones(3), seed=0)
    assert fitted.last_depth_accuracy == alone.accuracy
    np.testing.assert_array_equal(fitted.kernel, fit(features, labels).kernel)
    one = fit_on_every_depth(InMemory(features), (slice(0, 30),), labels, np.ones(3), seed=0)
    assert one.last_depth_accuracy is None
