"""SIGTERM, with which schedulers and `kill` end a process, ends a run the way Ctrl-C does."""

from __future__ import annotations

import signal
from types import FrameType
from typing import NoReturn


class Terminated(KeyboardInterrupt):
    """Raised where the process is when SIGTERM arrives."""

    exit_code = 128 + signal.SIGTERM


def heed_termination() -> None:
    """Raise `Terminated` in the main thread when SIGTERM arrives."""
    signal.signal(signal.SIGTERM, _terminate)


def _terminate(_: int, __: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: what is closed now must not be disturbed
    raise Terminated
