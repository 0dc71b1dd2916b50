"""The directories that headstart writes to, and absolute paths that do not depend on later working directories."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from headstart.core.errors import closest_name

# Environment variables that hold a directory, and the directory that each stands for when it is not set.
DEFAULTS = {"HEADSTART_OUTPUTS": "outputs", "HEADSTART_DATA": "data", "HEADSTART_CACHE": ""}
MOST_NAMES = 10_000  # in a directory that is searched for a similar one
TRIALS = "trials"  # in the cache directory: what `scenario=auto` and `headstart recommend` have found


def fix_directories() -> None:
    """Make the directories in the environment absolute, before anything changes the working directory."""
    for name, default in DEFAULTS.items():
        if given := os.environ.pop(name, "") or default:
            os.environ[name] = str(absolute(given))


def use_project_directories(root: Path) -> None:
    """Keep outputs and data in a clone of the project, unless the environment names other directories.

    Args:
        root: the clone's top directory.
    """
    os.environ.setdefault("HEADSTART_OUTPUTS", str(root / "outputs"))
    os.environ.setdefault("HEADSTART_DATA", str(root / "data"))


def outputs_directory() -> Path:
    """Return the directory of runs, tracking store and cache: $HEADSTART_OUTPUTS, else `outputs` in this directory."""
    return absolute(os.environ.get("HEADSTART_OUTPUTS") or "outputs")


def cache_directory() -> Path:
    """Return the directory of the cache: $HEADSTART_CACHE, else `cache` in the outputs directory."""
    given = os.environ.get("HEADSTART_CACHE")
    return absolute(given) if given else outputs_directory() / "cache"


def absolute(path: str | Path, base: Path | None = None) -> Path:
    """Return an absolute path, which stays the same when the working directory changes.

    Args:
        path: may begin with `~`.
        base: what a relative one is relative to; None is the working directory.
    """
    return (base or Path.cwd()) / os.path.expanduser(path)


def tip_for_missing(path: Path) -> str:
    """Return a tip for a path that does not exist: the one of a similar name, else the part of it that exists.

    Args:
        path: of a file or directory, relative to the working directory or not.
    """
    missing = absolute(path)
    while not missing.parent.exists() and missing.parent != missing:
        missing = missing.parent
    place = missing.parent
    try:
        names = [found.name for found in itertools.islice(place.iterdir(), MOST_NAMES)]
    except OSError:  # no directory, or one that may not be read
        return ""
    similar = closest_name(missing.name, names)
    if similar is None:
        return f"there is no {missing.name} in {place}"
    return f"did you mean {place / similar / absolute(path).relative_to(missing)}?"


def conf_directory() -> Path:
    """Return the directory of the shipped configuration: packed into the package, else at the top of the clone."""
    packed = Path(__file__).parents[1] / "conf"
    return packed if packed.is_dir() else Path(__file__).parents[3] / "conf"
