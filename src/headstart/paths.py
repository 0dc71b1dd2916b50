"""Where headstart keeps what it writes, whatever the working directory is."""

from __future__ import annotations

import os
from pathlib import Path


def outputs_directory() -> Path:
    """Return the directory of runs, tracking store and cache: $HEADSTART_OUTPUTS, else `outputs` here."""
    return Path(os.environ.get("HEADSTART_OUTPUTS", "outputs")).absolute()


def cache_directory() -> Path:
    """Return the directory of what can be computed again: $HEADSTART_CACHE, else `cache` among the outputs."""
    given = os.environ.get("HEADSTART_CACHE")
    return Path(given).absolute() if given else outputs_directory() / "cache"
