"""Finds mislabelled images by confident learning on cached features of a pretrained network."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from threadpoolctl import threadpool_limits

from headstart.audit.findings import Finding
from headstart.core.console import format_percent, track

FOLDS = 5
MARGIN = 0.3  # between the probabilities of the suggested class and the label; below it, images are only hard
STRENGTHS = (0.001, 0.03, 1.0)  # scikit-learn's C, the inverse regularisation; chosen on the first fold
ITERATIONS = 300


def out_of_fold(features: np.ndarray, labels: np.ndarray, classes: int, folds: np.ndarray) -> np.ndarray:
    """Return the class probabilities of logistic regressions fitted on neither the image nor a copy of it.

    Args:
        features: (n, d).
        labels: int (n,).
        classes: number of classes.
        folds: int (n,), the fold of each image, see `choose_folds`.

    Returns:
        float (n, classes); zero for a class without images in the other folds.
    """
    scaled = features / (features.std() + 1e-12)  # one scale for all: components of little variance are mostly noise
    probabilities = np.zeros((len(labels), classes))
    strength = 0.0
    for fold in range(FOLDS):
        held_out = folds == fold
        if fold == 0:
            tried = {one: _predicted(scaled, labels, classes, held_out, one) for one in STRENGTHS}
            loss = {one: -np.log(p[np.arange(len(p)), labels[held_out]] + 1e-9).mean() for one, p in tried.items()}
            strength = min(STRENGTHS, key=lambda one: loss[one])
            probabilities[held_out] = tried[strength]
        else:
            probabilities[held_out] = _predicted(scaled, labels, classes, held_out, strength)
    return probabilities


def _predicted(
    features: np.ndarray, labels: np.ndarray, classes: int, held_out: np.ndarray, strength: float
) -> np.ndarray:
    """Return the probabilities of the held-out images by a regression fitted on the others."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, max_iter=ITERATIONS).fit(features[~held_out], labels[~held_out])
    probabilities = np.zeros((int(held_out.sum()), classes))
    probabilities[:, model.classes_] = model.predict_proba(features[held_out])
    return probabilities


def choose_folds(labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return a fold for each image, int (n,), stratified by class; images of one group are in one fold.

    Args:
        labels: int (n,).
        groups: int (n,), the same number for copies of an image.
    """
    from sklearn.model_selection import StratifiedKFold

    _, leading, group = np.unique(groups, return_index=True, return_inverse=True)
    folds = np.zeros(len(leading), np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # classes with fewer images than folds do no harm
        splits = StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(leading, labels[leading])
        for number, (_, held_out) in enumerate(splits):
            folds[held_out] = number
    return folds[group]


def mislabelled_findings(
    features: Sequence[np.ndarray], labels: np.ndarray, class_names: Sequence[str], groups: np.ndarray
) -> list[Finding]:
    """Return the images that are probably mislabelled, the most certain ones first.

    Separate classifiers are fitted on the features of each depth, and their probabilities averaged. A class is
    predicted confidently if its probability is at least the mean probability of images with that label. An image is
    mislabelled if the likeliest of these classes exceeds its label by MARGIN, and the classifiers of every depth
    predict another class than the label.

    Args:
        features: (n, d) for each depth.
        labels: int (n,).
        class_names: of the labels.
        groups: int (n,), the same number for copies of an image.

    Source: C. Northcutt, L. Jiang, I. Chuang, "Confident learning: estimating uncertainty in dataset labels", JAIR
    2021; ranked by the normalised margin of that paper.
    """
    classes = len(class_names)
    if np.unique(groups).size < 2 * FOLDS or (np.bincount(labels) >= FOLDS).sum() < 2:
        return []
    depths, folds = track(features, len(features), "checking labels"), choose_folds(labels, groups)
    with threadpool_limits(1):  # threads would slow down such small matrix products
        by_depth = np.stack([out_of_fold(values, labels, classes, folds) for values in depths])
    probabilities = by_depth.mean(axis=0)
    rows = np.arange(len(labels))
    own = probabilities[rows, labels]
    thresholds = np.array([own[labels == label].mean() if (labels == label).any() else 2.0 for label in range(classes)])
    confident = np.where(probabilities >= thresholds, probabilities, -1.0)
    suggested = confident.argmax(axis=1)
    against = (by_depth.argmax(axis=2) != labels).all(axis=0)
    margins = probabilities[rows, suggested] - own
    found = (confident.max(axis=1) > 0) & (suggested != labels) & against & (margins >= MARGIN)
    return [
        Finding(
            "mislabelled",
            int(position),
            f"labelled {class_names[labels[position]]} ({format_percent(own[position], 0)}), looks like "
            f"{class_names[suggested[position]]} ({format_percent(probabilities[position, suggested[position]], 0)})",
            round(float(margins[position]), 4),
            suggested=class_names[suggested[position]],
        )
        for position in sorted(np.flatnonzero(found), key=lambda position: -margins[position])
    ]
