"""Finds shortcuts: properties of the image files that predict the class without looking at the content."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from headstart.data.similarity.measurements import Measurements

FOLDS = 5
MIN_PER_CLASS = 2 * FOLDS  # images; smaller classes are not checked
SUSPICIOUS = 0.8  # balanced accuracy from which a pair of classes is listed
SERIOUS = 0.95  # balanced accuracy from which a run warns
DEPTH, LEAF = 6, 5  # maximum depth and minimum leaf size of the trees

# The measurements that each probe uses.
PROPERTIES: dict[str, tuple[str, ...]] = {
    "image size": ("width", "height", "area", "aspect"),
    "file size": ("bytes",),
    "file format": ("format",),
    "border colour": ("border_red", "border_green", "border_blue"),
}
ALL = "all of these together"


@dataclass(frozen=True)
class Shortcut:
    """How well one property predicts two or more classes."""

    by: str  # one of PROPERTIES, or ALL
    classes: tuple[int, ...]
    accuracy: float  # balanced: the mean recall over the classes
    images: int

    @property
    def chance(self) -> float:
        """Accuracy of guessing."""
        return 1 / len(self.classes)


def find_shortcuts(measured: Measurements, labels: np.ndarray) -> list[Shortcut]:
    """Return how well each property predicts the class: over all classes, then for suspicious pairs, best first.

    It is the balanced accuracy of a small decision tree in cross-validation, which unequal class sizes do not inflate.

    Args:
        measured: of every image.
        labels: int (n,).

    Source: R. Geirhos et al., "Shortcut learning in deep neural networks", Nature Machine Intelligence 2020.
    """
    counts = np.bincount(labels)
    classes = np.flatnonzero(counts >= MIN_PER_CLASS)
    if len(classes) < 2:
        return []
    chosen = np.flatnonzero(np.isin(labels, classes))
    overall, pairs = [], []
    for name, columns in {**PROPERTIES, ALL: tuple(itertools.chain(*PROPERTIES.values()))}.items():
        values = np.stack([_column(measured, column)[chosen] for column in columns], axis=1)
        if (values == values[0]).all():
            continue
        probabilities = _out_of_fold(values, labels[chosen])
        predicted = classes[probabilities.argmax(axis=1)]
        accuracy = _balanced_accuracy(predicted, labels[chosen])
        overall.append(Shortcut(name, tuple(classes.tolist()), accuracy, len(chosen)))
        if len(classes) > 2:
            pairs += _pairs(name, classes, probabilities, labels[chosen])
    return [*sorted(overall, key=lambda one: -one.accuracy), *sorted(pairs, key=lambda one: -one.accuracy)]


def _out_of_fold(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the class probabilities of each image by a tree that was not fitted on it, (n, classes)."""
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.tree import DecisionTreeClassifier

    tree = DecisionTreeClassifier(max_depth=DEPTH, min_samples_leaf=LEAF, class_weight="balanced", random_state=0)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    return cross_val_predict(tree, values, labels, cv=folds, method="predict_proba")


def _pairs(name: str, classes: np.ndarray, probabilities: np.ndarray, labels: np.ndarray) -> list[Shortcut]:
    """Return the pairs of classes that a property distinguishes suspiciously well."""
    found = []
    for one, other in itertools.combinations(range(len(classes)), 2):
        among = np.isin(labels, classes[[one, other]])
        first = probabilities[among, one] > probabilities[among, other]
        accuracy = _balanced_accuracy(np.where(first, classes[one], classes[other]), labels[among])
        if accuracy >= SUSPICIOUS:
            found.append(Shortcut(name, (int(classes[one]), int(classes[other])), accuracy, int(among.sum())))
    return found


def _balanced_accuracy(predicted: np.ndarray, labels: np.ndarray) -> float:
    """Return what sklearn.metrics.balanced_accuracy_score does, which is too slow for each of thousands of pairs."""
    return float(np.mean([(predicted[labels == label] == label).mean() for label in np.unique(labels)]))


def _column(measured: Measurements, name: str) -> np.ndarray:
    if name == "area":
        return measured["width"] * measured["height"]
    if name == "aspect":
        return measured["width"] / measured["height"]
    return measured[name]
