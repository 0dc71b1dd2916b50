"""The four scenarios, few or many images, similar to ImageNet or not: finds the one that a data set is in.

The thresholds are heuristics; docs/scenarios.md has the reasons.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from headstart.core.console import format_percent
from headstart.results.scenario import ImagenetPredictions, ImagesPerClass, SplitPointProbe

# Images per class, of the median class, below which a data set is small. ImageNet itself has 732 to 1,300 (O.
# Russakovsky et al., IJCV 2015); the threshold is P. Marcelino's, "Transfer learning from pre-trained models", 2018.
FEW_BELOW = 1000
# For data unlike the original, "train from activations somewhere earlier in the network" (Stanford CS231n, notes on
# transfer learning): data counts as different if a probe at an earlier split point is significantly better than the
# last one, at this level for all earlier split points together (Bonferroni).
SIGNIFICANCE = 0.05
LABELS_SHOWN = 4


@dataclass(frozen=True)
class Placement:
    """The scenario that a data set is in, with the evidence."""

    cell: str
    why: tuple[str, ...]  # sentences
    images_per_class: ImagesPerClass
    measured_images: int
    chance: float  # accuracy of always predicting the largest class
    probes: tuple[SplitPointProbe, ...]  # from the input to the top
    best: SplitPointProbe
    last: SplitPointProbe
    chance_of_gain: float | None  # p-value of the best probe against the last one; None if the last is the best
    imagenet: ImagenetPredictions | None  # shown as evidence, but without influence on the result
    imagenet_missing: str  # reason, if `imagenet` is None


def find_placement(
    per_class: np.ndarray,
    probes: list[SplitPointProbe],
    correct: np.ndarray,
    imagenet: ImagenetPredictions | None,
    imagenet_missing: str,
    chance: float,
) -> Placement:
    """Return the scenario of a data set.

    Args:
        per_class: training images of each class, int (classes,).
        probes: one for each split point, from the input to the top.
        correct: bool (split points, n): which of the measured images each probe gets right.
        imagenet: predictions of the ImageNet classifier; None if the backbone has none.
        imagenet_missing: reason, if `imagenet` is None.
        chance: accuracy of always predicting the largest class.
    """
    best = int(np.argmax(correct.sum(axis=1) + np.arange(len(probes)) / len(probes)))  # the deepest one among equals
    p_value = gain_p_value(correct[best], correct[-1], len(probes) - 1) if best < len(probes) - 1 else None
    different = p_value is not None and p_value < SIGNIFICANCE
    typical = float(np.median(per_class))
    few = typical < FEW_BELOW
    measured = correct.shape[1]
    why = (
        f"The median class has {typical:,.0f} training images, {'fewer than' if few else 'at least'} {FEW_BELOW:,}: "
        f"{'small' if few else 'large'}.",
        _similarity_sentence(probes[best], probes[-1], p_value, different, len(probes) - 1, measured),
        _imagenet_sentence(imagenet, imagenet_missing),
    )
    return Placement(
        cell=f"{'small' if few else 'large'}_{'different' if different else 'similar'}",
        why=why,
        images_per_class=ImagesPerClass(median=typical, least=int(per_class.min()), most=int(per_class.max())),
        measured_images=measured,
        chance=chance,
        probes=tuple(probes),
        best=probes[best],
        last=probes[-1],
        chance_of_gain=p_value,
        imagenet=imagenet,
        imagenet_missing=imagenet_missing,
    )


def gain_p_value(earlier: np.ndarray, last: np.ndarray, chosen_from: int) -> float:
    """Return the p-value of an earlier probe being better than the last one, at most 1.

    It is McNemar's exact test, one-sided, on the images that exactly one probe gets right, times the number of probes
    that the earlier one was chosen from (Bonferroni).

    Args:
        earlier: bool (n,), which images the earlier probe gets right.
        last: bool (n,), which images the last probe gets right.
        chosen_from: number of probes.
    """
    from scipy.stats import binomtest

    won, lost = int((earlier & ~last).sum()), int((last & ~earlier).sum())
    if won + lost == 0:
        return 1.0
    return min(1.0, chosen_from * float(binomtest(won, won + lost, alternative="greater").pvalue))


def summarize_imagenet_predictions(probabilities: np.ndarray, class_names: tuple[str, ...]) -> ImagenetPredictions:
    """Return a summary of the ImageNet classifier's predictions.

    They only accompany the probes, because networks are often confident about images unlike any they were trained on
    (A. Nguyen, J. Yosinski, J. Clune, "Deep neural networks are easily fooled", CVPR 2015).

    Args:
        probabilities: (n, classes).
        class_names: in the order of the columns.
    """
    safe = np.clip(probabilities.astype(np.float64), 1e-12, 1)
    entropy = -(safe * np.log(safe)).sum(axis=1) / np.log(safe.shape[1])
    answers, counts = np.unique(probabilities.argmax(axis=1), return_counts=True)
    order = np.argsort(-counts, kind="stable")[:LABELS_SHOWN]
    labels = tuple((class_names[answers[i]], float(counts[i] / len(probabilities))) for i in order)
    return ImagenetPredictions(
        confidence=float(probabilities.max(axis=1).mean()), entropy=float(entropy.mean()), labels=labels
    )


def _similarity_sentence(
    best: SplitPointProbe, last: SplitPointProbe, p_value: float | None, different: bool, others: int, measured: int
) -> str:
    top = f"at the last split point, {last.split_point}, {format_percent(last.accuracy)}"
    if p_value is None:
        return f"No linear probe is better than the one {top}, so ImageNet's last layers suit these classes: similar."
    depth = format_percent(best.depth, 0)
    right = format_percent(best.accuracy)
    probes = f"A linear probe at {best.split_point} ({depth} of the depth) gets {right} right, {top}"
    if different:
        return (
            f"{probes} (p = {p_value:.1g}, corrected for {others} split points), so the last layers have lost features "
            "that distinguish these classes: different."
        )
    smallest = math.ceil(math.log2(others / SIGNIFICANCE))  # images, if the other probe wins none
    return (
        f"{probes}, which is no significant difference (p = {p_value:.2g}, corrected for {others} split points; "
        f"{measured:,} images cannot show one below {format_percent(smallest / measured)}): similar."
    )


def _imagenet_sentence(predictions: ImagenetPredictions | None, missing: str) -> str:
    if predictions is None:
        return f"There are no predictions of the ImageNet classifier: {missing.rstrip('.')}."
    labels = ", ".join(f"{name} {format_percent(share, 0)}" for name, share in predictions.labels)
    return (
        f"The ImageNet classifier has a mean confidence of {format_percent(predictions.confidence, 0)} (entropy "
        f"{format_percent(predictions.entropy, 0)} of the maximum), most often: {labels}. This does not affect "
        "the result, because "
        "networks are often confident about images unlike their training data."
    )
