"""Prepares a sweep in the launching process before any job starts: its name, directory, lock and parent run."""

from __future__ import annotations

import dataclasses
import hashlib
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from headstart import config as configuration
from headstart.config.explain import explain
from headstart.config.fields import Decides
from headstart.config.keys import effect_of
from headstart.core.console import console, count_of, short_path
from headstart.core.environment import command_line
from headstart.core.error_output import print_error
from headstart.core.errors import HeadstartError
from headstart.core.files import file_name
from headstart.core.process_lock import Lock, Process
from headstart.sweep import end, launchers
from headstart.sweep.check_jobs import InvalidJobs, check_jobs
from headstart.sweep.job import STOPPED
from headstart.sweep.record import RECORD, Sweep, job_label
from headstart.sweep.results import mark_interrupted
from headstart.tracking import begin_run, check_store, continue_run, store_uri

NOT_OF_THE_NAME = (Decides.COMMAND, Decides.NOTHING)  # what keys decide that leave the figures of the jobs the same
NOT_OF_THE_FIRST_NAMES = ("plan", "on_error", "sweep.name", "sweep")  # all keys that the first versions left out


class SweepCallback(Callback):
    """Prepares a sweep before its jobs start, or prints its plan with `plan=true`."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Name the sweep, lock its directory, open its parent run, and pass the directory on to the jobs.

        Raises:
            SystemExit: with code 0 after a plan, with code 1 after an error. Hydra turns any other exception into a
                warning and starts the jobs.
        """
        try:
            if config.plan:
                show_plan(config)
                sys.exit(0)
            prepare_sweep(config)
        except (HeadstartError, HydraException) as error:
            print_error(explain(error))
            if isinstance(error, InvalidJobs):
                error.print()
            sys.exit(1)
        except OSError as error:
            if error.filename is None:
                traceback.print_exc()
            else:  # a directory that cannot be written, a full disk
                print_error(error)
            sys.exit(1)
        except Exception:  # noqa: BLE001  # no job may start in a sweep that could not be prepared
            traceback.print_exc()
            sys.exit(1)


def prepare_sweep(config: DictConfig) -> None:
    """Create the sweep of this command, or open the one that the same command created before.

    Args:
        config: of the sweep, including `hydra`, whose sweep directory and launcher are changed.

    Raises:
        HeadstartError: when the sweep is already running, or the tracking store cannot be reached.
    """
    _one_job_a_fold(config)
    hydra = config.hydra
    overrides = _overrides(hydra)
    _expect_a_difference(overrides)
    swept = tuple(override.key_or_group for override in overrides if override.is_sweep_override())
    basic = hydra.sweeper._target_.endswith("BasicSweeper")
    directory = _directory(config, overrides, swept)
    with read_write(hydra), open_dict(hydra):
        hydra.sweep.dir = str(directory)
        quoted = configuration.quote_value(directory)
        hydra.overrides.hydra.append(f"hydra.sweep.dir={quoted}")  # which the jobs are composed with
        if not launchers.is_given(hydra, "hydra.output_subdir"):
            hydra.overrides.hydra.append("hydra.output_subdir=null")  # else Hydra writes into directories of done jobs
    launchers.adjust(hydra)
    # Without the groups that only the jobs choose; the tracking store is one for all.
    tracking = configuration.TrackingConfig(**OmegaConf.to_container(config.tracking, resolve=True))  # type: ignore
    uri = store_uri(tracking)
    sweep = Sweep(
        name=directory.name,
        directory=str(directory),
        command=command_line(),
        swept=swept,
        jobs=len(_jobs(overrides)) if basic else None,
        at_once=launchers.jobs_at_once(hydra.launcher),
        processors=launchers.processors_of_a_job(hydra.launcher),
        environment=launchers.environment_of_a_job(hydra.launcher),
        alone=hydra.launcher._target_ == launchers.BASIC,
        on_error=config.on_error,
        launch=uuid4().hex[:8],
        tracking_uri=uri,
        tracking_experiment=tracking.experiment,
        parent_run_id="",
        launcher=None if launchers.name_of(hydra.launcher) == launchers.SLURM else Process.current(),
    )
    if basic:
        _refuse_invalid(hydra, directory, _labelled(overrides, swept))
    check_store(uri, tracking.experiment)
    directory.mkdir(parents=True, exist_ok=True)
    lock = Lock(directory / "sweep.lock", "sweep")
    try:
        (directory / STOPPED).unlink(missing_ok=True)
        mark_interrupted(directory)
        sweep = _with_parent_run(sweep)
        sweep.save()
    except BaseException:
        lock.release()
        raise
    _print_start(sweep)
    end.register_sweep(sweep, lock)


