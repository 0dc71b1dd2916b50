"""Finds the finished and interrupted jobs of a sweep, and the directory that the next job may write to.

A directory with a finished job is never written to: only `find_job_directory` decides where a job may write.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from headstart.config import Config
from headstart.config.identity import config_hash
from headstart.core.errors import HeadstartError
from headstart.core.log import log_end
from headstart.core.process_lock import InUseError, live_owner
from headstart.data.load import images_directory
from headstart.results.file import RESULTS, load_results, read_results, write_results
from headstart.results.runs import CHECKPOINT, RUNNING, is_finished
from headstart.results.types import RunResults
from headstart.results.upgrade import NewerSchemaError
from headstart.run.resume import LOCK, has_same_images, locked, unfinished_results


@dataclass(frozen=True)
class JobDirectory:
    """The directory of a sweep's job, and whether the job may write to it."""

    state: str  # done | free | in progress | kept (finished or interrupted, but its images cannot be read now)
    directory: Path
    results: RunResults | None = None  # of a job that is done
    resume: bool = False  # whether a free directory holds this job's own checkpoint
    reason: str = ""  # why it is neither done nor free


def find_job_directory(sweep: Path, preferred: Path, config: Config) -> JobDirectory:
    """Return the directory of a sweep's job; the job may write to it only if its state is `free`.

    Args:
        sweep: directory of the sweep.
        preferred: the directory that Hydra chose for the job.
        config: the job's resolved configuration.
    """
    directory = preferred
    try:
        done = _done(sweep, config)
        if isinstance(done, JobDirectory):
            return done
        directory = free_directory(preferred, config)
        for one in (*_running(sweep, config_hash(config)), directory):
            owner = live_owner(one / LOCK)
            if owner is not None:
                return JobDirectory("in progress", one, reason=f"This job is already running ({owner})")
        return JobDirectory("free", directory, resume=can_resume(directory, config))
    except (HeadstartError, OSError) as error:
        return JobDirectory("kept", directory, reason=str(error))


def _done(sweep: Path, config: Config) -> JobDirectory | None:
    """Return the directory of a finished job, also if its images cannot be read any more; None if it is not done."""
    try:
        done = find_finished(sweep, config)
    except (HeadstartError, OSError) as error:
        kept = finished_in_place(sweep, config)
        return JobDirectory("kept", kept[0], reason=str(error)) if kept else None
    return None if done is None else JobDirectory("done", *done)


def finished_in_place(sweep: Path, config: Config) -> list[Path]:
    """Return the directories of a sweep with a finished job of the configuration and the same image directory.

    Args:
        sweep: directory of the sweep.
        config: the job's resolved configuration; its images need not be readable.
    """
    here = images_directory(config.dataset)

    def is_on_this_machine(directory: Path) -> bool:
        results = read_results(directory)
        root = results.dataset.root if results and results.dataset else None
        return None in (here, root) or root == str(here)

    return [directory for directory in finished_before(sweep, config_hash(config)) if is_on_this_machine(directory)]


def finished_before(sweep: Path, digest: str) -> list[Path]:
    """Return the directories of a sweep with a finished job of the configuration, whatever its images.

    Args:
        sweep: directory of the sweep.
        digest: `config_hash` of the configuration.
    """
    found = [(file.parent, read_results(file.parent)) for file in sorted(sweep.glob(f"*/{RESULTS}"))]
    return [directory for directory, results in found if results and results.finished and results.config_hash == digest]


def find_finished(sweep: Path, config: Config) -> tuple[Path, RunResults] | None:
    """Return the finished job of a sweep with the same configuration on the same images, if there is one.

    Args:
        sweep: directory of the sweep.
        config: the job's resolved configuration.
    """
    for directory in finished_before(sweep, config_hash(config)):
        results = read_results(directory)
        # The images are read only if everything else is the same.
        if results is not None and has_same_images(results, config):
            return directory, results
    return None


