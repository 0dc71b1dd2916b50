"""Where headstart keeps what it writes, and where relative paths lie, whatever the working directory becomes."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLES = ("HEADSTART_OUTPUTS", "HEADSTART_CACHE", "HEADSTART_DATA")  # environment variables that hold a directory


def fix_directories() -> None:
    """Make the directories in the environment absolute, before anything changes the working directory."""
    for name in VARIABLES:
        given = os.environ.pop(name, "")
        if given:
            os.environ[name] = str(absolute(given))


def outputs_directory() -> Path:
    """Return the directory of runs, tracking store and cache: $HEADSTART_OUTPUTS, else `outputs` here."""
    return absolute(os.environ.get("HEADSTART_OUTPUTS") or "outputs")


def cache_directory() -> Path:
    """Return the directory of what can be computed again: $HEADSTART_CACHE, else `cache` among the outputs."""
    given = os.environ.get("HEADSTART_CACHE")
    return absolute(given) if given else outputs_directory() / "cache"


def absolute(path: str | Path, base: Path | None = None) -> Path:
    """Return a path that no change of the working directory moves.

    Args:
        path: may begin with `~`.
        base: what a relative one is relative to; None is the working directory.
    """
    return (base or Path.cwd()) / os.path.expanduser(path)


def conf_directory() -> Path:
    """Return the directory of the shipped configuration."""
    return Path(__file__).parents[3] / "conf"
