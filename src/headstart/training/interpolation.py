"""WiSE-FT: weights on the straight line between the probe, which only the head was trained for, and fine-tuning.

Source: M. Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022, arXiv 2109.01903.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headstart.config import HeadOnly, StageConfig

if TYPE_CHECKING:
    import keras

    from headstart.training.checkpoint import TrainingState

ALPHAS = tuple(step / 10 for step in range(11))  # shares of the fine-tuned weights
ARRAYS = "probe"  # prefix of the probe's arrays in a checkpoint


@dataclass(frozen=True)
class Probe:
    """The classifier after its head-only stages."""

    weights: list[np.ndarray]  # of the whole classifier
    moved: tuple[int, ...]  # positions of the weights that those stages trained

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what a checkpoint keeps: the weights that the network has not when it is built."""
        return {f"{ARRAYS}/{position}": self.weights[position] for position in self.moved}


def probe_stage(stages: Sequence[StageConfig]) -> int | None:
    """Return the position of the last head-only stage before fine-tuning; None unless a schedule has both.

    Args:
        stages: of the schedule.
    """
    fine_tuning = [number for number, stage in enumerate(stages) if not isinstance(stage.train, HeadOnly)]
    return fine_tuning[0] - 1 if fine_tuning and fine_tuning[0] > 0 else None


def probe_of(state: TrainingState, classifier: keras.Model) -> Probe | None:
    """Return the probe in a checkpoint; None if it has none.

    Args:
        state: the saved training state.
        classifier: as it was built, before the checkpoint's weights are restored.
    """
    names = [name for name in state.arrays if name.startswith(f"{ARRAYS}/")]
    if not names:
        return None
    weights = classifier.get_weights()
    moved = tuple(sorted(int(name.partition("/")[2]) for name in names))
    for position in moved:
        weights[position] = state.arrays[f"{ARRAYS}/{position}"]
    return Probe(weights, moved)


def differing(probe: Sequence[np.ndarray], tuned: Sequence[np.ndarray]) -> list[int]:
    """Return the positions of the weights that two networks do not share."""
    return [position for position, pair in enumerate(zip(probe, tuned, strict=True)) if not np.array_equal(*pair)]


def interpolate(
    classifier: keras.Model,
    probe: Sequence[np.ndarray],
    tuned: Sequence[np.ndarray],
    positions: Sequence[int],
    alpha: float,
) -> None:
    """Set the weights of a classifier to a point between the probe and the fine-tuned weights.

    Args:
        classifier: gets the weights.
        probe: weights at `alpha` 0.
        tuned: weights at `alpha` 1.
        positions: of the weights that differ.
        alpha: 0 to 1; both ends give exactly their weights.
    """
    variables = classifier.weights
    for position in positions:
        variables[position].assign((1 - alpha) * probe[position] + alpha * tuned[position])
