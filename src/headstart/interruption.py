"""SIGTERM, with which schedulers and `kill` end a process, ends a run the way Ctrl-C does."""

from __future__ import annotations

import signal
from types import FrameType
from typing import NoReturn


class Terminated(KeyboardInterrupt):
    """Raised where the process is when SIGTERM arrives."""


def exit_code(interruption: KeyboardInterrupt) -> int:
    """Return what a shell expects of a process that ended so: 128 and the signal's number."""
    return 128 + (signal.SIGTERM if isinstance(interruption, Terminated) else signal.SIGINT)


def heed_termination() -> None:
    """Raise `Terminated` in the main thread when SIGTERM arrives."""
    signal.signal(signal.SIGTERM, _terminate)


def _terminate(_: int, __: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: what is closed now must not be disturbed
    raise Terminated
