"""Heads that are solved on frozen features, not trained by gradients: logistic regression and a linear SVM.

The fitted model, including its scaling, is folded into the weights of the head's only dense layer. The classifier stays
a plain Keras model that later stages can fine-tune, and nothing has to be pickled.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.config import Config, HeadConfig, HeadOnly, StageConfig
from headstart.config.train_targets import target_text, write_target
from headstart.core.errors import HeadstartError
from headstart.data.augmentation import Augmentation
from headstart.training.temperature import best_factor, cross_entropy

if TYPE_CHECKING:
    import keras

# Inverse strength of regularisation: each step ten times weaker, around the values that suit standardised features.
GRID = {"logistic_regression": (1e-4, 1e-3, 1e-2, 1e-1, 1.0), "svm": (1e-6, 1e-5, 1e-4, 1e-3, 1e-2)}
FOLDS = 5
ITERATIONS = 5000


@dataclass(frozen=True)
class LinearClassifier:
    """A linear classifier whose probabilities are `softmax(features @ kernel + bias)`."""

    kind: str  # logistic_regression, svm or ridge
    kernel: np.ndarray  # (features, classes)
    bias: np.ndarray  # (classes,)
    regularisation: float  # that cross-validation chose: C, or the relative strength of a ridge regression
    accuracy: float  # in cross-validation, at that strength
    converged: bool
    last_depth_accuracy: float | None = None  # likewise, of a fit on the last depth alone; None if there is one depth


def linear_fit(head: HeadConfig, stage: StageConfig) -> str | None:
    """Return the linear classifier that is solved in a stage; None for a stage that learns by gradients.

    Args:
        head: says how to fit it in stages that do not say so themselves.
        stage: one that trains more than the head always learns by gradients.
    """
    kind = stage.fit or head.fit
    return kind if kind != "gradient" and isinstance(stage.train, HeadOnly) else None


def epochs_of(stage: StageConfig, head: HeadConfig) -> int:
    """Return how many epochs a stage has at most; a head that is solved counts as one.

    Args:
        stage: of the schedule.
        head: see `linear_fit`.
    """
    return stage.epochs if linear_fit(head, stage) is None else 1


def check_linear_head(config: Config) -> None:
    """Raise if scikit-learn cannot fit the head of a run.

    Args:
        config: the resolved configuration.

    Raises:
        HeadstartError: names the key that has to change.
    """
    head, stages = config.head, config.freeze.stages
    for position, stage in enumerate(stages):
        if stage.fit not in (None, "gradient") and not isinstance(stage.train, HeadOnly):
            raise HeadstartError(
                f"Expected freeze.stages.{position}.fit={stage.fit} in a stage that trains the head alone. Received: "
                f"train: {target_text(write_target(stage.train))}",
                "use train: head, or fit: null to learn by gradients",
            )
    if head.fit != "gradient" and not isinstance(stages[0].train, HeadOnly):
        raise HeadstartError(
            f"Expected the first stage to train the head alone, where head={head.name} is solved. "
            f"Received: freeze={config.freeze.name}, which starts with {write_target(stages[0].train)}",
            "freeze=all fits",
        )
    fitted = [(position, kind) for position, stage in enumerate(stages) if (kind := linear_fit(head, stage))]
    if not fitted:
        return
    position, kind = fitted[0]
    said = f"freeze.stages.{position}.fit={kind}" if stages[position].fit else f"head={head.name}"
    if head.units or head.batch_norm or head.pooling == "include_top":
        raise HeadstartError(
            f"Expected {said} on pooled features alone: head.units=null, head.batch_norm=false and "
            f"head.pooling=average, flatten or multi_depth. "
            f"Received: {head.units}, {head.batch_norm} and {head.pooling}"
        )
    if config.find_lr and position == 0:
        raise HeadstartError(
            f"Expected find_lr=true with a first stage that learns by gradients, such as that of head=linear. "
            f"Received: {said}, which is solved without a learning rate"
        )
    if len(fitted) == len(stages):
        _check_only_fitted(config, said)


def _check_only_fitted(config: Config, said: str) -> None:
    """Raise if a run without a gradient step has what only gradients can learn from."""
    augmentation = Augmentation(config.augmentation)
    if augmentation.changes_images or augmentation.mixes:
        raise HeadstartError(
            f"Expected augmentation=none with {said} on a frozen backbone: features are computed once, from "
            f"the images as they are. Received: augmentation={config.augmentation.name}, which changes or mixes images"
        )
    if config.label_smoothing:
        raise HeadstartError(
            f"Expected label_smoothing=0 with {said}, which cannot use smoothed labels. "
            f"Received: {config.label_smoothing}"
        )


def fit_linear_head(
    kind: str, features: np.ndarray, labels: np.ndarray, class_weights: np.ndarray, seed: int
) -> LinearClassifier:
    """Fit a linear classifier on standardised features, with the C of lowest cross-entropy in cross-validation.

    C grows along GRID until the cross-entropy rises.

    The decision values of a support vector machine are not probabilities. A softmax turns them into probabilities, at
    the temperature that fits the held-out labels of the cross-validation best; it changes no prediction (Guo et al.,
    On calibration of modern neural networks, 2017).

    Args:
        kind: `logistic_regression` or `svm`.
        features: float (n, features).
        labels: int (n,), from 0.
        class_weights: float (classes,).
        seed: of the folds and the solver.

    Raises:
        HeadstartError: when a class has a single image, which leaves none to validate on.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import StratifiedKFold

    classes = len(class_weights)
    counts = np.bincount(labels, minlength=classes)
    if counts.min() < 2:
        raise HeadstartError(
            f"Expected at least two training images of every class to fit {kind}. Received: {counts.min()} of one class"
        )
    folds = list(
        StratifiedKFold(min(FOLDS, int(counts.min())), shuffle=True, random_state=seed).split(features, labels)
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", ConvergenceWarning)
        trials: list[tuple[float, float, float, float]] = []
        models = [_model(kind, class_weights, seed) for _ in folds]
        for strength in GRID[kind]:
            scores = np.empty((len(labels), classes))
            for model, (learn, hold) in zip(models, folds, strict=True):
                kernel, bias = _fit(model.set_params(C=strength), features[learn], labels[learn])
                scores[hold] = features[hold] @ kernel + bias
            factor = best_factor(scores[None], labels) if kind == "svm" else 1.0
            accuracy = float((scores.argmax(1) == labels).mean())
            trials.append((cross_entropy(scores[None] * factor, labels), strength, factor, accuracy))
            if trials[-1] > min(trials):  # weaker still would only overfit more, and takes longest to solve
                break
        _, strength, factor, accuracy = min(trials)
        caught.clear()  # what counts is whether the last fit converges
        kernel, bias = _fit(_model(kind, class_weights, seed).set_params(C=strength), features, labels)
    return LinearClassifier(kind, kernel * factor, bias * factor, strength, accuracy, not caught)


def set_head(head: keras.Model, fitted: LinearClassifier) -> None:
    """Set the output layer of a head to a linear classifier.

    Args:
        head: its output is a softmax over all classes, or a sigmoid for the second of two.
        fitted: classifier of the features that reach the output layer.
    """
    kernel, bias = fitted.kernel, fitted.bias
    output = head.get_layer("output")
    if output.units == 1:
        kernel, bias = kernel[:, 1:] - kernel[:, :1], bias[1:] - bias[:1]
    output.set_weights([kernel.astype(np.float32), bias.astype(np.float32)])


def _model(kind: str, class_weights: np.ndarray, seed: int) -> Any:
    """Return scikit-learn's model; logistic regression starts each fit from the one before."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import LinearSVC

    shared: dict[str, Any] = {
        "class_weight": dict(enumerate(class_weights)),
        "random_state": seed,
        "max_iter": ITERATIONS,
    }
    return LogisticRegression(warm_start=True, **shared) if kind == "logistic_regression" else LinearSVC(**shared)


def _fit(model: Any, features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit a model, and return kernel and bias for unscaled features: the scaling is folded in."""
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler()
    scaled = scaler.fit_transform(features.astype(np.float64)).astype(np.float32)
    model.fit(scaled, labels)
    kernel, bias = (
        model.coef_.T / scaler.scale_[:, None],
        model.intercept_ - model.coef_ @ (scaler.mean_ / scaler.scale_),
    )
    if kernel.shape[1] == 1:  # two classes: half of the score for the one, minus half for the other
        return np.concatenate([-kernel, kernel], axis=1) / 2, np.concatenate([-bias, bias]) / 2
    return kernel, bias
