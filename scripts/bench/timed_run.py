"""Running a command of the project in a process of its own, and what it took."""

from __future__ import annotations

import csv
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from headstart.core.errors import HeadstartError
from headstart.results.file import RESULTS, load_results
from headstart.results.sections import Seconds
from headstart.results.types import RunResults

ROOT = Path(__file__).absolute().parents[2]
MEMORY_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes, of ru_maxrss


@dataclass(frozen=True)
class Finished:
    """A command that succeeded."""

    command: str  # as it can be typed in the project's directory
    seconds: float  # of the whole process
    peak_bytes: int  # resident memory
    processor_seconds: float  # of all its threads
    results: RunResults  # empty ones if nothing was trained
    epochs: list[dict[str, str]]  # the rows of history.csv


@contextmanager
def workspace(directory: Path) -> Iterator[Path]:
    """Yield an empty directory for the outputs and the cache of one run, which vanishes afterwards."""
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run_", dir=directory) as work:
        yield Path(work)


def run(
    overrides: list[str],
    work: Path,
    pictures: Path | None = None,
    temporary: Path | None = None,
    root: Path = ROOT,
) -> Finished:
    """Run `run.py` with outputs and cache below a directory.

    Args:
        overrides: the command line.
        work: holds outputs and cache; what earlier runs left there is found again.
        pictures: the directory of the images, which the recorded command leaves out.
        temporary: an existing directory for temporary files; None is the system's.
        root: of the clone whose `run.py` runs.

    Raises:
        HeadstartError: when it fails, with its last lines.
    """
    environment = {
        **os.environ,
        "HEADSTART_OUTPUTS": str(work / "outputs"),
        "HEADSTART_CACHE": str(work / "cache"),
        **({"TMPDIR": str(temporary)} if temporary else {}),
        **({} if root == ROOT else {"PYTHONPATH": str(root / "src")}),  # another clone may be the one installed
    }
    before = set(work.glob("outputs/runs/*"))
    with (work / "said.txt").open("w+", encoding="utf-8") as said:
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, str(root / "run.py"), *overrides], cwd=root, env=environment, stdout=said, stderr=said
        )
        # Not process.wait(): the memory of this process alone is wanted. This one's counts until the other program
        # starts in it, so it must stay small: no TensorFlow here.
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        command = project_command(shlex.join(["python", "run.py", *overrides]), pictures)
        if process.returncode:
            said.seek(0)
            last = " / ".join(said.read().splitlines()[-5:])
            raise HeadstartError(f"Expected `{command}` to succeed. Received: exit code {process.returncode}: {last}")
    results = RunResults(run_id=None)
    epochs: list[dict[str, str]] = []
    for output in set(work.glob("outputs/runs/*")) - before:
        results = load_results(output / RESULTS)
        command = project_command(str(results.command), pictures)  # as the run itself says it was called
        with (output / "history.csv").open(encoding="utf-8", newline="") as file:
            epochs = list(csv.DictReader(file))
    processor_seconds = usage.ru_utime + usage.ru_stime
    return Finished(command, seconds, usage.ru_maxrss * MEMORY_UNIT, processor_seconds, results, epochs)


def run_alone(overrides: list[str], directory: Path, pictures: Path | None = None) -> Finished:
    """Run a command with outputs and a cache that are empty before and gone afterwards."""
    with workspace(directory) as work:
        return run(overrides, work, pictures)


def project_command(command: str, pictures: Path | None = None) -> str:
    """Return a command as typed in the project's directory, with JPEGS for images outside of it."""
    if pictures is not None and not pictures.is_relative_to(ROOT):
        command = command.replace(str(pictures), "JPEGS")
    return command.replace(f"{ROOT}{os.sep}", "")


def seconds_of_run(finished: Finished) -> Seconds:
    """Return where the time of a run went.

    Raises:
        HeadstartError: when nothing was run.
    """
    if finished.results.seconds is None:
        raise HeadstartError(f"Expected a command that trains. Received: {finished.command}")
    return finished.results.seconds


def accuracy_of_run(finished: Finished, split: str) -> float:
    """Return the accuracy of a run on a split.

    Raises:
        HeadstartError: when it was not evaluated on the split.
    """
    splits = finished.results.splits or {}
    if split not in splits:
        raise HeadstartError(f"Expected a command that evaluates on {split} images. Received: {finished.command}")
    return splits[split].accuracy


def scaled(seconds: float, measured: list[float], epochs: int) -> float:
    """Return how long something takes with more epochs than were measured.

    Args:
        seconds: with the measured epochs.
        measured: the seconds of each of them; the first one, which builds the graph, stays as it is.
        epochs: how many there would be.
    """
    if epochs == len(measured):
        return seconds
    return seconds - sum(measured[1:]) + (epochs - 1) * median(measured[1:])


def stage_epochs(finished: Finished, stage: str) -> list[float]:
    """Return the seconds of each epoch of a stage."""
    return [float(epoch["seconds"]) for epoch in finished.epochs if epoch["stage"] == stage]


def seconds_of(command: list[str]) -> float:
    """Return how long a command takes that prints nothing of interest."""
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started
