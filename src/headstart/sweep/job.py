"""One job of a sweep: found done, planned, or run in a process of its own; what fails is recorded at once."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from omegaconf import DictConfig
from rich.markup import escape

from headstart import config as configuration
from headstart.core.console import console
from headstart.core.errors import HeadstartError
from headstart.core.process_lock import InUseError, live_owner
from headstart.results.file import RESULTS, read_results
from headstart.results.runs import CHECKPOINT, RUNNING, is_finished, objective
from headstart.results.types import RunResults
from headstart.run.resume import LOCK, locked
from headstart.sweep.record import Sweep
from headstart.sweep.results import JobDirectory, find_job_directory, free_directory, mark_dead, write_failure
from headstart.sweep.subprocesses import acquire_slot, run_in_subprocess, set_cpu_affinity

STOPPED = "stopped"  # file in a sweep's directory, where on_error=stop and a job failed


class JobFailed(HeadstartError):
    """A job of a sweep has failed; told to sweepers that count on a result of each job."""


def run_member(composed: DictConfig, hydra: DictConfig) -> float | tuple[float, float] | None:
    """Run one job of a sweep, unless it is done, and return what `objective` says.

    Args:
        composed: the job's configuration as Hydra hands it over.
        hydra: Hydra's own part of it.

    Raises:
        JobFailed: when it fails and the sweeper is one that learns from each job; others go on.
    """
    sweep = Sweep.load(Path(hydra.sweep.dir))
    number, overrides = int(hydra.job.num), configuration.as_typed(hydra.overrides.task)
    label = sweep.label(overrides)
    _adopt(sweep.environment)
    with _place(sweep) as share:
        _stop_if_abandoned(sweep)  # a worker may outlive the sweep, with jobs in its queue
        resolve = partial(configuration.resolve, composed, overrides, configuration.search_path_of(hydra))
        results = _results(sweep, resolve, Path(hydra.runtime.output_dir), number, overrides, share)
    if results is not None and results.finished:
        return objective(results, composed.objective)
    if not hydra.sweeper._target_.endswith("BasicSweeper"):
        raise JobFailed(f"{label}: {_reason(results)}")
    return None


def _adopt(environment: dict[str, str | None]) -> None:
    """Set the variables that the launching process had, which a launcher may not have handed on."""
    for name, value in environment.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _stop_if_abandoned(sweep: Sweep) -> None:
    """Let nothing go on whose sweep was killed: the same command would start it a second time, in the same place."""
    if sweep.is_abandoned():
        raise SystemExit(f"The process that launched {sweep.name} is gone")


@contextlib.contextmanager
def _place(sweep: Sweep) -> Iterator[tuple[int, int]]:
    """Yield the job's place on this machine and how many there are; waits where all are taken."""
    if sweep.at_once == 1 and sweep.processors is None:
        yield 0, 1  # one after the other, or where a scheduler divides the machine
        return
    places = sweep.places()
    directory = sweep.path / "places" / socket.gethostname()
    directory.mkdir(parents=True, exist_ok=True)
    place, lock = acquire_slot(directory, places)
    try:
        yield place, places
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
    except HeadstartError as error:  # where a sweeper proposed it; others were asked before the sweep began
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
        with _watched(sweep, number, label, log) as look:
            arguments = (configuration.to_yaml(config), output, overrides, _tags(sweep), share, place.resume)
            code = run_in_subprocess(train, *arguments, log=log, while_it_runs=look)
    except (KeyboardInterrupt, SystemExit):
        sweep.note("killed", number, label, directory=output.name)
        raise
    except Exception as error:  # noqa: BLE001  # of a scheduler that ends the job, such as submitit where time is up
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        sweep.note("killed", number, label, directory=output.name, error=reason)
        return read_results(output)
    owner = live_owner(output / LOCK)
    if owner is not None:  # which took the directory just before this job did
        reason = f"This job is in progress already ({owner})"
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
    """Return a free place without what an earlier attempt left there, or what is to be said if it is taken by now."""
    place.directory.mkdir(parents=True, exist_ok=True)
    left = ("console.log", *(() if place.resume else (RESULTS, RUNNING, CHECKPOINT)))
    try:
        with locked(place.directory):
            if is_finished(place.directory):  # by another process, since it was looked at
                return JobDirectory("in progress", place.directory, reason="Another process has just finished this job")
            for name in left:
                (place.directory / name).unlink(missing_ok=True)
    except InUseError as error:
        return JobDirectory("in progress", place.directory, reason=str(error))
    return place


@contextlib.contextmanager
def _watched(sweep: Sweep, number: int, label: str, log: Path) -> Iterator[Callable[[], None]]:
    """Yield what looks after a job; one that runs alone is shown on the last line of the terminal."""
    if not (sweep.alone and console.is_terminal):
        yield lambda: _stop_if_abandoned(sweep)
        return
    position = f"job {number + 1}" + (f" of {sweep.jobs}" if sweep.jobs else "")
    with console.status("") as status:

        def look() -> None:
            text = f"{position}  {label}  {_last_line(log)}"
            status.update(escape(text[: max(20, console.width - 4)]))

        yield look


def _last_line(file: Path) -> str:
    """Return the last line with text in a file that may not be there yet."""
    try:
        with file.open("rb") as opened:
            opened.seek(max(0, file.stat().st_size - 1000))
            lines = [line.strip() for line in opened.read().decode(errors="replace").splitlines() if line.strip()]
    except FileNotFoundError:
        return ""
    return lines[-1] if lines else ""


def train(
    text: str, output: Path, overrides: list[str], tags: dict[str, str], share: tuple[int, int], resume: bool
) -> int:
    """Run one configuration in this process and return the exit code; called in a process of its own.

    Args:
        text: the resolved configuration as YAML.
        output: directory of the run.
        overrides: of the job, for results.json.
        tags: of the run in the tracking store.
        share: of the machine, see `set_cpu_affinity`.
        resume: whether to go on with the run that the directory holds.
    """
    set_cpu_affinity(*share)
    from headstart.run.experiment import run

    try:
        run(configuration.from_yaml(text), output, tags=tags, overrides=overrides, resume=resume)
    except HeadstartError as error:
        console.print(f"Error: {error}", markup=False, soft_wrap=True)
        return 1
    return 0


def record_failure(sweep: Sweep, output: Path, label: str, tags: dict[str, str], reason: str) -> int:
    """Show in the tracking store what failed before or without closing its run; called in a process of its own.

    Args:
        sweep: that the job belongs to.
        output: directory of the job.
        label: of the job.
        tags: of the run.
        reason: what went wrong.
    """
    from headstart.tracking import begin_run, record_tracking

    if (output / RUNNING).exists():
        mark_dead(output, "FAILED", reason)
        return 0
    tags = {**tags, "output": str(output)}
    run = begin_run(sweep.tracking_uri, sweep.tracking_experiment, label, tags, output, may_wait=True)
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
    """Say how a process ended that left no results."""
    memory = " (often: out of memory; fewer jobs at once or a smaller batch_size need less)" if code == -9 else ""
    how = f"was killed by signal {-code}{memory}" if code < 0 else f"ended with exit code {code}"
    return f"The process of this job {how}; console.log has what it printed"
