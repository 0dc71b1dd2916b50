"""Train one classifier or a sweep, as `headstart train` does: `python run.py backbone=inceptionv3 freeze=last_block`.

Unlike `headstart train`, it reads and writes the data and outputs of this project, whatever the working directory.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

STARTED = time.time()


def main() -> int:
    """Run the command line with this project's directories, and return the exit code."""
    from headstart.cli.main import train
    from headstart.core.paths import use_project_directories

    use_project_directories(Path(__file__).absolute().parent)
    return train(STARTED)


if __name__ == "__main__":
    sys.exit(main())
