"""What a run leaves behind about pictures without labels: what a network as it was published takes them for."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from headstart.core.console import track
from headstart.core.files import open_table
from headstart.data.index import ImageIndex
from headstart.data.pipeline import evaluation_batches
from headstart.data.pixel_cache import Files
from headstart.evaluation.plots import labels_figure
from headstart.evaluation.writing import letters_without_a_font, save_figure
from headstart.model.heads import best_labels
from headstart.results.figures import LabelConfidence, LabelledPicture, PictureLabels

if TYPE_CHECKING:
    from headstart.classifier.saved import Classifier

TOP = 5  # labels of a picture, as networks are evaluated on ImageNet
SHOWN = 20  # pictures in the figure, in the terminal and in results.json; predictions.csv has all


@letters_without_a_font()
def report_labels(
    classifier: Classifier, index: ImageIndex, batch_size: int, title: str, directory: Path
) -> PictureLabels:
    """Label every picture and write what was found: predictions.csv, a row for each, and a sheet of the first ones.

    Args:
        classifier: as it was saved.
        index: the pictures.
        batch_size: how many go through the network at once.
        title: of the sheet.
        directory: of the run.

    Raises:
        HeadstartError: when a picture cannot be read.
    """
    (directory / "figures").mkdir(exist_ok=True)
    order = list(evaluation_batches(index, batch_size))
    decoded = Files(index, classifier.image_size, classifier.resize).batches(iter(order))
    labels: Counter[str] = Counter()
    confidence = 0.0
    first: list[LabelledPicture] = []
    shown: list[np.ndarray] = []
    with open_table(directory / "predictions.csv") as file:
        writer = csv.writer(file)
        numbers = ["", *(f"_{number}" for number in range(2, TOP + 1))]
        writer.writerow(
            ["path", *(f"{column}{number}" for number in numbers for column in ("predicted", "confidence"))]
        )
        for positions, images in zip(order, track(decoded, len(order), "labelling the pictures"), strict=True):
            for image, row, position in zip(images, classifier.probabilities(images), positions, strict=True):
                path, top = index.paths[position], best_labels(row, classifier.class_names, TOP)
                writer.writerow([path, *(cell for best in top for cell in best.values())])
                labels[top[0]["label"]] += 1
                confidence += top[0]["confidence"]
                if len(first) < SHOWN:
                    likeliest = tuple(LabelConfidence(**best) for best in top)
                    first.append(LabelledPicture(path=path, **top[0], top=likeliest))
                    shown.append(image)
    captions = [(Path(picture.path).name, [(best.label, best.confidence) for best in picture.top]) for picture in first]
    if len(index) > SHOWN:
        title = f"{title}, the first {SHOWN} of {len(index):,}"
    save_figure(labels_figure(shown, captions, title), directory / "figures" / "labels.png")
    return PictureLabels(
        images=len(index),
        mean_confidence=round(confidence / len(index), 6),
        labels=dict(labels.most_common()),
        first=tuple(first),
    )
