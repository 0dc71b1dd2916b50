"""How far training is, on disk: all that the next batch depends on, in a file that is complete or the last one.

The frozen weights are not in it: they are what the run's configuration loads, which a digest proves.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from headstart.core.errors import HeadstartError
from headstart.core.files import atomic_file
from headstart.model.backbones.weights import UNREADABLE
from headstart.training.history import EpochRecord

COSTS = 20  # times as long as writing takes, at least, is trained before it is written again


@dataclass
class TrainingState:
    """How far training is.

    `epoch` and `step` count what is done: epochs of the stage, and steps of the epoch after them; with all its steps
    an epoch is only to be validated.
    """

    stage: int = 0
    epoch: int = 0
    step: int = 0
    stopped: bool = False  # the stage ends with this epoch, which early stopping decided
    history: list[EpochRecord] = field(default_factory=list)
    best: EpochRecord | None = None
    trainable_parameters: dict[str, int] = field(default_factory=dict)  # by stage
    seconds: dict[str, float] = field(default_factory=dict)  # by stage that is over
    waiting_for_input: dict[str, float] = field(default_factory=dict)  # likewise
    stage_seconds: float = 0.0  # of the stage that is under way
    epoch_seconds: float = 0.0  # of the epoch that is under way
    callbacks: list[dict[str, Any]] = field(default_factory=list)  # plain values of each callback of Keras
    frozen: str = ""  # digest of the weights that do not move in the stage
    python_random: Any = None  # state of Python's generator when the stage began
    # weights/POSITION and best/POSITION of the classifier, chance/N of its seed generators, optimizer/N, metrics/N
    arrays: dict[str, np.ndarray] = field(default_factory=dict)

    def at_stage(self, number: int, frozen: str) -> TrainingState:
        """Return the progress at the beginning of a stage, with what was noted of those before.

        Args:
            number: of the stage; that of the one behind the last when all are over.
            frozen: digest of the weights that do not move in it.
        """
        return TrainingState(
            stage=number,
            history=self.history,
            trainable_parameters=self.trainable_parameters,
            seconds=self.seconds,
            waiting_for_input=self.waiting_for_input,
            frozen=frozen,
            python_random=python_random_state(),
        )

    def arrays_of(self, kind: str) -> list[np.ndarray]:
        """Return the arrays of one kind in order."""
        numbers = sorted(int(name.partition("/")[2]) for name in self.arrays if name.startswith(f"{kind}/"))
        return [self.arrays[f"{kind}/{number}"] for number in numbers]


class Checkpoints:
    """Where and how often a run saves its progress."""

    def __init__(self, file: Path, seconds: float | None) -> None:
        """Start counting the time.

        Args:
            file: where to.
            seconds: of training that may be lost; None saves at the end of each stage and when interrupted.
        """
        self.file, self.seconds = file, seconds
        self._saved, self._cost = time.monotonic(), 0.0

    def is_due(self) -> bool:
        """Return whether it is time to save."""
        if self.seconds is None:
            return False
        wait = max(self.seconds, COSTS * self._cost) if self.seconds else 0.0
        return time.monotonic() - self._saved >= wait

    def save(self, progress: TrainingState) -> None:
        """Write how far training is, in place of what was written before."""
        started = time.monotonic()
        plain = {
            item.name: getattr(progress, item.name) for item in dataclasses.fields(progress) if item.name != "arrays"
        }
        plain["history"] = [dataclasses.asdict(record) for record in progress.history]
        plain["best"] = dataclasses.asdict(progress.best) if progress.best else None
        text = np.frombuffer(json.dumps(plain).encode(), np.uint8)
        with atomic_file(self.file) as file:
            np.savez(file, allow_pickle=False, plain=text, **progress.arrays)
        self._saved = time.monotonic()
        self._cost = self._saved - started

    def load(self) -> TrainingState | None:
        """Return what was saved last, None where nothing was.

        Raises:
            HeadstartError: when the file is damaged.
        """
        if not self.file.exists():
            return None
        try:
            with self.file.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            plain = json.loads(arrays.pop("plain").tobytes())
            plain["history"] = [EpochRecord(**record) for record in plain["history"]]
            plain["best"] = EpochRecord(**plain["best"]) if plain["best"] else None
            return TrainingState(**plain, arrays=arrays)
        except UNREADABLE as error:
            raise HeadstartError(
                f"Expected a checkpoint of headstart in {self.file}. Received: {error}; remove it and start again"
            ) from error


def digest_of(fingerprints: dict[str, str]) -> str:
    """Return one digest of those of many weights."""
    return hashlib.sha256(json.dumps(sorted(fingerprints.items())).encode()).hexdigest()


def check_frozen(progress: TrainingState, fingerprints: dict[str, str]) -> None:
    """Raise when the weights that training never touched are not those that it began with.

    Args:
        progress: as it was saved.
        fingerprints: of the weights that do not move in its stage.

    Raises:
        HeadstartError: so that nothing is continued on other weights.
    """
    if digest_of(fingerprints) != progress.frozen:
        raise HeadstartError(
            "Expected the pretrained weights that this run began with. Received: others; the file of the weights was "
            "replaced, or another version of the software builds them. Start the run again"
        )


def python_random_state() -> list[Any]:
    """Return the state of Python's own generator, from which Keras takes seeds that nobody gave."""
    version, internal, gauss = random.getstate()
    return [version, list(internal), gauss]


def set_python_random_state(state: list[Any]) -> None:
    """Set what `python_random_state` returned."""
    version, internal, gauss = state
    random.setstate((version, tuple(internal), gauss))
