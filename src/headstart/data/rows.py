"""Rows of numbers, one for each image, that are in memory and not on disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class InMemory:
    """Rows that are held in memory; reads like `headstart.cache.table.Rows`."""

    values: np.ndarray  # (n, ...)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one row."""
        return self.values.shape[1:]

    @property
    def dtype(self) -> np.dtype:
        """Type of the numbers."""
        return self.values.dtype

    def read(self, positions: np.ndarray) -> np.ndarray:
        """Return the rows at some positions."""
        return self.values[positions]

    def batches(self, order: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield (batch, ...) for each array of positions."""
        return (self.values[positions] for positions in order)
