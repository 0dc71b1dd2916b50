"""Reads the tables that runs write."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np


def rows_of(file: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    with file.open(newline="", encoding="utf-8") as opened:
        return list(csv.DictReader(opened))


def predictions_of(directory: Path) -> tuple[list[str], np.ndarray]:
    """Return the paths and the probabilities in a run's predictions.csv."""
    rows = rows_of(directory / "predictions.csv")
    names = [name for name in rows[0] if name.startswith("probability_")]
    return [row["path"] for row in rows], np.array([[float(row[name]) for name in names] for row in rows])
