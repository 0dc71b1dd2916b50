"""`headstart train`: run Hydra, report errors with a tip, and return an exit code."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from headstart import config
from headstart.cli.parser import argument_error
from headstart.config.explain import explain
from headstart.config.mistyped import unknown_flag
from headstart.core.console import allow_any_file_name, console
from headstart.core.error_output import print_error
from headstart.core.errors import HeadstartError
from headstart.core.full_disk import disk_full_error, is_disk_full
from headstart.core.paths import conf_directory
from headstart.core.program import prepare_program
from headstart.core.signals import exit_code, handle_signals
from headstart.results.runs import objective
from headstart.results.types import RunResults
from headstart.run.reproduce import configuration_to_reproduce, describe_reproduction
from headstart.run.resume import (
    expect_only_execution_settings,
    find_interrupted,
    find_unfinished,
    with_execution_settings,
)
from headstart.sweep.end import finish_sweep

FAILURES: list[str] = []  # texts, because an exception would keep everything in its traceback alive
STARTS: list[float] = []  # start time of the process, until the first job takes it


def run_job(composed: DictConfig) -> float | tuple[float, float] | None:
    """Run one configuration and return the value of `objective` for sweepers.

    Args:
        composed: the configuration that Hydra composed.
    """
    from hydra.core.hydra_config import HydraConfig

    own = HydraConfig.get()
    launched_in = Path(own.runtime.cwd)  # Hydra may have changed the working directory since
    config.make_paths_absolute(composed, launched_in)
    if not OmegaConf.is_missing(own.job, "num"):
        from headstart.sweep.job import run_member

        return run_member(composed, own)  # type: ignore[arg-type]
    from headstart.run.experiment import run
    from headstart.run.workers import command_workers

    started = STARTS.pop() if STARTS else None
    overrides = config.unresolved_overrides(own.overrides.task)
    try:
        resolved = config.resolve(composed, overrides, config.search_path_of(own))
        output, resume = Path(own.runtime.output_dir), False
        if resolved.plan:
            _plan(resolved, output, str(own.output_subdir))
            return None
        if resolved.resume is not None:  # auto: `train` has handled all other values
            interrupted = find_interrupted(resolved, output)
            if interrupted is not None and interrupted != output:
                shutil.rmtree(output / str(own.output_subdir), ignore_errors=True)
                with contextlib.suppress(OSError):  # a user's directory that is not empty
                    output.rmdir()  # created by Hydra a moment ago
            output, resume = interrupted or output, interrupted is not None
            resolved = dataclasses.replace(resolved, resume=None)
        if resolved.reproduce is not None:
            resolved, overrides = configuration_to_reproduce(resolved, overrides, output, launched_in)
        with command_workers(resolved):
            results = run(resolved, output, started, overrides=overrides, resume=resume)
    except HeadstartError as error:  # Hydra would print a longer text
        FAILURES.append(str(error))
        print_error(error)
        return None
    _fail_where_it_differs(results)
    return objective(results, composed.objective)


def _plan(resolved: config.Config, output: Path, of_hydra: str) -> None:
    """Print the plan of a run, and remove the directory that Hydra created for it."""
    from headstart.run.plan import plan_run

    try:
        plan_run(resolved, output)
    finally:
        if {place.name for place in output.iterdir()} <= {of_hydra}:
            shutil.rmtree(output)


def train(started: float) -> int:
    """Read the command line in `sys.argv`, run its jobs, and return the exit code.

    Args:
        started: when the process began, in seconds since the epoch.
    """
    allow_any_file_name()
    prepare_program()
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # makes Hydra raise, so that errors are reported below
    config.register_schema()
    sys.argv[1:] = config.quote_options(config.use_current_names(config.expand_home(sys.argv[1:])))
    STARTS.append(started)
    handle_signals()
    code, interrupted = 1, False
    words: list[str] = []
    try:
        words = overrides()
        config.expect_quoted_text(words)
        if not _resume(started):
            hydra.main(version_base="1.3", config_path=str(conf_directory()), config_name="config")(run_job)()
        code = 0
    except (HeadstartError, HydraException, OmegaConfBaseException) as error:
        print_error(explain(error, words))
    except Exception as error:
        if is_disk_full(error):
            print_error(disk_full_error(error, "run the same command again"))
        elif isinstance(error, OSError) and error.filename is not None:
            print_error(error)  # such as a directory that is not writable
        else:
            raise
    except KeyboardInterrupt as interruption:
        console.print("Interrupted.")
        interrupted = True
        code = exit_code(interruption)
    finally:
        ending = finish_sweep(interrupted)
    gc.freeze()  # skips a last garbage collection, which takes a second
    return code or ending or (1 if FAILURES else 0)


def _resume(started: float) -> bool:
    """Resume the run that `resume=RUN` names and return True; without `resume` return False."""
    named = config.find_override_value(sys.argv[1:], "resume")
    if named is None or named in ("auto", "null"):
        return False
    given = config.drop_overrides(sys.argv[1:], ["resume"])
    expect_only_execution_settings(named, given)
    directory, stored = find_unfinished(named)
    stored = with_execution_settings(stored, given)
    from headstart.run.experiment import run
    from headstart.run.workers import command_workers

    with command_workers(stored):
        results = run(stored, directory, started, resume=True)
    _fail_where_it_differs(results)
    return True


def _fail_where_it_differs(results: RunResults) -> None:
    """Make the command fail if a run differs from the run that it reproduces."""
    if results.reproduces and results.reproduces.verdict == "differs":
        FAILURES.append(describe_reproduction(results.reproduces))


def overrides() -> list[str]:
    """Return the words of the command line that are no flags.

    Raises:
        HeadstartError: for a flag that Hydra does not have; argparse alone would print its whole usage.
    """
    from hydra._internal.utils import get_args_parser

    parser = get_args_parser()

    def refuse(message: str) -> NoReturn:
        unknown = next((word for word in message.split() if word.startswith("-")), None)
        if unknown is None or not message.startswith("unrecognized"):
            raise argument_error(message, parser)
        flags = [flag for action in parser._actions for flag in action.option_strings]
        raise unknown_flag(unknown, sys.argv[1:], flags)

    parser.error = refuse  # type: ignore[method-assign]
    overrides: list[str] = parser.parse_args().overrides
    return overrides
