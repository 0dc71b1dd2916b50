"""What ends a run before its time: SIGTERM, a closed terminal, Ctrl-C, a time limit; training first saves."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType

from headstart.core.errors import HeadstartError

ENDING = tuple(signal.Signals[name] for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Terminated(KeyboardInterrupt):
    """Raised where the process is when SIGTERM or SIGHUP arrives: from `kill`, a scheduler, a terminal that closes."""

    def __init__(self, number: int = signal.SIGTERM) -> None:
        """Keep which signal it was."""
        super().__init__()
        self.number = number


class TimeIsUp(Terminated):
    """Raised where training has reached its `time_limit`."""


class _Deferred:
    """Whether interruptions wait for the end of a batch, and the one that waits."""

    active = False
    waiting: KeyboardInterrupt | None = None


class _Terminals:
    """Which of the standard streams led to a terminal when signals were first heeded."""

    descriptors: tuple[int, ...] = ()


def exit_code(interruption: KeyboardInterrupt) -> int:
    """Return what a shell expects of a process that ended so: 128 and the signal's number."""
    return 128 + (interruption.number if isinstance(interruption, Terminated) else signal.SIGINT)


def ignores_hangup() -> bool:
    """Return whether this process was started to outlive its terminal, as `nohup` does."""
    return hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def handle_signals() -> None:
    """Raise `Terminated` in the main thread for SIGTERM and SIGHUP, KeyboardInterrupt for Ctrl-C, at a good moment.

    What is ignored stays so, but for SIGTERM: SIGHUP as `nohup` sets it, Ctrl-C as a shell starts what is in its
    background.
    """
    _Terminals.descriptors = tuple(descriptor for descriptor in range(3) if _is_terminal(descriptor))
    signal.signal(signal.SIGTERM, _on_signal)
    for number in {*ENDING, signal.SIGINT} - {signal.SIGTERM}:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _on_signal)


@contextlib.contextmanager
def interrupt_at_batch_end(limit: float | None = None) -> Iterator[Callable[[], KeyboardInterrupt | None]]:
    """Let an interruption wait within this context; a second one does not.

    Args:
        limit: when time is up, seconds since the epoch; None is never.

    Yields:
        Called at the end of each batch: returns what is to be raised there once everything is saved, None to go on.
    """
    _Deferred.active, _Deferred.waiting = True, None

    try:
        yield lambda: _interrupted_by(limit)
    finally:
        _Deferred.active = False
    if _Deferred.waiting is not None:  # arrived after the last batch
        raise _Deferred.waiting


def parse_duration(text: str) -> float:
    """Return seconds from a duration such as `90s`, `30m`, `1h30m` or `2d`.

    Args:
        text: numbers with units from the longest to the shortest.

    Raises:
        HeadstartError: for anything else.
    """
    parts = re.fullmatch(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text.strip())
    seconds = (
        sum(int(count or 0) * UNITS[unit] for count, unit in zip(parts.groups(), "dhms", strict=True)) if parts else 0
    )
    if not seconds:
        raise HeadstartError(f"Expected time_limit to be a duration such as 90s, 30m or 1h30m. Received: {text}")
    return float(seconds)


def _interrupted_by(limit: float | None) -> KeyboardInterrupt | None:
    if _Deferred.waiting is None and limit is not None and time.time() >= limit:
        return TimeIsUp()
    return _Deferred.waiting


def _on_signal(number: int, _: FrameType | None) -> None:
    interruption = Terminated(number) if number in ENDING else KeyboardInterrupt()
    if number in ENDING:
        for ending in ENDING:
            signal.signal(ending, _on_another)  # once is enough: what is closed now must not be disturbed
        _leave_closed_terminals()
    if _Deferred.active and _Deferred.waiting is None:
        _Deferred.waiting = interruption
        return
    raise interruption


def _on_another(number: int, _: FrameType | None) -> None:
    """Do nothing. SIG_IGN would make Python complain about a signal that came a moment before."""


def _leave_closed_terminals() -> None:
    """Let what is printed go nowhere where the terminal is gone; else each line would be an error."""
    for descriptor in _Terminals.descriptors:
        if not _is_terminal(descriptor):
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, descriptor)
            os.close(nowhere)


def _is_terminal(descriptor: int) -> bool:
    try:
        return os.isatty(descriptor)
    except OSError:
        return False
