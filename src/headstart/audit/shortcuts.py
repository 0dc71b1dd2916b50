"""Shortcuts: classes that can be distinguished by the size of the images, their files or their borders alone."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from headstart.data.similarity.measurements import Measurements

FOLDS = 5
LEAST_PER_CLASS = 2 * FOLDS  # images; of smaller classes nothing is said
SUSPICIOUS = 0.8  # balanced accuracy of two classes from which they are listed
SERIOUS = 0.95  # from which a run warns
DEPTH, LEAF = 6, 5  # of the trees

# What each probe sees of an image, as columns of the measurements.
PROPERTIES: dict[str, tuple[str, ...]] = {
    "image size": ("width", "height", "area", "aspect"),
    "file size": ("bytes",),
    "file format": ("format",),
    "border colour": ("border_red", "border_green", "border_blue"),
}
ALL = "all of these together"


@dataclass(frozen=True)
class Shortcut:
    """Two or more classes, and how well one property tells them apart."""

    by: str  # one of PROPERTIES, or all of them
    classes: tuple[int, ...]
    accuracy: float  # balanced: the mean of the classes' recalls
    images: int

    @property
    def chance(self) -> float:
        """Accuracy of guessing."""
        return 1 / len(self.classes)


def find_shortcuts(measured: Measurements, labels: np.ndarray) -> list[Shortcut]:
    """Return how well each property distinguishes the classes: all of them, then the suspicious pairs, best first.

    A small decision tree judges images that it was not fitted on, five times a fifth. Its balanced accuracy does not
    rise where one class is merely larger.

    Args:
        measured: of every image.
        labels: int (n,).

    Source: R. Geirhos et al., "Shortcut learning in deep neural networks", Nature Machine Intelligence 2020.
    """
    counts = np.bincount(labels)
    classes = np.flatnonzero(counts >= LEAST_PER_CLASS)
    if len(classes) < 2:
        return []
    chosen = np.flatnonzero(np.isin(labels, classes))
    overall, pairs = [], []
    for name, columns in {**PROPERTIES, ALL: tuple(itertools.chain(*PROPERTIES.values()))}.items():
        values = np.stack([_column(measured, column)[chosen] for column in columns], axis=1)
        if (values == values[0]).all():
            continue
        probabilities = _out_of_fold(values, labels[chosen])
        said = classes[probabilities.argmax(axis=1)]
        overall.append(Shortcut(name, tuple(classes.tolist()), _balanced(said, labels[chosen]), len(chosen)))
        if len(classes) > 2:
            pairs += _pairs(name, classes, probabilities, labels[chosen])
    return [*sorted(overall, key=lambda one: -one.accuracy), *sorted(pairs, key=lambda one: -one.accuracy)]


def _out_of_fold(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the probability of each class by trees that did not see the image, (n, classes)."""
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.tree import DecisionTreeClassifier

    tree = DecisionTreeClassifier(max_depth=DEPTH, min_samples_leaf=LEAF, class_weight="balanced", random_state=0)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    return cross_val_predict(tree, values, labels, cv=folds, method="predict_proba")


def _pairs(name: str, classes: np.ndarray, probabilities: np.ndarray, labels: np.ndarray) -> list[Shortcut]:
    """Return the pairs of classes that a property tells apart suspiciously well."""
    found = []
    for one, other in itertools.combinations(range(len(classes)), 2):
        among = np.isin(labels, classes[[one, other]])
        first = probabilities[among, one] > probabilities[among, other]
        said = np.where(first, classes[one], classes[other])
        accuracy = _balanced(said, labels[among])
        if accuracy >= SUSPICIOUS:
            found.append(Shortcut(name, (int(classes[one]), int(classes[other])), accuracy, int(among.sum())))
    return found


def _balanced(said: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean([(said[labels == label] == label).mean() for label in np.unique(labels)]))


def _column(measured: Measurements, name: str) -> np.ndarray:
    if name == "area":
        return measured["width"] * measured["height"]
    if name == "aspect":
        return measured["width"] / measured["height"]
    return measured[name]
