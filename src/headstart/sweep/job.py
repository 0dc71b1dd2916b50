"""Runs one job of a sweep in its own process, unless it is already done, and records failures at once."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from omegaconf import DictConfig
from rich.markup import escape

from headstart import config as configuration
from headstart.core.console import console
from headstart.core.error_output import print_error
from headstart.core.errors import HeadstartError
from headstart.core.process_lock import InUseError, live_owner
from headstart.results.file import RESULTS, read_results
from headstart.results.runs import CHECKPOINT, RUNNING, is_finished, objective
from headstart.results.types import RunResults
from headstart.run.resume import LOCK, locked
from headstart.sweep.record import Sweep
from headstart.sweep.results import JobDirectory, find_job_directory, free_directory, mark_dead, write_failure
from headstart.sweep.subprocesses import acquire_slot, run_in_subprocess, set_cpu_affinity

STOPPED = "stopped"  # file in a sweep's directory, written when a job fails with on_error=stop


class JobFailed(HeadstartError):
    """A job of a sweep has failed; raised only for sweepers that need a result of each job."""


def run_member(composed: DictConfig, hydra: DictConfig) -> float | tuple[float, float] | None:
    """Run one job of a sweep unless it is done, and return its `objective`.

    Args:
        composed: the job's configuration from Hydra.
        hydra: its section `hydra`.

    Raises:
        JobFailed: when the job fails and the sweeper learns from each job; other sweepers continue.
    """
    sweep = Sweep.load(Path(hydra.sweep.dir))
    number, overrides = int(hydra.job.num), configuration.unresolved_overrides(hydra.overrides.task)
    label = sweep.label(overrides)
    _set_environment(sweep.environment)
    with _slot(sweep) as share:
        _exit_if_abandoned(sweep)  # a worker may outlive the sweep, with jobs in its queue
        resolve = partial(configuration.resolve, composed, overrides, configuration.search_path_of(hydra))
        results = _results(sweep, resolve, Path(hydra.runtime.output_dir), number, overrides, share)
    if results is not None and results.finished:
        return objective(results, composed.objective)
    if not hydra.sweeper._target_.endswith("BasicSweeper"):
        raise JobFailed(f"{label}: {_reason(results)}")
    return None


def _set_environment(environment: dict[str, str | None]) -> None:
    """Set the environment variables of the launching process, which some launchers do not pass on."""
    for name, value in environment.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _exit_if_abandoned(sweep: Sweep) -> None:
    """Exit if the launching process has died: launching the sweep again would run this job twice in one directory."""
    if sweep.is_abandoned():
        raise SystemExit(f"The process that launched {sweep.name} has died")


@contextlib.contextmanager
def _slot(sweep: Sweep) -> Iterator[tuple[int, int]]:
    """Yield the number of the job's slot on this machine and the number of slots; wait for a free one."""
    if sweep.at_once == 1 and sweep.processors is None:
        yield 0, 1  # jobs run one after the other, or a scheduler divides the machine
        return
    slots = sweep.slots()
    directory = sweep.path / "places" / socket.gethostname()
    directory.mkdir(parents=True, exist_ok=True)
    slot, lock = acquire_slot(directory, slots)
    try:
        yield slot, slots
    finally:
        lock.release()


def _results(
    sweep: Sweep,
    resolve: Callable[[], configuration.Config],
    preferred: Path,
    number: int,
    overrides: list[str],
    share: tuple[int, int],
) -> RunResults | None:
    """Return the results of a job; None if it was not started."""
    label = sweep.label(overrides)
    started = time.time()
    if (sweep.path / STOPPED).exists():
        sweep.note("not started", number, label)
        return None
    try:
        config = resolve()
    except HeadstartError as error:  # proposed by a sweeper; all other jobs were checked before the sweep started
        output = free_directory(preferred, None)
        output.mkdir(parents=True, exist_ok=True)
        write_failure(output, str(error), overrides)
        run_in_subprocess(record_failure, sweep, output, label, _tags(sweep), str(error), log=output / "console.log")
        return _end(sweep, number, label, started, output)
    place = find_job_directory(sweep.path, preferred, config)
    if place.state == "done" and place.results is not None:
        accuracy = objective(place.results, "accuracy")
        sweep.note("found", number, label, directory=place.directory.name, accuracy=accuracy)
        return place.results
    if place.state == "free":
        place = _cleared(place)
    if place.state != "free":
        sweep.note(place.state, number, label, directory=place.directory.name, error=place.reason)
        return None
    output = place.directory
    sweep.note("started", number, label, directory=output.name)
    log = output / "console.log"
    try:
        with _watch(sweep, number, label, log) as look:
            text = configuration.to_yaml(config)
            arguments = (text, output, overrides, _tags(sweep), share, place.resume, sweep.swept)
            code = run_in_subprocess(train, *arguments, log=log, while_it_runs=look)
    except (KeyboardInterrupt, SystemExit):
        sweep.note("killed", number, label, directory=output.name)
        raise
    except Exception as error:  # noqa: BLE001  # raised by a scheduler that ends the job, such as submitit at timeout
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        sweep.note("killed", number, label, directory=output.name, error=reason)
        return read_results(output)
    owner = live_owner(output / LOCK)
    if owner is not None:  # another process took the directory just before this job did
        reason = f"This job is already running ({owner})"
        sweep.note("in progress", number, label, directory=output.name, error=reason)
        return None
    ended = read_results(output)
    if ended is None or (not ended.finished and not ended.run_id):
        reason = str(ended.error) if ended else _death(code)
        if ended is None:
            write_failure(output, reason, overrides, config)
        run_in_subprocess(record_failure, sweep, output, label, _tags(sweep), reason, log=log)
    return _end(sweep, number, label, started, output)


