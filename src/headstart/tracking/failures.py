"""Why sending failed: the tracking store does not answer, refuses what it was sent, or it does not show."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from headstart.core.full_disk import is_disk_full
from headstart.tracking.store import StoreUnavailable, first_line, is_not_made

SERVER_ERRORS = (None, "INTERNAL_ERROR", "IO_ERROR")
OUTAGES = ("TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED")


class PermanentError(Exception):
    """The tracking store answers, and will never take what it was sent."""


class UncertainError(Exception):
    """Sending failed, and it does not show whether the store or what it was sent is to blame."""

    def __init__(self, error: Exception) -> None:
        """Keep what is told, and whether the failure lasts.

        Args:
            error: that sending ended with.
        """
        super().__init__(first_line(error))
        # An answer below 500 is about what was sent; behind others a store of artifacts may be down for a while.
        status = _http_status(error)
        told = isinstance(error, OSError | ImportError) or getattr(error, "error_code", None) not in SERVER_ERRORS
        self.may_pass = status >= 500 if status is not None else not told


@contextlib.contextmanager
def taking(uri: str) -> Iterator[None]:
    """Tell a store that does not answer, and may later, from one that refuses what it is sent.

    Args:
        uri: of the store.

    Raises:
        StoreUnavailable: when it cannot be reached, is overloaded, locked or full.
        PermanentError: when sending the same again is of no use.
        UncertainError: when it is one or the other.
    """
    try:
        if is_not_made(uri):  # else SQLite would make an empty one
            raise StoreUnavailable(uri, "the file is not there")
        yield
    except (StoreUnavailable, PermanentError):
        raise
    except Exception as error:
        if _is_refusal(error):
            name = f"{type(error).__name__}: " if isinstance(error, ValueError | TypeError) else ""
            raise PermanentError(f"{name}{first_line(error)}") from error
        if _is_outage(error):
            raise StoreUnavailable(uri, error) from error
        raise UncertainError(error) from error


def _is_refusal(error: Exception) -> bool:
    """Return whether a store said that what it was sent is wrong, or a bug keeps it from being sent."""
    if isinstance(error, ValueError | TypeError) and not isinstance(error, OSError):
        return True
    return getattr(error, "error_code", None) == "INVALID_PARAMETER_VALUE" or _http_status(error) in (400, 413)


def _is_outage(error: Exception) -> bool:
    """Return whether an error says that the store does not answer, or cannot take anything at the moment."""
    import requests
    from sqlalchemy.exc import OperationalError

    causes: list[BaseException] = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None and cause not in causes:
        causes.append(cause)
    if any(isinstance(cause, requests.ConnectionError | requests.Timeout | OperationalError) for cause in causes):
        return True
    return (
        getattr(error, "error_code", None) in OUTAGES
        or _http_status(error) in (408, 429, 502, 503, 504)
        or isinstance(error, TimeoutError | ConnectionError)
        or is_disk_full(error)
    )


def _http_status(error: Exception) -> int | None:
    """Return the status of an answer over HTTP, which MLflow may only tell in words; None where there was none."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    told = re.search(r"(?:failed with error code|too many) (\d{3})\b", str(error))
    return status if status is not None or told is None else int(told[1])
