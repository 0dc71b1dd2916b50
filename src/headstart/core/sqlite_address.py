"""The address of a SQLite database as SQLAlchemy reads it, for any path, and the path again."""

from __future__ import annotations

from pathlib import Path

from headstart.core.paths import absolute

SQLITE = "sqlite:///"
SPECIAL = frozenset("?#%")  # in a path; in an address they mean something else


def address_of(database: Path) -> str:
    """Return the address of a database.

    Args:
        database: absolute path of its file.
    """
    path = str(database)
    if not SPECIAL & set(path):
        return f"{SQLITE}{path}"
    from sqlalchemy.engine import URL  # escapes as this version of it reads

    return URL.create("sqlite", database=path).render_as_string()


def database_of(address: str) -> Path | None:
    """Return the file of a database; None where the address is that of something else, or of memory.

    Args:
        address: as somebody wrote it, or `address_of`.
    """
    place, _, _ = address.removeprefix(SQLITE).partition("?")
    if not address.startswith(SQLITE) or place in ("", ":memory:") or place.startswith("file:"):
        return None
    if SPECIAL & set(place):
        from sqlalchemy.engine import make_url

        place = make_url(address).database or place
    return absolute(place)


def absolute_address(address: str, base: Path) -> str:
    """Return the address of a tracking store that no change of the working directory moves.

    Args:
        address: of a SQLite database, where the path may be relative, or of a server.
        base: what a relative path is relative to.
    """
    if database_of(address) is None:
        return address
    place, mark, options = address.removeprefix(SQLITE).partition("?")
    if Path(place).is_absolute():
        return address
    prefix = address_of(base).removeprefix(SQLITE) if not place.startswith("~") else ""
    return f"{SQLITE}{Path(prefix, place) if prefix else absolute(place)}{mark}{options}"
