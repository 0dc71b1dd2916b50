"""Runs that the checks measure: trained once, read again the next time, and summarised over seeds."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from headstart.core.console import console
from headstart.core.markdown_page import replace_block
from headstart.core.paths import outputs_directory
from headstart.results.file import read_results
from headstart.results.types import RunResults

ROOT = Path(__file__).absolute().parents[2]


@dataclass(frozen=True)
class Measured:
    """Means over the seeds of a setting on a data set."""

    validation: float  # accuracy, 0 to 1
    test: float | None  # None without test images
    seconds: float  # of training, which is what differs between settings

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
    runs = []
    for seed in range(seeds):
        output = outputs_directory() / check / f"{name.replace(' ', '_')}_{seed}"
        runs.append(run_once(output, [*words, f"seed={seed}", f"dataset.split.seed={seed}"]))
    tests = [one.test.accuracy for one in runs if one.test is not None]
    found = Measured(
        fmean(one.validation.accuracy for one in runs if one.validation is not None),
        fmean(tests) if tests else None,
        fmean((one.seconds.training or 0.0) for one in runs if one.seconds is not None),
    )
    return found, runs[0]


def run_once(output: Path, words: Sequence[str]) -> RunResults:
    """Return the results of a run, after running it if it has not finished before.

    Raises:
        subprocess.CalledProcessError: when it fails.
    """
    done = read_results(output) if output.is_dir() else None
    if done is None or not done.finished:
        run_headstart("train", *words, f"hydra.run.dir={output}", stdout=subprocess.DEVNULL)
        done = read_results(output)
    if done is None:
        raise ValueError(f"Expected results.json in {output}. Received: none")
    return done


def run_headstart(*words: str, stdout: int | None = None) -> None:
    """Run a command of headstart.

    Args:
        words: the command and its arguments.
        stdout: see `subprocess.run`.

    Raises:
        subprocess.CalledProcessError: when it fails.
    """
    subprocess.run([sys.executable, "-m", "headstart", *words], check=True, stdout=stdout)


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
