"""Metrics of a classifier on one split, computed from its probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from headstart.core.errors import HeadstartError

# Half-precision outputs do not sum to one exactly; logits and independent sigmoids are off by far more than this.
SUM_TOLERANCE = 1e-2
# Keras clips probabilities in its cross-entropy here, and sklearn.metrics.log_loss elsewhere: the log loss has to equal
# the validation loss.
SMALLEST_PROBABILITY = 1e-7


@dataclass(frozen=True)
class ClassResult:
    """One class's row of the report; None is undefined, because the split has no image of the class."""

    name: str
    precision: float | None  # 0 where the class was never predicted; None where it was not present either
    recall: float | None
    f1: float | None
    support: int  # images of this class


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The metrics of one split; averages over classes leave out classes without images."""

    images: int
    accuracy: float
    accuracy_low: float  # 95 % interval, see wilson_interval
    accuracy_high: float
    top5_accuracy: float | None  # None with five classes or fewer, for which it is always 1
    macro_f1: float
    balanced_accuracy: float  # the mean recall
    log_loss: float  # natural logarithm, mean over images
    calibration_error: float  # see calibration_bins
    per_class: tuple[ClassResult, ...]
    confusion: np.ndarray  # int (classes, classes): rows are true, columns predicted
    most_confused: tuple[tuple[str, str, int], ...]  # (true, predicted, images), most frequent first

    def summary(self) -> dict[str, float | int]:
        """Return the metrics of the whole split as plain Python numbers by name."""
        numbers: dict[str, float | int] = {
            "images": self.images,
            "accuracy": self.accuracy,
            "accuracy_low": self.accuracy_low,
            "accuracy_high": self.accuracy_high,
            "macro_f1": self.macro_f1,
            "balanced_accuracy": self.balanced_accuracy,
            "log_loss": self.log_loss,
            "calibration_error": self.calibration_error,
        }
        if self.top5_accuracy is not None:
            numbers["top5_accuracy"] = self.top5_accuracy
        return numbers

    def report(self) -> str:
        """Return precision, recall, F1 and support as text, in the layout of scikit-learn's classification report.

        Undefined values of classes without images are shown as a dash, where scikit-learn would print 0.
        """
        present = [result for result in self.per_class if result.support]
        scores = np.array([(result.precision, result.recall, result.f1) for result in present])
        support = [result.support for result in present]
        width = max(len("weighted avg"), *(len(result.name) for result in self.per_class))

        def row(name: str, values: Sequence[float | None] | np.ndarray, images: int) -> str:
            cells = "".join(f" {'-' if value is None else f'{value:.2f}':>9}" for value in values)
            return f"{name:>{width}} {cells} {images:>9}\n"

        text = f"{'':>{width}} " + "".join(f" {name:>9}" for name in ("precision", "recall", "f1-score", "support"))
        text += "\n\n"
        for result in self.per_class:
            text += row(result.name, (result.precision, result.recall, result.f1), result.support)
        text += f"\n{'accuracy':>{width}} {'':>20} {self.accuracy:>9.2f} {self.images:>9}\n"
        text += row("macro avg", scores.mean(axis=0), self.images)
        text += row("weighted avg", np.average(scores, axis=0, weights=support), self.images)
        return text


@dataclass(frozen=True, eq=False)
class CalibrationBins:
    """How often predictions of a given confidence are right."""

    edges: np.ndarray  # (bins + 1,) from 0 to 1; a bin includes its upper edge
    correct: np.ndarray  # int (bins,) right predictions in the bin
    counts: np.ndarray  # int (bins,) predictions in the bin
    confidence: np.ndarray  # (bins,) mean probability of the predicted class; NaN in an empty bin
    accuracy: np.ndarray  # (bins,) fraction that is right; NaN in an empty bin

    @property
    def error(self) -> float:
        """The expected calibration error: the gap between confidence and accuracy, averaged over images."""
        filled = self.counts > 0
        gaps = np.abs(self.confidence[filled] - self.accuracy[filled])
        return float(np.average(gaps, weights=self.counts[filled]))


def wilson_interval(correct: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's confidence interval of an accuracy.

    Unlike the normal approximation it stays within 0 to 1 and keeps its coverage for few images and for accuracies near
    one. Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927),
    without continuity correction.

    Args:
        correct: right predictions, 0 to `total`.
        total: all predictions, at least 1.
        confidence: above 0 and below 1.

    Raises:
        HeadstartError: when a number is outside its range.
    """
    if total < 1 or not 0 <= correct <= total:
        raise HeadstartError(
            f"Expected a number of correct predictions from 0 to a total of 1 or more. Received: {correct} of {total}"
        )
    if not 0 < confidence < 1:
        raise HeadstartError(f"Expected the confidence of an interval to be over 0 and below 1. Received: {confidence}")
    # In closed form: SciPy's proportion_ci takes a thousand times longer, for every bin of a calibration plot too, and
    # differs in the last bit, so that the results of earlier runs would not be reproduced to the digit.
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    fraction = correct / total
    centre = (fraction + z**2 / (2 * total)) / (1 + z**2 / total)
    margin = z / (1 + z**2 / total) * (fraction * (1 - fraction) / total + z**2 / (4 * total**2)) ** 0.5
    # Both ends are exact in the two extreme cases, where rounding would leave 1e-17 or 0.9999999.
    low = 0.0 if correct == 0 else centre - margin
    high = 1.0 if correct == total else centre + margin
    return low, high


