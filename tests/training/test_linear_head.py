"""The linear classifier of scikit-learn is folded into the head without changing a prediction."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from conftest import TINY
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from tiny import tiny_network

from headstart.config import compose
from headstart.core.errors import HeadstartError
from headstart.model.heads import class_probabilities
from headstart.training.linear_head import (
    GRID,
    ITERATIONS,
    LinearClassifier,
    check_linear_head,
    fit_linear_head,
    linear_fit,
    set_head,
)

KINDS = ["logistic_regression", "svm"]
FEATURES = 64  # of the small network's backbone


def blobs(classes: int, each: int = 20, seed: int = 0, spread: float = 4.0) -> tuple[np.ndarray, np.ndarray]:
    """Return features of overlapping classes, on scales that differ a thousandfold and far from zero."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), each)
    centers = generator.normal(0, 1, (classes, FEATURES))
    features = centers[labels] + generator.normal(0, spread, (len(labels), FEATURES))
    scales = np.geomspace(0.03, 30, FEATURES)
    return (features * scales + 100 * scales).astype(np.float32), labels


def fit(kind: str, features: np.ndarray, labels: np.ndarray, seed: int = 0) -> LinearClassifier:
    classes = int(labels.max()) + 1
    return fit_linear_head(kind, features, labels, np.ones(classes, np.float32), seed)


def pipeline(kind: str, strength: float, weights: dict[int, float] | None = None) -> Pipeline:
    """Return scikit-learn's own classifier of standardised features."""
    shared = {"C": strength, "max_iter": ITERATIONS, "random_state": 0, "class_weight": weights}
    model = LogisticRegression(**shared) if kind == "logistic_regression" else LinearSVC(**shared)
    return make_pipeline(StandardScaler(), model)


def answers(fitted: LinearClassifier, features: np.ndarray, classes: int, output: str = "softmax") -> np.ndarray:
    """Return the probabilities that the head's output layer gives."""
    network = tiny_network(classes=classes, output=output)
    set_head(network.head, fitted)
    layer = network.head.get_layer("output")
    return class_probabilities(keras.ops.convert_to_numpy(layer(features)))


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_the_folded_layer_predicts_what_the_pipeline_predicts(kind: str, classes: int) -> None:
    features, labels = blobs(classes)
    fresh, truth = blobs(classes, each=100)
    fitted = fit(kind, features, labels)
    assert fitted.regularisation in GRID[kind]
    reference = pipeline(kind, fitted.regularisation).fit(features.astype(np.float64), labels)
    probabilities = answers(fitted, fresh, classes)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), reference.predict(fresh.astype(np.float64)))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert 1 / classes + 0.2 < np.mean(probabilities.argmax(axis=1) == truth) < 1
    if kind == "logistic_regression":
        np.testing.assert_allclose(probabilities, reference.predict_proba(fresh.astype(np.float64)), atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_one_sigmoid_gives_the_same_probabilities_as_two_outputs(kind: str) -> None:
    features, labels = blobs(2)
    fitted = fit(kind, features, labels)
    two, one = (answers(fitted, features, 2, output) for output in ("softmax", "sigmoid"))
    np.testing.assert_allclose(one, two, atol=1e-5)


def test_the_probabilities_of_a_support_vector_machine_are_calibrated() -> None:
    features, labels = blobs(3, each=60)
    fresh, truth = blobs(3, each=400, seed=0)
    probabilities = answers(fit("svm", features, labels), fresh, 3)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    assert abs(confidence.mean() - right.mean()) < 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_class_weights_change_the_fit(kind: str) -> None:
    features, labels = blobs(2, each=40)
    weights = np.array([1.0, 10.0], np.float32)
    fitted = fit_linear_head(kind, features, labels, weights, seed=0)
    reference = pipeline(kind, fitted.regularisation, {0: 1.0, 1: 10.0}).fit(features.astype(np.float64), labels)
    chosen = answers(fitted, features, 2).argmax(axis=1)
    np.testing.assert_array_equal(chosen, reference.predict(features.astype(np.float64)))
    assert chosen.sum() > answers(fit(kind, features, labels), features, 2).argmax(axis=1).sum()


@pytest.mark.parametrize("kind", ["svm", pytest.param("logistic_regression", marks=pytest.mark.slow)])
def test_the_same_seed_gives_the_same_head(kind: str) -> None:
    features, labels = blobs(3)
    first, again = fit(kind, features, labels), fit(kind, features, labels)
    np.testing.assert_array_equal(again.kernel, first.kernel)
    np.testing.assert_array_equal(again.bias, first.bias)
    assert again.accuracy == first.accuracy
    assert len({fit(kind, features, labels, seed).accuracy for seed in range(8)}) > 1  # the folds are the seed's


@pytest.mark.parametrize("kind", KINDS)
def test_constant_features_and_few_images_are_accepted(kind: str) -> None:
    features, labels = blobs(2, each=2)
    features[:, :5] = 3
    fitted = fit(kind, features, labels)
    assert np.isfinite(fitted.kernel).all()
    assert np.isfinite(fitted.bias).all()
    assert 0 <= fitted.accuracy <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_class_with_one_image_is_refused(kind: str) -> None:
    features, labels = blobs(2, each=5)
    with pytest.raises(HeadstartError, match=f"two training images of every class to fit {kind}. Received: 1 of one"):
        fit(kind, features[:6], labels[:6])


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (("head.units=8",), r"head\.units=null.*Received: 8"),
        (("head.batch_norm=true",), r"head\.batch_norm=false.*True"),
        (("freeze=scratch",), r"Received: freeze=scratch, which starts with all; freeze=all fits"),
        (("augmentation=flip",), r"Expected augmentation=none.*Received: augmentation=flip"),
        (("augmentation.mixup=0.2",), r"Expected augmentation=none.*which changes or mixes images"),
        (("label_smoothing=0.1",), r"Expected label_smoothing=0.*Received: 0\.1"),
        (("find_lr=true",), r"Expected find_lr=true with.*Received: head=svm"),
    ],
)
def test_heads_that_scikit_learn_cannot_fit_are_refused(overrides: tuple[str, ...], says: str) -> None:
    with pytest.raises(HeadstartError, match=says):
        check_linear_head(compose([*TINY, "head=svm", "freeze=all", *overrides]))


