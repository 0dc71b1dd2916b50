"""Writes the training history and the result of the learning-rate finder as tables and figures."""

from __future__ import annotations

import csv
import dataclasses
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.core.files import file_name, open_csv
from headstart.evaluation.plots import history_figure, learning_rate_figure
from headstart.evaluation.writing import begin_figure, ignore_missing_glyphs, write_figure

if TYPE_CHECKING:
    from headstart.training.history import EpochRecord
    from headstart.training.learning_rate_finder import RateSweep

TITLE = "Accuracy and loss by epoch"


def report_training(history: list[EpochRecord], best_epoch: int, source: str, directory: Path) -> None:
    """Write history.csv, with a row for each epoch, its figure, and a figure of each stage if there are several.

    Args:
        history: the epochs over all stages.
        best_epoch: number of the epoch whose weights were kept.
        source: the run and its data, for the figures.
        directory: of the run.
    """
    rows = [dataclasses.asdict(record) for record in history]
    with open_csv(directory / "history.csv") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    figures = directory / "figures"
    begin_figure(partial(history_figure, rows, TITLE, best_epoch, source), figures / "history.png")
    stages = [list(records) for _, records in groupby(history, key=lambda record: record.stage)]
    for records in stages if len(stages) > 1 else []:
        stage, best = records[0].stage, max(records, key=lambda record: record.rank)
        rows = [dataclasses.asdict(record) for record in records]
        draw = partial(history_figure, rows, f"{TITLE}: stage {stage}", best.epoch, source)
        begin_figure(draw, figures / f"history_{file_name(stage)}.png")


@ignore_missing_glyphs()
def report_learning_rate(sweep: RateSweep, configured: float, title: str, source: str, directory: Path) -> None:
    """Write learning_rate.csv, with a row for each update, and its figure.

    Args:
        sweep: the loss at each rate.
        configured: the stage's configured rate.
        title: of the figure.
        source: the run and its data, for the figure.
        directory: of the run.
    """
    with open_csv(directory / "learning_rate.csv") as file:
        writer = csv.writer(file)
        writer.writerow(["learning_rate", "loss", "smoothed_loss"])
        for row in zip(sweep.rates, sweep.losses, sweep.smoothed, strict=True):
            writer.writerow([f"{value:.7g}" for value in row])
    figure = learning_rate_figure(
        sweep.rates, sweep.losses, sweep.smoothed, sweep.suggestion, configured, title, source
    )
    write_figure(figure, directory / "figures" / "learning_rate.png")