def _tags(sweep: Sweep) -> dict[str, str]:
    """Return the tags of a job's run in the tracking store."""
    return {"sweep": sweep.name, "mlflow.parentRunId": sweep.parent_run_id}


def _cleared(place: JobDirectory) -> JobDirectory:
    """Delete the files of an earlier attempt in a free directory; return another state if it is no longer free."""
    place.directory.mkdir(parents=True, exist_ok=True)
    left = ("console.log", *(() if place.resume else (RESULTS, RUNNING, CHECKPOINT)))
    try:
        with locked(place.directory):
            if is_finished(place.directory):  # by another process, since it was checked
                return JobDirectory("in progress", place.directory, reason="Another process has just finished this job")
            for name in left:
                (place.directory / name).unlink(missing_ok=True)
    except InUseError as error:
        return JobDirectory("in progress", place.directory, reason=str(error))
    return place


@contextlib.contextmanager
def _watch(sweep: Sweep, number: int, label: str, log: Path) -> Iterator[Callable[[], None]]:
    """Yield a function to call while a job runs: it shows a single job's status on the terminal's last line."""
    if not (sweep.alone and console.is_terminal):
        yield lambda: _exit_if_abandoned(sweep)
        return
    position = f"job {number + 1}" + (f" of {sweep.jobs}" if sweep.jobs else "")
    with console.status("") as status:

        def look() -> None:
            text = f"{position}  {label}  {_last_line(log)}"
            status.update(escape(text[: max(20, console.width - 4)]))

        yield look


def _last_line(file: Path) -> str:
    """Return the last non-empty line of a file; empty if the file does not exist yet."""
    try:
        with file.open("rb") as opened:
            opened.seek(max(0, file.stat().st_size - 1000))
            lines = [line.strip() for line in opened.read().decode(errors="replace").splitlines() if line.strip()]
    except FileNotFoundError:
        return ""
    return lines[-1] if lines else ""


def train(
    text: str,
    output: Path,
    overrides: list[str],
    tags: dict[str, str],
    share: tuple[int, int],
    resume: bool,
    swept: Sequence[str],
) -> int:
    """Run one configuration and return the exit code; called in a subprocess.

    Args:
        text: the resolved configuration as YAML.
        output: directory of the run.
        overrides: of the job, for results.json.
        tags: of the run in the tracking store.
        share: slot and number of slots, see `set_cpu_affinity`.
        resume: whether to resume the run in the directory.
        swept: keys that the sweep varies.
    """
    set_cpu_affinity(*share)
    from headstart.run.experiment import run

    try:
        run(configuration.from_yaml(text), output, tags=tags, overrides=overrides, resume=resume, swept=swept)
    except HeadstartError as error:
        print_error(error)
        return 1
    return 0


def record_failure(sweep: Sweep, output: Path, label: str, tags: dict[str, str], reason: str) -> int:
    """Log a job that failed without closing its run to the tracking store; called in a subprocess.

    Args:
        sweep: that the job belongs to.
        output: directory of the job.
        label: of the job.
        tags: of the run.
        reason: of the failure.
    """
    from headstart.tracking import begin_run, record_tracking

    if (output / RUNNING).exists():
        mark_dead(output, "FAILED", reason)
        return 0
    tags = {**tags, "output": str(output)}
    run = begin_run(sweep.tracking_uri, sweep.tracking_experiment, label, tags, output, allow_offline=True)
    details = output / "error.txt"
    run.explain(reason, details.read_text(encoding="utf-8") if details.exists() else reason)
    run.log_files(file for file in (output / "config.yaml", output / "console.log") if file.exists())
    run.end("FAILED")
    run.close()
    record_tracking(output)
    return 0


def _end(sweep: Sweep, number: int, label: str, started: float, output: Path) -> RunResults:
    """Note how a job ended, and return its results."""
    results = read_results(output) or RunResults(run_id=None)
    event = {"FINISHED": "finished", "KILLED": "killed"}.get(results.status, "failed")
    sweep.note(
        event,
        number,
        label,
        directory=output.name,
        seconds=round(time.time() - started, 1),
        accuracy=objective(results, "accuracy"),
        error=results.first_error_line,
    )
    if event != "finished" and sweep.on_error == "stop":
        (sweep.path / STOPPED).touch()
    return results


def _reason(results: RunResults | None) -> str:
    """Say why a job has no result."""
    if results is None:
        return "not started; the lines above say why"
    return results.error or results.status


def _death(code: int) -> str:
    """Return how a process ended that left no results."""
    memory = " (often out of memory: run fewer jobs at once or use a smaller batch_size)" if code == -9 else ""
    how = f"was killed by signal {-code}{memory}" if code < 0 else f"ended with exit code {code}"
    return f"The process of this job {how}; see console.log for its output"
