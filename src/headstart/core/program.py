"""How every program of headstart starts and ends."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from headstart.core.console import allow_any_file_name
from headstart.core.keras_settings import leave_out_optional_packages
from headstart.core.paths import fix_directories, use_project_directories

COLLECTED = 50_000  # new objects between two garbage collections


def prepare_program() -> None:
    """Change settings of the process, which a library must not do: directories, Matplotlib's backend, lean imports."""
    fix_directories()
    os.environ["MPLBACKEND"] = "agg"
    collect_garbage_less_often()
    leave_out_optional_packages()


def collect_garbage_less_often() -> None:
    """Collect garbage after more new objects than Python's default of 700.

    MLflow, scikit-learn and the layers of a network are hundreds of thousands of objects that stay: searching them in
    vain, more than a thousand times, was a sixteenth of the time of a short command.
    """
    gc.set_threshold(COLLECTED)


def run_program(main: Callable[[], int]) -> int:
    """Run a program and return its exit code; Ctrl-C ends it without a traceback.

    Args:
        main: reads the command line and returns the exit code.
    """
    allow_any_file_name()
    prepare_program()
    try:
        return main()
    except KeyboardInterrupt:
        return 130


def exit_with(main: Callable[[], int], root: Path) -> NoReturn:
    """Run a program of `scripts/` on the outputs and data of its clone, and end with its exit code.

    Args:
        main: see `run_program`.
        root: the clone's top directory.
    """
    use_project_directories(root)
    sys.exit(run_program(main))
