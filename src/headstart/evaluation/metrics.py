"""Metrics of a classifier on one split, computed from its probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from headstart.core.errors import HeadstartError
from headstart.evaluation.calibration import calibration_bins
from headstart.evaluation.checks import checked_predictions
from headstart.evaluation.ranking import rank

# Keras clips probabilities in its cross-entropy here, and sklearn.metrics.log_loss elsewhere: the log loss has to equal
# the validation loss.
SMALLEST_PROBABILITY = 1e-7
SUMMARY = (
    "images",
    "accuracy",
    "accuracy_low",
    "accuracy_high",
    "macro_f1",
    "balanced_accuracy",
    "roc_auc",
    "average_precision",
    "cohens_kappa",
    "matthews_correlation",
    "log_loss",
    "brier_score",
    "calibration_error",
    "top5_accuracy",
)


@dataclass(frozen=True)
class ClassResult:
    """One class's row of the report; None is undefined, because the split has no image of the class."""

    name: str
    precision: float | None  # 0 where the class was never predicted; None where it was not present either
    recall: float | None
    f1: float | None
    support: int  # images of this class
    roc_auc: float | None = None  # against all other classes, see Ranking; None where all images are of the class too
    average_precision: float | None = None


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
    roc_auc: float | None  # mean over the classes, each against all others; None where no class has one
    average_precision: float | None  # the same
    cohens_kappa: float | None  # None where all images have the same class and the same prediction
    matthews_correlation: float
    log_loss: float  # natural logarithm, mean over images
    brier_score: float
    calibration_error: float  # see calibration_bins
    per_class: tuple[ClassResult, ...]
    confusion: np.ndarray  # int (classes, classes): rows are true, columns predicted
    most_confused: tuple[tuple[str, str, int], ...]  # (true, predicted, images), most frequent first

    def summary(self) -> dict[str, float | int]:
        """Return the metrics of the whole split as plain Python numbers by name, without those that are undefined."""
        numbers = {name: getattr(self, name) for name in SUMMARY}
        return {name: number for name, number in numbers.items() if number is not None}

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
    labels, probabilities = checked_predictions(labels, probabilities)
    images, classes = probabilities.shape
    if len(class_names) != classes:
        raise HeadstartError(
            f"Expected as many class names as columns of probabilities. Received: {len(class_names)} names, "
            f"{classes} columns"
        )
    predictions = probabilities.argmax(axis=1)
    confusion = np.bincount(labels * classes + predictions, minlength=classes**2).reshape(classes, classes)
    per_class = _class_results(confusion, labels, probabilities, class_names)
    present = [result for result in per_class if result.support]
    correct = int(confusion.trace())
    accuracy_low, accuracy_high = wilson_interval(correct, images)
    kappa, matthews = _chance_corrected(confusion)
    of_true_class = probabilities[np.arange(images), labels]
    squares = (probabilities**2).sum(axis=1) - 2 * of_true_class + 1
    return Evaluation(
        images=images,
        accuracy=correct / images,
        accuracy_low=accuracy_low,
        accuracy_high=accuracy_high,
        top5_accuracy=_top_accuracy(labels, probabilities, 5) if classes > 5 else None,
        macro_f1=float(np.mean([result.f1 for result in present])),
        balanced_accuracy=float(np.mean([result.recall for result in present])),
        roc_auc=_mean([result.roc_auc for result in per_class]),
        average_precision=_mean([result.average_precision for result in per_class]),
        cohens_kappa=kappa,
        matthews_correlation=matthews,
        log_loss=float(-np.log(np.clip(of_true_class, SMALLEST_PROBABILITY, 1)).mean()),
        # As in scikit-learn: with two classes the squared error of one of their probabilities, not the sum of both.
        brier_score=float(squares.mean()) / (2 if classes == 2 else 1),
        calibration_error=calibration_bins(labels, probabilities).error,
        per_class=per_class,
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
    labels, probabilities = checked_predictions(labels, probabilities)
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    order = np.argsort(-probabilities[wrong].max(axis=1), kind="stable")
    return wrong[order][:count]


def _class_results(
    confusion: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str]
) -> tuple[ClassResult, ...]:
    correct_by_class, support, predicted = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    # In closed form, to the digit what scikit-learn gives, whose import takes more than a second.
    precision = _divided(correct_by_class, predicted)
    recall = _divided(correct_by_class, support)
    f1 = _divided(2 * correct_by_class, support + predicted)
    results = []
    for i, name in enumerate(class_names):
        present = support[i] > 0
        ranking = rank(labels == i, probabilities[:, i])
        results.append(
            ClassResult(
                name,
                precision=float(precision[i]) if present or predicted[i] else None,
                recall=float(recall[i]) if present else None,
                f1=float(f1[i]) if present else None,
                support=int(support[i]),
                roc_auc=ranking.roc_auc,
                average_precision=ranking.average_precision,
            )
        )
    return tuple(results)


def _chance_corrected(confusion: np.ndarray) -> tuple[float | None, float]:
    """Return Cohen's kappa and Matthews' correlation coefficient, both of which are 0 for guesses.

    Sources: J. Cohen, A coefficient of agreement for nominal scales, 1960; J. Gorodkin, Comparing two K-category
    assignments by a K-category correlation coefficient, 2004. A correlation that is undefined is 0, as in scikit-learn.
    """
    support, predicted = confusion.sum(axis=1).astype(float), confusion.sum(axis=0).astype(float)
    images = support.sum()
    by_chance = support @ predicted
    beyond = images * confusion.trace() - by_chance
    kappa = float(beyond / (images**2 - by_chance)) if by_chance < images**2 else None
    spread = np.sqrt((images**2 - support @ support) * (images**2 - predicted @ predicted))
    return kappa, float(beyond / spread) if spread else 0.0


def _mean(values: Sequence[float | None]) -> float | None:
    """Return the mean of the values that are defined; None if none is."""
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


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
