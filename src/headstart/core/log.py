"""The log of a run: `run.log` in its directory, one line per event, apart from what the console shows.

Every line is `TIME LEVEL LOGGER EVENT KEY=VALUE ...`. A traceback follows its event with indented lines. A resumed run
appends to the log that it began.
"""

from __future__ import annotations

import contextlib
import json
import logging
import time
import warnings
from collections.abc import Iterator
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from headstart.core.environment import command_line

FILE_NAME = "run.log"
LOGGER = logging.getLogger("headstart")
LOGGER.addHandler(logging.NullHandler())  # without it Python prints warnings of programs that open no log
OTHERS = ("py.warnings", "tensorflow", "absl")  # loggers whose warnings belong in the log as well
PLAIN = set("._-+:/%@,")  # characters beside letters and digits that need no quotes


def log_event(logger: logging.Logger, event: str, level: int = logging.INFO, **values: Any) -> None:
    """Log an event with its values as `event key=value ...`.

    Args:
        logger: of the module, `logging.getLogger(__name__)`.
        event: a few words such as `stage started`.
        level: of `logging`.
        values: what the event is about; None is left out.
    """
    logger.log(
        level, " ".join([event, *(f"{key}={_text(value)}" for key, value in values.items() if value is not None)])
    )


@contextlib.contextmanager
def run_log(output: Path, started: float | None = None, **values: Any) -> Iterator[None]:
    """Write the log of a run into its directory while it is in progress, with its beginning and its end.

    The log never fails a run: a line that cannot be written, as on a full disk, is left out.

    Args:
        output: directory of the run.
        started: when the process began, in seconds since the epoch; None is now.
        values: of the event `run started`, beside the command and the version.
    """
    since = time.time() if started is None else started
    with _handled(_RunLogHandler(output / FILE_NAME)), _warnings_logged():
        log_event(LOGGER, "run started", **values, version=version("headstart"), command=command_line())
        status = "FINISHED"
        try:
            yield
        except BaseException as error:
            status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
            if status == "KILLED":
                log_event(LOGGER, "run interrupted", logging.WARNING, by=type(error).__name__)
            else:
                LOGGER.error("%s: %s", type(error).__name__, error, exc_info=error)
            raise
        finally:
            log_event(LOGGER, "run ended", status=status, seconds=round(time.time() - since, 3))


def log_end(output: Path, status: str, reason: str) -> None:
    """Append the end of a run whose own process could not, because it died or never started.

    Args:
        output: directory of the run.
        status: `FAILED` or `KILLED`.
        reason: a sentence.
    """
    with _handled(_RunLogHandler(output / FILE_NAME)):
        LOGGER.error(reason)
        log_event(LOGGER, "run ended", status=status)


class _RunLogHandler(logging.FileHandler):
    """Appends everything of headstart and the warnings of others to a file."""

    def __init__(self, file: Path) -> None:
        """Open nothing yet."""
        super().__init__(file, encoding="utf-8", errors="backslashreplace", delay=True)
        self.setFormatter(_LineFormatter())
        self.addFilter(lambda record: record.name.startswith("headstart") or record.levelno >= logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line; a file that cannot be opened does not fail the run."""
        with contextlib.suppress(OSError):
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Leave the line out; the run is worth more than its log."""


class _LineFormatter(logging.Formatter):
    """Formats an event as one line, and a traceback as indented lines below it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record."""
        moment = datetime.fromtimestamp(record.created).astimezone().isoformat(timespec="milliseconds")
        message = record.getMessage().replace("\r", "\\r").replace("\n", "\\n")
        lines = [f"{moment} {record.levelname} {record.name} {message}"]
        if record.exc_info:
            lines += self.formatException(record.exc_info).splitlines()
        return "\n    ".join(lines)


@contextlib.contextmanager
def _handled(handler: logging.Handler) -> Iterator[None]:
    """Let a handler receive the records of headstart and of `OTHERS` within this context; then restore the loggers."""
    level, propagate = LOGGER.level, LOGGER.propagate
    loggers = (LOGGER, *(logging.getLogger(name) for name in OTHERS))
    for logger in loggers:
        logger.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False  # a handler of the root logger, such as the one that absl adds, prints on the console
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
        LOGGER.setLevel(level)
        LOGGER.propagate = propagate
        handler.close()


@contextlib.contextmanager
def _warnings_logged() -> Iterator[None]:
    """Log Python's warnings and still show them: `logging.captureWarnings` would remove them from the console."""
    show, logger = warnings.showwarning, logging.getLogger("py.warnings")

    def log_and_show(message: Any, category: type[Warning], filename: str, lineno: int, *rest: Any) -> None:
        logger.warning("%s: %s (%s:%s)", category.__name__, message, filename, lineno)
        show(message, category, filename, lineno, *rest)

    warnings.showwarning = log_and_show  # type: ignore[assignment]
    try:
        yield
    finally:
        warnings.showwarning = show


def _text(value: object) -> str:
    """Return a value as one word, in JSON's quotes where it has blanks or other special characters."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple | set | dict):
        return json.dumps(value, default=str, separators=(",", ":"))
    text = str(value)
    plain = text and all((letter.isascii() and letter.isalnum()) or letter in PLAIN for letter in text)
    return text if plain else json.dumps(text, ensure_ascii=False)