def evaluate(labels: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str]) -> Evaluation:
    """Compute the metrics of the predictions for one split.

    A class without images in the split has no recall and no F1; macro F1 and balanced accuracy leave it out instead of
    counting it as zero. Images that were misclassified as such a class still lower the accuracy and the recall of their
    true class.

    Args:
        labels: int (images,), positions in `class_names`.
        probabilities: float (images, classes), rows sum to one.
        class_names: one name for each column of `probabilities`.

    Raises:
        HeadstartError: when the split is empty, or labels, probabilities and names do not match.
    """
    labels, probabilities = _checked(labels, probabilities)
    images, classes = probabilities.shape
    if len(class_names) != classes:
        raise HeadstartError(
            f"Expected as many class names as columns of probabilities. Received: {len(class_names)} names, "
            f"{classes} columns"
        )
    predictions = probabilities.argmax(axis=1)
    confusion = np.bincount(labels * classes + predictions, minlength=classes**2).reshape(classes, classes)
    correct_by_class, support, predicted = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    # In closed form, to the digit what scikit-learn gives, whose import takes more than a second.
    precision = _divided(correct_by_class, predicted)
    recall = _divided(correct_by_class, support)
    f1 = _divided(2 * correct_by_class, support + predicted)
    present = support > 0

    correct = int(confusion.trace())
    accuracy_low, accuracy_high = wilson_interval(correct, images)
    of_true_class = np.clip(probabilities[np.arange(images), labels], SMALLEST_PROBABILITY, 1)
    return Evaluation(
        images=images,
        accuracy=correct / images,
        accuracy_low=accuracy_low,
        accuracy_high=accuracy_high,
        top5_accuracy=_top_accuracy(labels, probabilities, 5) if classes > 5 else None,
        macro_f1=float(f1[present].mean()),
        balanced_accuracy=float(recall[present].mean()),
        log_loss=float(-np.log(of_true_class).mean()),
        calibration_error=calibration_bins(labels, probabilities).error,
        per_class=tuple(
            ClassResult(
                name,
                precision=float(precision[i]) if present[i] or predicted[i] else None,
                recall=float(recall[i]) if present[i] else None,
                f1=float(f1[i]) if present[i] else None,
                support=int(support[i]),
            )
            for i, name in enumerate(class_names)
        ),
        confusion=confusion,
        most_confused=_most_confused(confusion, class_names),
    )