def _print_start(sweep: Sweep) -> None:
    """Print what the sweep varies, and its directory."""
    jobs = count_of(sweep.jobs, "job") if sweep.jobs else "jobs"
    keys = ", ".join(sweep.swept) or "nothing"
    console.print(f"[bold]Sweep[/] of {jobs} over {keys}: {short_path(sweep.directory)}")


def _refuse_invalid(hydra: DictConfig, directory: Path, jobs: list[tuple[str, list[str]]]) -> None:
    """Raise if a job of the sweep cannot run; warn about finished jobs whose images cannot be read."""
    reads_images = launchers.name_of(hydra.launcher) not in launchers.ELSEWHERE
    for reason, labels in check_jobs(directory, jobs, _composer(hydra), reads_images).items():
        end.warn_about_unreadable_images(len(labels), reason)


def show_plan(config: DictConfig) -> None:
    """Print the plan of the sweep without running it.

    Args:
        config: of the sweep, including `hydra`.

    Raises:
        HeadstartError: when the sweeper chooses jobs only as it runs.
    """
    from headstart.sweep.plan import plan_jobs, print_plan

    _one_job_a_fold(config)
    hydra = config.hydra
    if not hydra.sweeper._target_.endswith("BasicSweeper"):
        raise HeadstartError(
            "Expected plan=true with Hydra's basic sweeper, whose jobs are known in advance. "
            f"Received: {hydra.sweeper._target_.rpartition('.')[2]}"
        )
    overrides = _overrides(hydra)
    _expect_a_difference(overrides)
    swept = [override.key_or_group for override in overrides if override.is_sweep_override()]
    directory = _directory(config, overrides, swept)
    compose = _composer(hydra)
    jobs = [(label, partial(compose, job)) for label, job in _labelled(overrides, swept)]
    print_plan(directory.name, directory, plan_jobs(directory, jobs), launchers.jobs_at_once(hydra.launcher))


def _composer(hydra: DictConfig) -> Callable[[list[str]], configuration.Config]:
    """Return what makes the configuration of a job of its overrides, as Hydra will compose it."""
    from hydra import compose

    name, kept = str(hydra.job.config_name), configuration.unresolved_overrides(hydra.overrides.hydra)
    places = configuration.search_path_of(hydra)

    def configuration_of(job: list[str]) -> configuration.Config:
        try:
            return configuration.resolve(compose(name, [*kept, *configuration.quote_options(job)]), job, places)
        except (HydraException, OmegaConfBaseException) as error:
            raise explain(error, job) from error

    return configuration_of


def _with_parent_run(sweep: Sweep) -> Sweep:
    """Return the sweep with its parent run, which an earlier launch of the same sweep may have created."""
    if (sweep.path / RECORD).exists():
        before = Sweep.load(sweep.path)
        if before.tracking_uri == sweep.tracking_uri:
            parent = continue_run(sweep.path)
            if parent is not None:
                parent.reopen()
                parent.close()
                return dataclasses.replace(sweep, parent_run_id=before.parent_run_id)
    tags = {"sweep": sweep.name, "output": sweep.directory, "command": sweep.command}
    parent = begin_run(sweep.tracking_uri, sweep.tracking_experiment, f"sweep {sweep.name}", tags, sweep.path)
    parent.close()
    return dataclasses.replace(sweep, parent_run_id=parent.run_id)


def _one_job_a_fold(config: DictConfig) -> None:
    """Sweep over the folds of a cross-validation unless the command chooses a fold."""
    hydra = config.hydra
    chosen = (
        configuration.find_override_value(configuration.unresolved_overrides(hydra.overrides.task), "cv.fold")
        is not None
    )
    if config.cv.folds is not None and config.cv.fold is None and not chosen:
        if not hydra.sweeper._target_.endswith("BasicSweeper"):
            raise HeadstartError(
                "Expected cv.fold to be set for a sweeper that searches; it would pick the easiest fold. "
                f"Received: cv.folds={config.cv.folds} with {hydra.sweeper._target_.rpartition('.')[2]}"
            )
        with read_write(hydra), open_dict(hydra):
            hydra.overrides.task.append(f"cv.fold=range({config.cv.folds})")


