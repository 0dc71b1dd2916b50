"""What the programs that became commands of `headstart` share: each still runs, and says what it is called now."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NoReturn

from headstart.cli.main import main
from headstart.core.paths import use_project_directories


def forward(command: str, example: str) -> NoReturn:
    """Say what a program is called now, and run it with the outputs and data of this project.

    Args:
        command: of `headstart`.
        example: its words, for the line that is printed.
    """
    sys.stderr.write(f"python scripts/{command}.py is now: headstart {command} {example}\n")
    use_project_directories(Path(__file__).absolute().parents[1])
    sys.exit(main([command, *sys.argv[1:]]))