def worst_mistakes(labels: np.ndarray, probabilities: np.ndarray, count: int = 16) -> np.ndarray:
    """Return the positions of wrong predictions, the most confident first.

    Args:
        labels: int (images,).
        probabilities: float (images, classes), rows sum to one.
        count: maximum number of positions.

    Raises:
        HeadstartError: when the split is empty, or labels and probabilities do not match.
    """
    labels, probabilities = _checked(labels, probabilities)
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    order = np.argsort(-probabilities[wrong].max(axis=1), kind="stable")
    return wrong[order][:count]


def calibration_bins(labels: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> CalibrationBins:
    """Sort predictions into bins of equal width by confidence, and compare each bin's confidence with its accuracy.

    Source: C. Guo et al., On calibration of modern neural networks, ICML 2017, equations 2 to 5.

    Args:
        labels: int (images,).
        probabilities: float (images, classes), rows sum to one.
        bins: number of bins between 0 and 1, at least 1.

    Raises:
        HeadstartError: when the split is empty, or labels and probabilities do not match.
    """
    labels, probabilities = _checked(labels, probabilities)
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    edges = np.linspace(0, 1, bins + 1)
    positions = np.digitize(confidence, edges[1:-1], right=True)
    counts = np.bincount(positions, minlength=bins)
    correct = np.bincount(positions[right], minlength=bins)
    filled = np.where(counts > 0, counts, np.nan)
    return CalibrationBins(
        edges=edges,
        correct=correct,
        counts=counts,
        confidence=np.bincount(positions, weights=confidence, minlength=bins) / filled,
        accuracy=correct / filled,
    )


def _checked(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return labels as int64 and probabilities as float64 with rows that sum to one; raise if they are invalid."""
    labels, probabilities = np.asarray(labels), np.asarray(probabilities, dtype=np.float64)
    if labels.ndim != 1 or probabilities.ndim != 2 or len(labels) != len(probabilities):
        raise HeadstartError(
            "Expected labels of shape (images,) and probabilities of shape (images, classes). "
            f"Received: {labels.shape} and {probabilities.shape}"
        )
    if probabilities.size == 0:
        raise HeadstartError("Expected a split with at least one image to evaluate. Received: an empty split")
    classes = probabilities.shape[1]
    if not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0 or labels.max() >= classes:
        raise HeadstartError(
            f"Expected labels to be integers from 0 to {classes - 1}, one for each class. "
            f"Received: {labels.dtype} from {labels.min()} to {labels.max()}"
        )
    sums = probabilities.sum(axis=1)
    bad = ~((probabilities >= 0).all(axis=1) & (np.abs(sums - 1) <= SUM_TOLERANCE))  # NaN fails both comparisons
    if bad.any():
        first = int(bad.argmax())
        raise HeadstartError(
            "Expected probabilities that are not negative and sum to one for each image; NaN means that training "
            f"diverged, try a smaller learning rate. Received: {bad.sum()} of {len(labels)} images are different, "
            f"the first is image {first} with the sum {sums[first]:.4g} and the smallest value "
            f"{probabilities[first].min():.4g}"
        )
    return labels.astype(np.int64), probabilities / sums[:, None]


def _divided(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return the quotients of counts, 0 where the whole is 0."""
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)


def _top_accuracy(labels: np.ndarray, probabilities: np.ndarray, count: int) -> float:
    # A stable sort breaks ties as argmax does. sklearn.metrics.top_k_accuracy_score breaks them the other way round.
    top = np.argsort(-probabilities, axis=1, kind="stable")[:, :count]
    return float((top == labels[:, None]).any(axis=1).mean())


def _most_confused(confusion: np.ndarray, class_names: Sequence[str]) -> tuple[tuple[str, str, int], ...]:
    mistakes = confusion.copy()
    np.fill_diagonal(mistakes, 0)
    order = np.argsort(-mistakes, axis=None, kind="stable")[:10]
    pairs = zip(*np.unravel_index(order, mistakes.shape), strict=True)
    return tuple((class_names[i], class_names[j], int(mistakes[i, j])) for i, j in pairs if mistakes[i, j] > 0)
