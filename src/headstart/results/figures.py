"""The figures of a classifier: by epoch, by split, and its labels of unlabelled images."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple


@dataclass(frozen=True)
class EpochFigures:
    """The figures of one epoch."""

    epoch: int
    """Number of the epoch, from 1 on, counted over all stages."""
    stage: str
    """Name of the stage that the epoch belongs to."""
    train_loss: float
    """Mean cross-entropy over the training images while they were trained on (natural logarithm, 0 or more)."""
    train_accuracy: float
    """Share of the training images labelled right while they were trained on, 0 to 1."""
    validation_loss: float
    """Mean cross-entropy over the validation images (natural logarithm, 0 or more)."""
    validation_accuracy: float
    """Share of the validation images labelled right, 0 to 1."""
    learning_rate: float
    """Learning rate of the last step; 0 where the head is solved, or where a schedule ends there."""
    seconds: float
    """Seconds that the epoch took, its validation included."""


class ConfusedPair(NamedTuple):
    """Two classes that the classifier confuses; in the file a list of three values."""

    true: str
    """Class of the images."""
    predicted: str
    """Predicted class."""
    images: int
    """Number of such images, at least 1."""


@dataclass(frozen=True, kw_only=True)
class ClassFigures:
    """The figures of one class in one split; null if undefined because the split has no image of the class."""

    name: str
    """Name of the class."""
    precision: float | None
    """Share of the images given this class that belong to it, 0 to 1; 0 where the class was never predicted."""
    recall: float | None
    """Share of the images of this class that were recognized, 0 to 1."""
    f1: float | None
    """Harmonic mean of precision and recall, 0 to 1."""
    support: int
    """Number of images of this class in the split."""
    roc_auc: float | None = None
    """Area under the ROC curve of this class against all others, 0 to 1; absent without images of either."""
    average_precision: float | None = None
    """Area under the precision-recall curve of this class against all others, as average precision, 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class SplitFigures:
    """The figures of a whole split; means over classes skip classes without images in it."""

    images: int
    """Number of images in the split."""
    accuracy: float
    """Share of the images labelled right, 0 to 1."""
    accuracy_low: float
    """Lower end of the 95 % interval of the accuracy (Wilson), 0 to 1."""
    accuracy_high: float
    """Upper end of the 95 % interval of the accuracy (Wilson), 0 to 1."""
    macro_f1: float
    """Mean F1 over the classes, 0 to 1."""
    balanced_accuracy: float
    """Mean recall over the classes, 0 to 1."""
    log_loss: float
    """Mean cross-entropy over the images (natural logarithm, 0 or more)."""
    calibration_error: float
    """Expected calibration error over 15 bins, 0 to 1: how far confidence is from accuracy."""
    top5_accuracy: float | None = None
    """Share of the images whose class is among the five likeliest, 0 to 1; absent with five classes or fewer."""
    roc_auc: float | None = None
    """Mean over the classes of the area under the ROC curve, each class against all others, 0 to 1."""
    average_precision: float | None = None
    """Mean over the classes of the average precision, each class against all others, 0 to 1."""
    cohens_kappa: float | None = None
    """Agreement of labels and predictions beyond chance, -1 to 1: 0 for guesses, 1 if all are right."""
    matthews_correlation: float | None = None
    """Correlation of labels and predictions, -1 to 1: 0 for guesses, 1 if all are right."""
    brier_score: float | None = None
    """Squared error of the probabilities: the sum over the classes, 0 to 2; with two classes half of it, 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class SplitResults(SplitFigures):
    """The figures of a whole split and of each class in it."""

    most_confused: tuple[ConfusedPair, ...] = ()
    """The most confused pairs, up to ten, the most frequent first."""
    per_class: tuple[ClassFigures, ...] = ()
    """The figures of each class, in the order of the classifier's outputs."""

    def whole_split(self) -> SplitFigures:
        """Return the figures of the whole split alone."""
        return SplitFigures(**{item.name: getattr(self, item.name) for item in fields(SplitFigures)})


@dataclass(frozen=True, kw_only=True)
class LabelConfidence:
    """A label and the classifier's confidence in it."""

    label: str
    """Name of the class."""
    confidence: float
    """Probability of the class, 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class LabelledPicture(LabelConfidence):
    """An image with its likeliest label."""

    path: str
    """Path of the file relative to the directory of the images."""
    top: tuple[LabelConfidence, ...]
    """The likeliest labels, up to five, the likeliest first."""


@dataclass(frozen=True, kw_only=True)
class PictureLabels:
    """Labels of unlabelled images by a pretrained network; predictions.csv has all of them."""

    images: int
    """Number of images."""
    mean_confidence: float
    """Mean probability of the likeliest label, 0 to 1."""
    labels: dict[str, int]
    """Number of images by their likeliest label, the most frequent label first."""
    first: tuple[LabelledPicture, ...]
    """The first images, up to 20, with their likeliest labels."""
