"""What `run.py` does around a run: errors as sentences, exit codes, the jobs of a sweep that go on when one fails."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from headstart import config
from headstart.console import console
from headstart.errors import HeadstartError

FAILURES: list[HeadstartError] = []  # of the jobs of this process
STARTS: list[float] = []  # when the process began, until its first job has taken it


def run_job(composed: DictConfig) -> float | None:
    """Run one configuration and return the validation accuracy, where there is one, for sweepers.

    Args:
        composed: the configuration as Hydra hands it over.
    """
    from hydra.core.hydra_config import HydraConfig

    from headstart.experiment import run

    try:
        started = STARTS.pop() if STARTS else None
        job = HydraConfig.get()
        results = run(config.resolve(composed, job.overrides.task), Path(job.runtime.output_dir), started)
    except HeadstartError as error:  # the other jobs of a sweep go on
        FAILURES.append(error)
        _say(str(error))
        return None
    return results.get("splits", {}).get("validation", {}).get("accuracy")


def call(main: Callable[[], Any], started: float) -> int:
    """Read the command line, run its jobs, and return the exit code.

    Args:
        main: decorated by Hydra.
        started: when the process began, in seconds since the epoch.
    """
    if {"--help", "-h"} & set(sys.argv[1:]):
        from headstart.help import print_help

        print_help()
        return 0
    config.register_schema()
    sys.argv[1:] = config.expand_home(sys.argv[1:])
    STARTS.append(started)
    try:
        main()
    except (HydraException, OmegaConfBaseException) as error:
        _say(config.explain(error))
        return 1
    except OSError as error:
        if error.filename is None:
            raise
        _say(f"{error.strerror}: {error.filename}")  # a directory that cannot be written, a full disk
        return 1
    except KeyboardInterrupt:
        console.print("Interrupted.")
        return 130
    gc.freeze()  # else a second goes by in which what is left is searched for garbage
    return 1 if FAILURES else 0


def _say(error: str) -> None:
    console.print(f"Error: {error}", markup=False, soft_wrap=True)
