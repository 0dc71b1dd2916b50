"""The training state on disk: everything that the next batch depends on, in one file that is written atomically.

The file does not contain the frozen weights. The run's configuration loads them again, and a digest proves it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from headstart.core.errors import HeadstartError
from headstart.core.files import atomic_file
from headstart.core.log import log_event
from headstart.model.backbones.weights import UNREADABLE
from headstart.training.history import EpochRecord

LOG = logging.getLogger(__name__)
LEAST_RATIO = 20  # of the time between two saves to the time that a save takes
OLD_FIELDS = {"waiting_for_input": "data_wait_fraction"}  # names in checkpoints of earlier versions


@dataclass
class TrainingState:
    """How far training is.

    `epoch` and `step` count finished work: epochs of the stage, and steps of the epoch after them. If all steps of that
    epoch are done, only its validation is missing.
    """

    stage: int = 0
    epoch: int = 0
    step: int = 0
    stopped: bool = False  # early stopping ended the stage after this epoch
    history: list[EpochRecord] = field(default_factory=list)
    best: EpochRecord | None = None
    trainable_parameters: dict[str, int] = field(default_factory=dict)  # by stage
    seconds: dict[str, float] = field(default_factory=dict)  # by finished stage
    data_wait_fraction: dict[str, float] = field(default_factory=dict)  # by finished stage, 0 to 1
    stage_seconds: float = 0.0  # of the current stage
    epoch_seconds: float = 0.0  # of the current epoch
    callbacks: list[dict[str, Any]] = field(default_factory=list)  # plain values of each callback of Keras
    frozen: str = ""  # digest of the weights that the stage keeps frozen
    python_random: Any = None  # state of Python's generator when the stage began
    # weights/POSITION, best/POSITION and probe/POSITION of the classifier, chance/N of its seed generators,
    # optimizer/N, metrics/N
    arrays: dict[str, np.ndarray] = field(default_factory=dict)

    def at_stage(self, number: int, frozen: str) -> TrainingState:
        """Return the state at the beginning of a stage, with the figures of the stages before.

        Args:
            number: of the stage; the number of stages when all are finished.
            frozen: digest of the weights that it keeps frozen.
        """
        return TrainingState(
            stage=number,
            history=self.history,
            trainable_parameters=self.trainable_parameters,
            seconds=self.seconds,
            data_wait_fraction=self.data_wait_fraction,
            frozen=frozen,
            python_random=python_random_state(),
        )

    def arrays_of(self, kind: str) -> list[np.ndarray]:
        """Return the arrays of one kind in order."""
        numbers = sorted(int(name.partition("/")[2]) for name in self.arrays if name.startswith(f"{kind}/"))
        return [self.arrays[f"{kind}/{number}"] for number in numbers]


class Checkpoints:
    """Saves the training state of a run, and decides how often."""

    def __init__(self, file: Path, seconds: float | None) -> None:
        """Start counting the time.

        Args:
            file: where the state is saved.
            seconds: of training that may be lost; None saves at the end of each stage and when interrupted.
        """
        self.file, self.seconds = file, seconds
        self._saved, self._cost = time.monotonic(), 0.0

    def is_due(self) -> bool:
        """Return whether it is time to save."""
        if self.seconds is None:
            return False
        wait = max(self.seconds, LEAST_RATIO * self._cost) if self.seconds else 0.0
        return time.monotonic() - self._saved >= wait

    def save(self, state: TrainingState) -> None:
        """Replace the saved training state by a new one."""
        started = time.monotonic()
        plain = {item.name: getattr(state, item.name) for item in dataclasses.fields(state) if item.name != "arrays"}
        plain["history"] = [dataclasses.asdict(record) for record in state.history]
        plain["best"] = dataclasses.asdict(state.best) if state.best else None
        text = np.frombuffer(json.dumps(plain).encode(), np.uint8)
        with atomic_file(self.file) as file:
            np.savez(file, allow_pickle=False, plain=text, **state.arrays)
        self._saved = time.monotonic()
        self._cost = self._saved - started
        log_event(LOG, "checkpoint saved", stage=state.stage, epoch=state.epoch, step=state.step)

    def load(self) -> TrainingState | None:
        """Return the training state that was saved last, None if there is none.

        Raises:
            HeadstartError: when the file is damaged.
        """
        if not self.file.exists():
            return None
        try:
            with self.file.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            stored_fields = json.loads(arrays.pop("plain").tobytes())
            plain = {OLD_FIELDS.get(name, name): value for name, value in stored_fields.items()}
            plain["history"] = [EpochRecord(**record) for record in plain["history"]]
            plain["best"] = EpochRecord(**plain["best"]) if plain["best"] else None
            return TrainingState(**plain, arrays=arrays)
        except UNREADABLE as error:
            raise HeadstartError(
                f"Expected a checkpoint of headstart in {self.file}. Received: {error}", "remove it and start again"
            ) from error


def digest_of(fingerprints: dict[str, str]) -> str:
    """Return one digest of the fingerprints of many weights."""
    return hashlib.sha256(json.dumps(sorted(fingerprints.items())).encode()).hexdigest()


def check_frozen(state: TrainingState, fingerprints: dict[str, str]) -> None:
    """Raise unless the frozen weights are those that training began with.

    Args:
        state: the saved training state.
        fingerprints: of the weights that its stage keeps frozen.

    Raises:
        HeadstartError: when they differ, so that training never resumes on other weights.
    """
    if digest_of(fingerprints) != state.frozen:
        raise HeadstartError(
            "Expected the pretrained weights that this run began with. Received: others",
            "the file of the weights was replaced, or another version of the software builds them. Start the run again",
        )


def python_random_state() -> list[Any]:
    """Return the state of Python's own generator, from which Keras takes seeds that nobody set."""
    version, internal, gauss = random.getstate()
    return [version, list(internal), gauss]


def set_python_random_state(state: list[Any]) -> None:
    """Restore a state that `python_random_state` returned."""
    version, internal, gauss = state
    random.setstate((version, tuple(internal), gauss))