def test_later_stages_may_augment_and_smooth() -> None:
    check_linear_head(compose([*TINY, "head=svm", "freeze=last_block", "augmentation=flip", "label_smoothing=0.1"]))
    check_linear_head(compose([*TINY, "head=linear", "freeze=scratch", "augmentation=flip", "find_lr=true"]))


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (("head=dense512",), r"Expected freeze\.stages\.0\.fit=logistic_regression on pooled.*Received: 512"),
        (
            ("freeze.stages.1.fit=svm",),
            r"freeze\.stages\.1\.fit=svm in a stage that trains the head.*last_blocks",
        ),
        (("find_lr=true",), r"Received: freeze\.stages\.0\.fit=logistic_regression, which is solved"),
        (("freeze.stages.1.train=head", "freeze.stages.1.fit=svm", "augmentation=flip"), r"Expected augmentation=none"),
    ],
)
def test_an_exact_stage_is_refused_where_it_cannot_be_solved(overrides: tuple[str, ...], says: str) -> None:
    with pytest.raises(HeadstartError, match=says):
        check_linear_head(compose([*TINY, "freeze=linear_probe_then_finetune", *overrides]))


def test_an_exact_stage_goes_with_dropout_and_before_stages_that_augment_and_smooth() -> None:
    more = ["head.dropout=0.3", "augmentation=flip", "label_smoothing=0.1"]
    check_linear_head(compose([*TINY, "freeze=linear_probe_then_finetune", *more]))


def test_the_kind_of_a_stage_s_fit_is_the_stage_s_own_and_else_the_head_s() -> None:
    config = compose([*TINY, "freeze=linear_probe_then_finetune"])
    kinds = [linear_fit(config.head, stage) for stage in config.freeze.stages]
    assert kinds == ["logistic_regression", None]
    config = compose([*TINY, "freeze=last_block", "head=svm", "freeze.stages.0.fit=gradient"])
    assert [linear_fit(config.head, stage) for stage in config.freeze.stages] == [None, None]
    config = compose([*TINY, "freeze=last_block", "head=svm"])
    assert [linear_fit(config.head, stage) for stage in config.freeze.stages] == ["svm", None]
