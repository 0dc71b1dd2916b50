"""A table of plain numbers, and a program that fills it: `python worker.py DIRECTORY LOG COUNT PAUSE SIZE`.

The log gets a line for each computed row, so that a test can count rows that were computed twice.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from headstart.cache import table as table_module
from headstart.cache.store import Cache
from headstart.cache.table import Compute, Table

SHAPE = (5,)


def keys_of(count: int, first: int = 0) -> list[str]:
    """Return the keys of some rows."""
    return [hashlib.sha256(str(number).encode()).hexdigest() for number in range(first, first + count)]


def values_of(keys: list[str], dtype: str = "float32") -> np.ndarray:
    """Return the row of each key: numbers that are unique to the key."""
    bytes_of = [[int(key[place : place + 2], 16) for place in range(0, 10, 2)] for key in keys]
    return np.array(bytes_of, dtype).reshape(-1, *SHAPE)


def table_in(directory: Path, max_bytes: float = 1e9, what: str = "test", dtype: str = "float32") -> Table:
    """Return a table as another process would open it."""
    return Cache(directory, max_bytes).table({"what": what}, SHAPE, np.dtype(dtype))


def computing(keys: list[str], log: Path | None = None, pause: float = 0, batch: int = 4) -> Compute:
    """Return a function that computes the rows of some keys.

    Args:
        keys: the keys that are requested from the table.
        log: gets the keys.
        pause: seconds before each batch.
        batch: rows in one.
    """

    def compute(positions: np.ndarray) -> Iterator[np.ndarray]:
        for start in range(0, len(positions), batch):
            wanted = [keys[position] for position in positions[start : start + batch]]
            time.sleep(pause)
            if log is not None:
                with log.open("a") as file:
                    file.writelines(f"{key}\n" for key in wanted)
            yield values_of(wanted)

    return compute


if __name__ == "__main__":
    place, log_file, rows, seconds, size = sys.argv[1:]
    table_module.MIN_SEGMENT_ROWS = int(size)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    asked = keys_of(int(rows))
    found = table_in(Path(place)).rows(asked, computing(asked, Path(log_file), float(seconds)))
    np.testing.assert_array_equal(found.read(np.arange(len(asked))), values_of(asked))
