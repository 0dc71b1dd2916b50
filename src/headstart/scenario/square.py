"""The square of the four scenarios: few images or many, similar to ImageNet or not; where data lies in it, and why.

The thresholds are heuristics: rules of thumb with a source, never laws. docs/scenarios.md has the reasons.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

# Fewer images of the typical class than this are few. ImageNet itself has 732 to 1,300 (O. Russakovsky et al., IJCV
# 2015); the rule of thumb is P. Marcelino's, "Transfer learning from pre-trained models", 2018.
FEW_BELOW = 1000
# "Classify from somewhere earlier in the network" where data is unlike the original (Stanford CS231n, notes on transfer
# learning): data is called different when a probe of an earlier cut beats the one of the last cut by more than chance.
# The usual level, for all earlier cuts together: by Bonferroni each is tested at its share.
SIGNIFICANCE = 0.05
LABELS_SHOWN = 4


@dataclass(frozen=True)
class SplitPointProbe:
    """How well the classes can be told at one depth."""

    split_point: str
    depth: float  # share of the backbone's layers with weights up to here
    channels: int
    accuracy: float  # of images that were left out


@dataclass(frozen=True)
class ImagenetView:
    """What ImageNet's classifier makes of the images; it is evidence beside the probes and decides nothing."""

    confidence: float  # mean of the largest probability
    entropy: float  # mean over the images, as a share of the largest possible
    labels: list[tuple[str, float]]  # the most frequent answers and their shares of the images


@dataclass(frozen=True)
class Placement:
    """Where data lies in the square, with its evidence."""

    cell: str
    why: list[str]  # sentences
    images_per_class: dict[str, float]  # median, least, most
    measured_images: int
    chance: float  # accuracy of always saying the largest class
    probes: list[SplitPointProbe]
    best: SplitPointProbe
    last: SplitPointProbe
    chance_of_gain: float | None  # p-value of the best cut's lead over the last one; None where the last is the best
    imagenet: ImagenetView | None
    imagenet_missing: str  # why there is none

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def place(
    per_class: np.ndarray,
    probes: list[SplitPointProbe],
    correct: np.ndarray,
    imagenet: ImagenetView | None,
    imagenet_missing: str,
    chance: float,
) -> Placement:
    """Place data in the square.

    Args:
        per_class: training images of each class, int (classes,).
        probes: one for each cut, from the images to the top.
        correct: bool (cuts, n): which of the measured images each probe gets right.
        imagenet: what ImageNet's classifier says; None where there is none.
        imagenet_missing: why there is none.
        chance: accuracy of always saying the largest class.
    """
    best = int(np.argmax(correct.sum(axis=1) + np.arange(len(probes)) / len(probes)))  # the deepest of equals
    p_value = lead(correct[best], correct[-1], len(probes) - 1) if best < len(probes) - 1 else None
    different = p_value is not None and p_value < SIGNIFICANCE
    typical = float(np.median(per_class))
    few = typical < FEW_BELOW
    measured = correct.shape[1]
    why = [
        f"The typical class has {typical:,.0f} training images, {'fewer than' if few else 'at least'} {FEW_BELOW:,}: "
        f"{'small' if few else 'large'}.",
        _why_similar(probes[best], probes[-1], p_value, different, len(probes) - 1, measured),
        _what_imagenet_says(imagenet, imagenet_missing),
    ]
    return Placement(
        cell=f"{'small' if few else 'large'}_{'different' if different else 'similar'}",
        why=why,
        images_per_class={
            "median": typical,
            "least": int(per_class.min()),
            "most": int(per_class.max()),
        },
        measured_images=measured,
        chance=chance,
        probes=probes,
        best=probes[best],
        last=probes[-1],
        chance_of_gain=p_value,
        imagenet=imagenet,
        imagenet_missing=imagenet_missing,
    )


def lead(earlier: np.ndarray, last: np.ndarray, chosen_from: int) -> float:
    """Return how likely the lead of a probe over the last one is by chance alone, at most 1.

    McNemar's exact test, one-sided, on the images that one of them gets right and the other does not, times the number
    of probes that the best was chosen from (Bonferroni).

    Args:
        earlier: bool (n,), which images the probe gets right.
        last: bool (n,), which the last one gets right.
        chosen_from: number of probes.
    """
    from scipy.stats import binomtest

    won, lost = int((earlier & ~last).sum()), int((last & ~earlier).sum())
    if won + lost == 0:
        return 1.0
    return min(1.0, chosen_from * float(binomtest(won, won + lost, alternative="greater").pvalue))


def view_of_imagenet(probabilities: np.ndarray, class_names: tuple[str, ...]) -> ImagenetView:
    """Return what ImageNet's classifier makes of images.

    Confidence alone tells little: networks are sure of much that they never saw (A. Nguyen, J. Yosinski, J. Clune,
    "Deep neural networks are easily fooled", CVPR 2015). So it stands beside the probes.

    Args:
        probabilities: (n, classes).
        class_names: in the order of the columns.
    """
    safe = np.clip(probabilities.astype(np.float64), 1e-12, 1)
    entropy = -(safe * np.log(safe)).sum(axis=1) / np.log(safe.shape[1])
    answers, counts = np.unique(probabilities.argmax(axis=1), return_counts=True)
    order = np.argsort(-counts, kind="stable")[:LABELS_SHOWN]
    labels = [(class_names[answers[place]], float(counts[place] / len(probabilities))) for place in order]
    return ImagenetView(float(probabilities.max(axis=1).mean()), float(entropy.mean()), labels)


def _why_similar(
    best: SplitPointProbe, last: SplitPointProbe, p_value: float | None, different: bool, others: int, measured: int
) -> str:
    top = f"on the last cut, {last.split_point}, {last.accuracy:.1%}"
    if p_value is None:
        return f"No linear probe does better than the one {top}: what ImageNet's last layers see serves here: similar."
    said = f"A linear probe on {best.split_point} ({best.depth:.0%} of the depth) gets {best.accuracy:.1%} right, {top}"
    if different:
        return (
            f"{said} (p = {p_value:.1g} after the choice among {others} cuts): the last layers have lost what tells "
            "these classes apart: different."
        )
    least = math.ceil(math.log2(others / SIGNIFICANCE))  # images, if the other probe wins none
    return (
        f"{said}, which chance explains (p = {p_value:.2g} after the choice among {others} cuts; with {measured:,} "
        f"images a lead of less than {least / measured:.1%} never shows): similar."
    )


def _what_imagenet_says(view: ImagenetView | None, missing: str) -> str:
    if view is None:
        return f"What ImageNet's classifier says of the images is not known: {missing.rstrip('.')}."
    labels = ", ".join(f"{name} {share:.0%}" for name, share in view.labels)
    return (
        f"ImageNet's classifier is {view.confidence:.0%} sure of its answers on average (entropy {view.entropy:.0%} of "
        f"the largest), most often: {labels}. It decides nothing, since networks are sure of much that they never saw."
    )
