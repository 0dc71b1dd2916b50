"""Resume an interrupted run in the same directory and the same MLflow run."""

from __future__ import annotations

import contextlib
import logging
import shlex
from collections.abc import Iterator
from pathlib import Path

from headstart.config import Config, compose, from_yaml, override_key
from headstart.config.fields import Decides
from headstart.config.identity import config_hash
from headstart.config.keys import effect_of, override_values
from headstart.core.console import console
from headstart.core.errors import HeadstartError
from headstart.core.files import remove_partial_files
from headstart.core.paths import cache_directory, outputs_directory
from headstart.core.process_lock import Lock
from headstart.data.files.checks import check_images
from headstart.data.load import load_index
from headstart.results.file import RESULTS, read_results
from headstart.results.runs import CHECKPOINT, RUNNING, is_finished, runs_with_id
from headstart.results.sections import Dataset, Environment
from headstart.results.types import UNFINISHED, RunResults
from headstart.results.upgrade import NewerSchemaError
from headstart.run.environment import environment_changes

LOG = logging.getLogger(__name__)
LOCK = ".run.lock"
TRACES = (RESULTS, RUNNING, CHECKPOINT, "config.yaml")  # every run leaves at least one of these


@contextlib.contextmanager
def exclusive_run_directory(output: Path, resume: bool) -> Iterator[None]:
    """Reserve a directory for one run.

    Args:
        output: directory of the run; created if it does not exist.
        resume: whether to resume the run in it.

    Raises:
        InUseError: when another process uses the directory.
        HeadstartError: when the directory holds a run that would be overwritten.
    """
    output.mkdir(parents=True, exist_ok=True)
    with locked(output):
        if is_finished(output):
            raise HeadstartError(
                f"Expected a directory without a finished run. Received: {output}",
                "choose another directory, or remove this one",
            )
        remove_partial_files(output)
        if not resume and (output / CHECKPOINT).exists():
            raise HeadstartError(
                f"Expected a directory without a run that can be resumed. Received: {output}. Resume it with "
                f"{resume_command(output)}, or remove its {CHECKPOINT} to discard it"
            )
        yield


@contextlib.contextmanager
def locked(output: Path) -> Iterator[None]:
    """Lock the directory of a run for this process.

    Args:
        output: the directory.

    Raises:
        InUseError: when another process uses it.
    """
    lock = Lock(output / LOCK, "run")
    try:
        yield
    finally:
        lock.release()


def unfinished_results(directory: Path) -> RunResults | None:
    """Return the results of an unfinished run; None if it has no MLflow run.

    Args:
        directory: directory of the run.

    Raises:
        NewerSchemaError: when a newer version of headstart wrote them.
    """
    known = read_results(directory, RUNNING if (directory / RUNNING).exists() else RESULTS)
    return known if known and known.run_id else None


def check_same_images(before: RunResults | None, dataset: Dataset, environment: Environment) -> None:
    """Raise if the images changed since the run was interrupted; warn if the environment changed.

    Args:
        before: result of `unfinished_results`.
        dataset: the current images.
        environment: the current environment.

    Raises:
        HeadstartError: naming both fingerprints.
    """
    if before is None:
        return
    if before.fingerprint not in (None, dataset.fingerprint):
        raise HeadstartError(
            f"Expected the images that this run began with (fingerprint {str(before.fingerprint)[:12]}). "
            f"Received: others ({dataset.fingerprint[:12]}) in {dataset.root}",
            "start a new run on them",
        )
    for phrase in environment_changes(before.environment, environment) if before.environment else ():
        console.print(f"  Warning: {phrase}: the figures may differ", markup=False)
        LOG.warning("%s: the figures may differ", phrase)


def find_unfinished(name: str) -> tuple[Path, Config]:
    """Return the directory and configuration of an unfinished run.

    Args:
        name: a directory, an MLflow run id or its beginning (at least 4 characters), or `latest`.

    Raises:
        HeadstartError: when there is no such run, or it is finished.
    """
    directory = Path(name).absolute() if Path(name).is_dir() else _find(name)
    if is_finished(directory):
        raise HeadstartError(f"The run in {directory} is already finished. Nothing to resume")
    stored = directory / "config.yaml"
    if not stored.exists():
        raise HeadstartError(f"Expected the directory of a run with its config.yaml. Received: {directory}")
    return directory, from_yaml(stored.read_text(encoding="utf-8"))


