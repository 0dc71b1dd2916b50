"""Runs that the checks measure: trained once, read again the next time, and summarised over seeds."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

from headstart.core.console import console
from headstart.core.markdown_page import replace_block
from headstart.core.paths import outputs_directory
from headstart.results.file import read_results
from headstart.results.runs import is_finished
from headstart.results.types import RunResults

ROOT = Path(__file__).absolute().parents[2]


@dataclass(frozen=True)
class Measured:
    """What the runs of a setting on a data set reached; means over the seeds."""

    validation: float  # accuracy, 0 to 1
    test: float | None  # None without test images
    seconds: float  # of training, which is what differs between settings
    command_seconds: float  # of the first run's whole command
    deviation: float | None  # of the accuracy over the seeds; None of one run
    directories: tuple[Path, ...]  # of the runs

    @property
    def accuracy(self) -> float:
        """The accuracy that counts: on the test images if there are any."""
        return self.validation if self.test is None else self.test


def folders_parser(description: str | None, page: Path, seeds: int) -> argparse.ArgumentParser:
    """Return a parser of the arguments that every check of folders has.

    Args:
        description: what the program does.
        page: the page whose table it writes.
        seeds: runs of each setting by default.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="folders of images")
    parser.add_argument("--seeds", type=int, default=seeds, metavar="N", help=f"runs of each setting ({seeds})")
    parser.add_argument("--write", action="store_true", help=f"write the table to {page.relative_to(ROOT)}")
    return parser


def measure_seeds(check: str, name: str, words: Sequence[str], seeds: int) -> tuple[Measured, RunResults]:
    """Train a setting with each seed, which also splits a folder that has no splits, and return the means.

    Args:
        check: the program, which has a directory of its own below the outputs.
        name: of the setting on this data set.
        words: overrides.
        seeds: number of runs.

    Returns:
        The means, and the results of the first run.
    """
    directories = [train_seed(check, name, words, seed) for seed in range(seeds)]
    return summarise(directories), finished_run(directories[0])


def train_seed(check: str, name: str, words: Sequence[str], seed: int, empty_cache: bool = False) -> Path:
    """Train a setting with a seed, unless that has been done, and return the directory of the run.

    Args:
        check: as all arguments of `measure_seeds`.
        name: of the setting.
        words: overrides.
        seed: of the run, and of the split of a folder that has no splits.
        empty_cache: give the run a cache of its own, so that its seconds do not depend on earlier runs.

    Raises:
        subprocess.CalledProcessError: when it fails.
    """
    output = seed_directory(check, name, seed)
    if is_finished(output):
        return output
    words = [*words, f"seed={seed}", f"dataset.split.seed={seed}", f"hydra.run.dir={output}"]
    with tempfile.TemporaryDirectory(dir=outputs_directory()) as cache:
        environment = {"HEADSTART_CACHE": cache} if empty_cache else {}
        run_headstart("train", *words, stdout=subprocess.DEVNULL, environment=environment)
    return output


def seed_directory(check: str, name: str, seed: int) -> Path:
    """Return the directory of the run of a setting with a seed."""
    return outputs_directory() / check / f"{name.replace(' ', '_')}_{seed}"


def finished_run(directory: Path) -> RunResults:
    """Return the results of a run.

    Raises:
        ValueError: when it has not finished.
    """
    done = read_results(directory)
    if done is None or not done.finished:
        raise ValueError(f"Expected a finished run in {directory}. Received: {done.status if done else 'none'}")
    return done


def summarise(directories: Sequence[Path]) -> Measured:
    """Return the means of the finished runs of one setting.

    Args:
        directories: of the runs, at least one.
    """
    runs = [finished_run(directory) for directory in directories]
    validations = [one.validation.accuracy for one in runs if one.validation is not None]
    tests = [one.test.accuracy for one in runs if one.test is not None]
    first = runs[0].seconds
    return Measured(
        validation=fmean(validations),
        test=fmean(tests) if tests else None,
        seconds=fmean((one.seconds.training or 0.0) for one in runs if one.seconds is not None),
        command_seconds=first.total if first else 0.0,
        deviation=stdev(tests or validations) if len(runs) > 1 else None,
        directories=tuple(directories),
    )


def run_headstart(*words: str, stdout: int | None = None, environment: Mapping[str, str] | None = None) -> None:
    """Run a command of headstart.

    Args:
        words: the command and its arguments.
        stdout: see `subprocess.run`.
        environment: variables to set besides those of this program.

    Raises:
        subprocess.CalledProcessError: when it fails.
    """
    variables = {**os.environ, **(environment or {})}
    subprocess.run([sys.executable, "-m", "headstart", *words], check=True, stdout=stdout, env=variables)


def show_table(lines: Sequence[str], page: Path, block: str, write: bool) -> None:
    """Print a Markdown table, and write it to a page.

    Args:
        lines: of the table.
        page: a Markdown file.
        block: name of the block that the table replaces.
        write: whether to write it.
    """
    console.print("\n".join(lines), markup=False, soft_wrap=True)
    if write:
        replace_block(page, block, "\n".join([f"<!-- {block} -->", *lines, f"<!-- /{block} -->"]))


def data_words(folder: Path, runs: RunResults) -> str:
    """Return the name of a data set with its training images, and those that judge."""
    images = runs.dataset.images if runs.dataset else {}
    return f"{folder.name} ({images.get('train', 0):,} / {images.get('test') or images.get('validation', 0):,})"
