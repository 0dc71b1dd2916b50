"""SQLAlchemy URIs of SQLite databases, for any path, and the path that such a URI names."""

from __future__ import annotations

from pathlib import Path

from headstart.core.paths import absolute

SQLITE = "sqlite:///"
SPECIAL = frozenset("?#%")  # characters of a path that have to be escaped in a URI


def sqlite_uri(database: Path) -> str:
    """Return the URI of a SQLite database.

    Args:
        database: absolute path of the file.
    """
    path = str(database)
    if not SPECIAL & set(path):
        return f"{SQLITE}{path}"
    from sqlalchemy.engine import URL  # escapes exactly what the installed version unescapes

    return URL.create("sqlite", database=path).render_as_string()


def sqlite_file(uri: str) -> Path | None:
    """Return the file of a SQLite database; None for other URIs and in-memory databases.

    Args:
        uri: as the user wrote it, or as `sqlite_uri` returned it.
    """
    path, _, _ = uri.removeprefix(SQLITE).partition("?")
    if not uri.startswith(SQLITE) or path in ("", ":memory:") or path.startswith("file:"):
        return None
    if SPECIAL & set(path):
        from sqlalchemy.engine import make_url

        path = make_url(uri).database or path
    return absolute(path)


def absolute_uri(uri: str, base: Path) -> str:
    """Return a tracking URI that stays valid when the working directory changes.

    Args:
        uri: of a SQLite database, possibly with a relative path, or of a server.
        base: directory that a relative path starts from.
    """
    if sqlite_file(uri) is None:
        return uri
    path, question_mark, options = uri.removeprefix(SQLITE).partition("?")
    if Path(path).is_absolute():
        return uri
    prefix = sqlite_uri(base).removeprefix(SQLITE) if not path.startswith("~") else ""
    return f"{SQLITE}{Path(prefix, path) if prefix else absolute(path)}{question_mark}{options}"