def expect_only_execution_settings(name: str, given: list[str]) -> None:
    """Raise if a command that resumes a run sets anything but execution settings.

    Args:
        name: value of `resume`.
        given: the other overrides.

    Raises:
        HeadstartError: naming the overrides that are not execution settings.
    """
    others = [word for word in given if effect_of(Config, override_key(word)) is not Decides.NOTHING]
    if others:
        raise HeadstartError(
            f"Expected resume={name} alone or with execution settings (time_limit, checkpoint_seconds, cache, "
            f"inference_backend), because the run keeps its configuration. Received: {' '.join(others)}"
        )


def with_execution_settings(stored: Config, given: list[str]) -> Config:
    """Return the configuration of a run with changed execution settings.

    Args:
        stored: the stored configuration of the run.
        given: overrides, see `expect_only_execution_settings`.

    Raises:
        HeadstartError: for a wrong value.
    """
    keys = [override_key(word) for word in given]
    return override_values(stored, compose(given), keys, (Decides.NOTHING,)) if given else stored


def find_interrupted(config: Config, preferred: Path | None = None) -> Path | None:
    """Return the latest interrupted run with the same configuration and images; None if there is none.

    Args:
        config: the resolved configuration.
        preferred: the directory that a new run would have, which is checked first.

    Raises:
        HeadstartError: when there is such a run but the images are missing or invalid.
    """
    digest = config_hash(config)
    here = [preferred] if preferred and any((preferred / name).exists() for name in (CHECKPOINT, RUNNING)) else []
    for directory in (*here, *reversed(_unfinished())):
        before = unfinished_results(directory)
        if before and before.config_hash == digest and has_same_images(before, config):
            return directory
    return None


def has_same_images(results: RunResults, config: Config) -> bool:
    """Return whether a run's images are the current ones, which its config hash does not cover.

    Args:
        results: results of the run.
        config: resolved configuration with the location of the images.

    Raises:
        HeadstartError: when the images are missing or invalid.
    """
    if results.fingerprint is None:  # the run ended before it read the images
        return True
    index = load_index(config.dataset, cache_directory(), config.cv)
    dataset = config.dataset
    checked, _ = check_images(index, dataset.bad_images, cache_directory(), dataset.value_range)
    return results.fingerprint == checked.fingerprint


def expect_unused(output: Path) -> None:
    """Raise if a directory already holds a run, without changing anything in it.

    Args:
        output: directory that a new run would have.

    Raises:
        HeadstartError: naming the run, and how to continue.
    """
    if not any((output / name).exists() for name in TRACES):
        return
    known = unfinished_results(output) or read_results(output)
    which = f"run {known.run_id[:8]}" if known and known.run_id else "a run"
    which += f", {known.status if known else UNFINISHED}"
    way_out = f"; resume it with {resume_command(output)}" if (output / CHECKPOINT).exists() else ""
    raise HeadstartError(
        f"Expected a directory without a run. Received: {output}, which holds {which}{way_out}",
        "choose another hydra.run.dir, or remove this directory",
    )


def resume_command(output: Path) -> str:
    """Return the command that resumes the run in a directory."""
    return f"headstart train resume={shlex.quote(str(output))}"


def print_resume_command(output: Path) -> None:
    """Print the command that resumes a run, if the run has a checkpoint."""
    if (output / CHECKPOINT).exists():
        console.print(f"Saved. Resume it with\n  {resume_command(output)}", markup=False, soft_wrap=True)


def _find(name: str) -> Path:
    """Return the directory of an unfinished run by its id, or the latest one."""
    runs = _unfinished()
    if name == "latest" and runs:
        return runs[-1]
    known = [(directory, results) for directory in runs if (results := unfinished_results(directory))]
    fitting = runs_with_id(name, known)
    if len(fitting) == 1:
        return fitting[0]
    last = ", ".join(str(results.run_id)[:8] for _, results in known[-5:]) or "none"
    raise HeadstartError(
        f"Expected resume to be a run's directory, its MLflow run id, latest or auto. Received: {name}",
        f"the runs under {outputs_directory()} that you can resume: {last}",
    )


def _unfinished() -> list[Path]:
    """Return the directories of unfinished runs, oldest first."""
    files = [file for name in (CHECKPOINT, RUNNING) for file in outputs_directory().glob(f"*/**/{name}")]
    directories = sorted({file.parent for file in files}, key=lambda directory: directory.stat().st_mtime)
    return [directory for directory in directories if _is_readable(directory)]


def _is_readable(directory: Path) -> bool:
    """Return whether this version of headstart can read a run's results."""
    try:
        unfinished_results(directory)
    except NewerSchemaError:
        return False
    return True
