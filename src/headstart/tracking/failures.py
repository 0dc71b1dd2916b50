"""Sorts the errors of a tracking store: unreachable for now, refused for good, or uncertain."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from headstart.core.full_disk import is_disk_full
from headstart.tracking.store import StoreUnavailable, first_line, is_missing_sqlite

SERVER_ERRORS = (None, "INTERNAL_ERROR", "IO_ERROR")
OUTAGES = ("TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED")


class PermanentError(Exception):
    """The tracking store answers, and will never accept this data."""


class UncertainError(Exception):
    """Sending failed, and the error does not show whether the store or the data is at fault."""

    def __init__(self, error: Exception) -> None:
        """Keep the first line of the error, and whether it may be transient.

        Args:
            error: raised while sending.
        """
        super().__init__(first_line(error))
        # A status below 500 is about the data; at 500 and above, the artifact store may be down for a while.
        status = _http_status(error)
        specific = isinstance(error, OSError | ImportError) or getattr(error, "error_code", None) not in SERVER_ERRORS
        self.is_transient = status >= 500 if status is not None else not specific


@contextlib.contextmanager
def translate_store_errors(uri: str) -> Iterator[None]:
    """Raise every error of the block as StoreUnavailable, PermanentError or UncertainError.

    Args:
        uri: of the store.

    Raises:
        StoreUnavailable: when the store is unreachable, overloaded, locked or full.
        PermanentError: when retrying cannot succeed.
        UncertainError: when it may be either.
    """
    try:
        if is_missing_sqlite(uri):  # opening it would create an empty store
            raise StoreUnavailable(uri, "the file does not exist")
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
    """Return whether the store called the data invalid, or a bug makes it impossible to send."""
    if isinstance(error, ValueError | TypeError) and not isinstance(error, OSError):
        return True
    return getattr(error, "error_code", None) == "INVALID_PARAMETER_VALUE" or _http_status(error) in (400, 413)


def _is_outage(error: Exception) -> bool:
    """Return whether an error means that the store is unreachable or accepts nothing at the moment."""
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
    """Return the HTTP status of an error, which MLflow may give only in its message; None for other errors."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    in_message = re.search(r"(?:failed with error code|too many) (\d{3})\b", str(error))
    return status if status is not None or in_message is None else int(in_message[1])
