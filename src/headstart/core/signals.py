"""Interruptions of a run: SIGTERM, a closed terminal, Ctrl-C or a time limit, delayed until training has saved."""

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
    """Raised on SIGTERM or SIGHUP: from `kill`, a scheduler or a terminal that closes."""

    def __init__(self, number: int = signal.SIGTERM) -> None:
        """Store the number of the signal."""
        super().__init__()
        self.number = number


class TimeLimitReached(Terminated):
    """Raised when training has reached its `time_limit`."""


class _Deferred:
    """Whether interruptions are deferred to the end of a batch, and the deferred one."""

    active = False
    interruption: KeyboardInterrupt | None = None


class _Terminals:
    """The standard streams that were connected to a terminal when `handle_signals` was called."""

    descriptors: tuple[int, ...] = ()


def exit_code(interruption: KeyboardInterrupt) -> int:
    """Return the exit code by shell convention: 128 plus the signal's number."""
    return 128 + (interruption.number if isinstance(interruption, Terminated) else signal.SIGINT)


def ignores_hangup() -> bool:
    """Return whether this process ignores SIGHUP, as `nohup` arranges, and so outlives its terminal."""
    return hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def handle_signals() -> None:
    """Raise `Terminated` in the main thread for SIGTERM and SIGHUP, KeyboardInterrupt for Ctrl-C.

    `interrupt_at_batch_end` defers both. Signals that the process ignores stay ignored, except SIGTERM: `nohup` ignores
    SIGHUP, and a shell ignores Ctrl-C for background jobs.
    """
    _Terminals.descriptors = tuple(descriptor for descriptor in range(3) if _is_terminal(descriptor))
    signal.signal(signal.SIGTERM, _on_signal)
    for number in {*ENDING, signal.SIGINT} - {signal.SIGTERM}:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _on_signal)


@contextlib.contextmanager
def interrupt_at_batch_end(limit: float | None = None) -> Iterator[Callable[[], KeyboardInterrupt | None]]:
    """Defer the first interruption within this context; a second one is raised at once.

    Args:
        limit: end of the time limit, seconds since the epoch; None for no limit.

    Yields:
        A function to call at the end of each batch. It returns the exception to raise once everything is saved, or
        None to continue.
    """
    _Deferred.active, _Deferred.interruption = True, None

    try:
        yield lambda: _pending_interruption(limit)
    finally:
        _Deferred.active = False
    if _Deferred.interruption is not None:  # arrived after the last batch
        raise _Deferred.interruption


def parse_duration(text: str) -> float:
    """Return seconds from a duration such as `90s`, `30m`, `1h30m` or `2d`.

    Args:
        text: numbers with units, the longest unit first.

    Raises:
        HeadstartError: when the text is not such a duration.
    """
    parts = re.fullmatch(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text.strip())
    seconds = (
        sum(int(count or 0) * UNITS[unit] for count, unit in zip(parts.groups(), "dhms", strict=True)) if parts else 0
    )
    if not seconds:
        raise HeadstartError(f"Expected time_limit to be a duration such as 90s, 30m or 1h30m. Received: {text}")
    return float(seconds)


def _pending_interruption(limit: float | None) -> KeyboardInterrupt | None:
    if _Deferred.interruption is None and limit is not None and time.time() >= limit:
        return TimeLimitReached()
    return _Deferred.interruption


def _on_signal(number: int, _: FrameType | None) -> None:
    interruption = Terminated(number) if number in ENDING else KeyboardInterrupt()
    if number in ENDING:
        for ending in ENDING:
            signal.signal(ending, _ignore_signal)  # a second signal must not interrupt the shutdown
        _discard_output_to_closed_terminals()
    if _Deferred.active and _Deferred.interruption is None:
        _Deferred.interruption = interruption
        return
    raise interruption


def _ignore_signal(number: int, _: FrameType | None) -> None:
    """Do nothing. With SIG_IGN, Python would complain about a signal that arrived a moment before."""


def _discard_output_to_closed_terminals() -> None:
    """Redirect streams of a closed terminal to the null device; else every printed line would raise."""
    for descriptor in _Terminals.descriptors:
        if not _is_terminal(descriptor):
            null_device = os.open(os.devnull, os.O_RDWR)
            os.dup2(null_device, descriptor)
            os.close(null_device)


def _is_terminal(descriptor: int) -> bool:
    try:
        return os.isatty(descriptor)
    except OSError:
        return False