def _overrides(hydra: DictConfig) -> list[Override]:
    """Return what the sweep's own parameters and the command line say, the later one of each key."""
    texts = [f"{key}={value}" for key, value in (hydra.sweeper.get("params") or {}).items()]
    parsed = configuration.parse_overrides([*texts, *configuration.unresolved_overrides(hydra.overrides.task)])
    overrides = list({override.key_or_group: override for override in parsed}.values())
    _expect_one_option(hydra, [override.key_or_group for override in overrides if override.is_sweep_override()])
    return overrides


def _expect_a_difference(overrides: list[Override]) -> None:
    """Raise for `-m` alone, which sweeps over nothing, or with `reproduce`, which runs one stored configuration.

    Raises:
        HeadstartError: with an example.
    """
    if any(override.key_or_group == "reproduce" for override in overrides):
        raise HeadstartError("Expected reproduce without -m: it runs one stored configuration. Received: both")
    if all(override.key_or_group in NOT_OF_THE_FIRST_NAMES for override in overrides):
        raise HeadstartError(
            "Expected a key with several values for -m. Received: none",
            "headstart train -m seed=0,1,2 makes three runs; without -m it is one",
        )


def _expect_one_option(hydra: DictConfig, swept: Sequence[str]) -> None:
    """Raise if the sweeper's parameters refer to a group that is swept: they have its values of one option only."""
    params = OmegaConf.to_container(hydra.sweeper, resolve=False).get("params") or {}  # type: ignore[union-attr]
    for key, value in params.items():
        group = next((group for group in swept if f"${{{group}." in str(value)), None)
        if group is not None:
            raise HeadstartError(
                f"Expected one {group} for this sweep, whose values of {key} depend on it. Received: several",
                f"run the sweep once for each {group}",
            )


def _labelled(overrides: list[Override], swept: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Return the label and the overrides of each job of Hydra's own sweeper."""
    return [(job_label(job, swept), job) for job in _jobs(overrides)]


def _jobs(overrides: list[Override]) -> list[list[str]]:
    """Return what Hydra's own sweeper makes of the overrides: those of each job."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    return BasicSweeper.split_arguments(overrides, None)[0]


def _is_left_out(override: Override) -> bool:
    """Return whether an override leaves the figures of the jobs the same, so that the name of the sweep does too."""
    decides = effect_of(configuration.Config, override.key_or_group)
    return decides in NOT_OF_THE_NAME and not override.is_sweep_override()


def _directory(config: DictConfig, overrides: list[Override], swept: Sequence[str]) -> Path:
    """Return the directory of the sweep: the same one for the same command, unless it is named."""
    hydra = config.hydra
    if launchers.is_given(hydra, "hydra.sweep.dir"):
        return Path(str(hydra.sweep.dir)).absolute()
    parent = Path(str(hydra.sweep.dir)).absolute().parent
    named = any(override.key_or_group == "sweep.name" for override in overrides)
    if named and config.sweep.name:
        return parent / file_name(config.sweep.name)
    deciding = [item for item in overrides if not _is_left_out(item)]
    first = [item for item in overrides if item.key_or_group not in NOT_OF_THE_FIRST_NAMES]
    names = [_directory_name(config, given, swept, former=True) for given in (deciding, first)]
    earlier = [parent / name for name in names if (parent / name).is_dir()]  # where an earlier version has made it
    return earlier[0] if earlier else parent / _directory_name(config, deciding, swept)


def _directory_name(config: DictConfig, given: list[Override], swept: Sequence[str], former: bool = False) -> str:
    """Return the name of a sweep's directory.

    Args:
        config: of the sweep, including `hydra`.
        given: the overrides that the name depends on.
        swept: keys that the sweep varies.
        former: whether earlier versions made the directory, which had other names for some keys and values.
    """
    lines = [item.input_line or "" for item in given]
    if former:
        lines, swept = configuration.use_former_names(lines), configuration.former_keys(swept)
    text = "\n".join([config.hydra.sweeper._target_, *sorted(lines)])
    digest = hashlib.sha256(text.encode()).hexdigest()[:6]
    words = config.sweep.name or "_".join(key.rpartition(".")[2] for key in swept) or "sweep"
    return f"{file_name(words)[:60]}-{digest}"