def free_directory(preferred: Path, config: Config | None) -> Path:
    """Return a directory without another job's results: the preferred one, or a new one beside it.

    Args:
        preferred: the directory that Hydra chose for the job.
        config: the job's resolved configuration; None if unknown.
    """
    directory, number = preferred, 0
    name = f"{preferred.name}-{config_hash(config)[:8] if config else 'unresolved'}"
    while not is_free(directory, config):
        number += 1
        directory = preferred.with_name(f"{name}-{number}")
    return directory


def is_free(directory: Path, config: Config | None) -> bool:
    """Return whether a directory holds neither a finished job nor files of another job.

    Args:
        directory: need not exist.
        config: of the job that would write to it; None if unknown.
    """
    try:
        (directory / RESULTS).stat()
    except FileNotFoundError:
        known = _known_unfinished(directory)
    except OSError:
        return False
    else:
        try:
            known = load_results(directory / RESULTS)
        except (OSError, ValueError, NewerSchemaError):  # unreadable, so possibly a finished run
            return False
        if known.finished:
            return False
    if config is None:
        return known.config_hash is None
    return known.config_hash in (None, config_hash(config)) and has_same_images(known, config)


def can_resume(directory: Path, config: Config) -> bool:
    """Return whether an unfinished job can be resumed: it has a checkpoint of the same configuration and images.

    Args:
        directory: of the job.
        config: the job's resolved configuration.
    """
    before = unfinished_results(directory)
    if before is None or not (directory / CHECKPOINT).exists() or before.config_hash != config_hash(config):
        return False
    return has_same_images(before, config)


def _running(sweep: Path, digest: str) -> list[Path]:
    """Return the directories of a sweep with a run of the configuration that is running, or was until it died."""
    directories = [file.parent for file in sorted(sweep.glob(f"*/{RUNNING}"))]
    return [one for one in directories if _known_unfinished(one).config_hash == digest]


def _known_unfinished(directory: Path) -> RunResults:
    """Return the results of a run that is not finished, empty ones if it was not opened in the tracking store."""
    return unfinished_results(directory) or RunResults(run_id=None)


def write_failure(directory: Path, error: str, overrides: list[str], config: Config | None = None) -> None:
    """Write results.json for a job that failed before it could do so itself.

    Args:
        directory: of the job.
        error: why it failed.
        overrides: of the job.
        config: the job's resolved configuration; None if it has none.

    Raises:
        HeadstartError: when the directory holds a finished run.
    """
    if is_finished(directory):
        raise HeadstartError(f"Expected a directory without a finished run. Received: {directory}")
    results = RunResults(
        run_id=None,
        status="FAILED",
        error=error,
        overrides=tuple(overrides),
        output=str(directory),
        config_hash=config_hash(config) if config else None,
    )
    write_results(directory, results)
    log_end(directory, "FAILED", error)


def mark_interrupted(sweep: Path) -> list[Path]:
    """Set the status of runs whose process was killed to KILLED, on disk and in the tracking store.

    Args:
        sweep: directory of the sweep; its running jobs are left alone.
    """
    interrupted = []
    for file in sorted(sweep.glob(f"*/{RUNNING}")):
        try:
            with locked(file.parent):
                if file.exists():  # the run may have ended since the directory was listed
                    mark_dead(file.parent, "KILLED", "The process of this run was killed.")
                    interrupted.append(file.parent)
        except InUseError:
            continue
    return interrupted


def mark_dead(directory: Path, status: str, reason: str) -> None:
    """Set the status of an unfinished run whose process died, on disk and in the tracking store.

    Args:
        directory: of the run, with its `running.json`.
        status: `KILLED`, or `FAILED` if the process died by itself.
        reason: a sentence.
    """
    from headstart.tracking import continue_run, record_tracking

    running = load_results(directory / RUNNING)
    if not is_finished(directory):
        write_results(directory, dataclasses.replace(running, status=status, error=reason))
        log_end(directory, status, reason)
        run = continue_run(directory)
        if run is not None:
            run.explain(reason, reason)
            run.end(status)
            run.close()
            record_tracking(directory)
    (directory / RUNNING).unlink()
