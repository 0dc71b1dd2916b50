"""What a run leaves behind about each split: predictions, figures, the classification report."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from headstart.console import track
from headstart.data.images import load_image
from headstart.data.index import ImageIndex
from headstart.data.pipeline import batches, evaluation_batches
from headstart.evaluation.metrics import Evaluation, worst_mistakes
from headstart.evaluation.plots import calibration_figure, confusion_figure, history_figure, mistakes_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from headstart.artifact import Classifier
    from headstart.training.callbacks import EpochRecord


def predict_split(classifier: Classifier, index: ImageIndex, batch_size: int, name: str) -> np.ndarray:
    """Return the probabilities of every image of a split, float32 (n, classes), in the index's order.

    Args:
        classifier: as it was saved.
        index: the images of the split.
        batch_size: how many go through the network at once.
        name: of the split, for the progress bar.
    """
    order = evaluation_batches(index, batch_size)
    steps = -(-len(index) // batch_size)
    decoded = batches(index, order, classifier.image_size, classifier.resize)
    rows = [
        classifier.probabilities(images)
        for images, _, _ in track(decoded, steps, f"evaluating the saved classifier: {name}")
    ]
    return np.concatenate(rows)


def write_predictions(path: Path, index: ImageIndex, probabilities: np.ndarray, split: str, append: bool) -> None:
    """Write one row an image: path, split, true and predicted label, confidence, every class's probability.

    Args:
        path: the CSV file.
        index: the images.
        probabilities: float (n, classes).
        split: the value of the column `split`.
        append: whether the file has its header already.
    """
    with path.open("a" if append else "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if not append:
            scores = [f"probability_{name}" for name in index.class_names]
            writer.writerow(["path", "split", "label", "predicted", "correct", "confidence", *scores])
        for image, label, row in zip(index.paths, index.labels, probabilities, strict=True):
            best = int(row.argmax())
            names = index.class_names[label], index.class_names[best]
            scores = [f"{value:.7g}" for value in row]
            writer.writerow([image, split, *names, int(label == best), f"{row[best]:.7g}", *scores])


def split_figures(
    index: ImageIndex, probabilities: np.ndarray, evaluation: Evaluation, split: str, image_size: int, resize: str
) -> dict[str, Figure]:
    """Return the figures about one split by name.

    Args:
        index: the images of the split.
        probabilities: float (n, classes).
        evaluation: the split's figures.
        split: its name.
        image_size: side in pixels at which mistakes are shown.
        resize: as the classifier saw them.
    """
    names = list(index.class_names)
    worst = worst_mistakes(index.labels, probabilities)
    images = [load_image(index.file(int(i)), image_size, resize) for i in worst]
    captions = [
        (names[index.labels[i]], names[int(probabilities[i].argmax())], float(probabilities[i].max())) for i in worst
    ]
    share = f"accuracy {evaluation.accuracy:.1%} of {evaluation.images:,} images"
    return {
        f"{split}_confusion": confusion_figure(evaluation.confusion, names, False, f"{split}: {share}"),
        f"{split}_confusion_normalized": confusion_figure(
            evaluation.confusion, names, True, f"{split}: share of each true class, {share}"
        ),
        f"{split}_calibration": calibration_figure(
            index.labels, probabilities, f"{split}: confidence against accuracy"
        ),
        f"{split}_mistakes": mistakes_figure(images, captions, f"{split}: the most confident mistakes"),
    }


def training_figure(history: list[EpochRecord], best_epoch: int, title: str) -> Figure:
    """Return the training history over all stages."""
    return history_figure([dataclasses.asdict(record) for record in history], title, best_epoch=best_epoch)


def write_history(path: Path, history: list[EpochRecord]) -> None:
    """Write one row an epoch, as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [item.name for item in dataclasses.fields(history[0])])
        writer.writeheader()
        writer.writerows(dataclasses.asdict(record) for record in history)
