"""Images whose label classifiers that never saw them would not give: confident learning on cached features."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from threadpoolctl import threadpool_limits

from headstart.audit.findings import Finding
from headstart.core.console import track

FOLDS = 5
MARGIN = 0.3  # between the probability of the suggested class and that of the label; below, images are merely hard
STRENGTHS = (0.001, 0.03, 1.0)  # inverse of the penalty on the coefficients (C of scikit-learn); the first fold chooses
ITERATIONS = 300


def out_of_fold(features: np.ndarray, labels: np.ndarray, classes: int, folds: np.ndarray) -> np.ndarray:
    """Return the probability of each class by logistic regressions that saw neither the image nor a copy of it.

    Args:
        features: (n, d).
        labels: int (n,).
        classes: how many there are.
        folds: int (n,), the fold of each image, see `choose_folds`.

    Returns:
        float (n, classes); zero where no image of the class was left to learn from.
    """
    scaled = features / (features.std() + 1e-12)  # as a whole: components of little variance are mostly noise
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
    """Return the probabilities of the images that are held out, by a regression on the others."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, max_iter=ITERATIONS).fit(features[~held_out], labels[~held_out])
    probabilities = np.zeros((int(held_out.sum()), classes))
    probabilities[:, model.classes_] = model.predict_proba(features[held_out])
    return probabilities


def choose_folds(labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return a fold for each image, int (n,), stratified by class; images of one group are in one fold.

    Args:
        labels: int (n,).
        groups: int (n,), images that show the same have the same number.
    """
    from sklearn.model_selection import StratifiedKFold

    _, leading, group = np.unique(groups, return_index=True, return_inverse=True)
    folds = np.zeros(len(leading), np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a class with fewer images than folds, which does no harm
        splits = StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(leading, labels[leading])
        for number, (_, held_out) in enumerate(splits):
            folds[held_out] = number
    return folds[group]


def mislabelled_findings(
    features: Sequence[np.ndarray], labels: np.ndarray, class_names: Sequence[str], groups: np.ndarray
) -> list[Finding]:
    """Return the images that are probably mislabelled, the most certain ones first.

    Each depth's features get classifiers of their own. Their probabilities are averaged. A class counts as confidently
    predicted where its probability is at least the average that images labelled so get. An image is found when the
    likeliest of these classes is not its label by a margin, and the classifiers of every depth say so.

    Args:
        features: (n, d) for each depth.
        labels: int (n,).
        class_names: of the labels.
        groups: int (n,), images that show the same have the same number.

    Source: C. Northcutt, L. Jiang, I. Chuang, "Confident learning: estimating uncertainty in dataset labels", JAIR
    2021; ranked by the normalised margin of that paper.
    """
    classes = len(class_names)
    if np.unique(groups).size < 2 * FOLDS or (np.bincount(labels) >= FOLDS).sum() < 2:
        return []
    depths, folds = track(features, len(features), "judging labels"), choose_folds(labels, groups)
    with threadpool_limits(1):  # the products are small, and threads would wait for each other
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
            f"labelled {class_names[labels[position]]} ({own[position]:.0%}), looks like "
            f"{class_names[suggested[position]]} ({probabilities[position, suggested[position]]:.0%})",
            round(float(margins[position]), 4),
            suggested=class_names[suggested[position]],
        )
        for position in sorted(np.flatnonzero(found), key=lambda position: -margins[position])
    ]
