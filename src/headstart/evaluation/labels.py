"""Labels unlabelled images with a published network, and writes the labels as a table and a figure."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from headstart.core.console import track
from headstart.core.files import open_csv
from headstart.data.batch_order import evaluation_batches
from headstart.data.index import ImageIndex
from headstart.data.pixel_cache import Files
from headstart.evaluation.plots import labels_figure
from headstart.evaluation.writing import ignore_missing_glyphs, write_figure
from headstart.model.heads import best_labels
from headstart.results.figures import LabelConfidence, LabelledPicture, PictureLabels

if TYPE_CHECKING:
    from headstart.classifier.saved import Classifier

TOP = 5  # labels per image, as in ImageNet's top-5 accuracy
SHOWN = 20  # images in the figure, in the terminal and in results.json; predictions.csv has all


@ignore_missing_glyphs()
def report_labels(
    classifier: Classifier, index: ImageIndex, batch_size: int, title: str, source: str, directory: Path
) -> PictureLabels:
    """Label every image; write predictions.csv with a row for each, and a sheet of the first ones.

    Args:
        classifier: the saved one.
        index: the images.
        batch_size: of the inference.
        title: of the figure.
        source: the run and its data, for the figure.
        directory: of the run.

    Raises:
        HeadstartError: when an image cannot be read.
    """
    order = list(evaluation_batches(index, batch_size))
    decoded = Files(index, classifier.image_size, classifier.resize).batches(iter(order))
    labels: Counter[str] = Counter()
    confidence = 0.0
    first: list[LabelledPicture] = []
    shown: list[np.ndarray] = []
    with open_csv(directory / "predictions.csv") as file:
        writer = csv.writer(file)
        numbers = ["", *(f"_{number}" for number in range(2, TOP + 1))]
        writer.writerow(
            ["path", *(f"{column}{number}" for number in numbers for column in ("predicted", "confidence"))]
        )
        for positions, images in zip(order, track(decoded, len(order), "labelling the images"), strict=True):
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
    write_figure(labels_figure(shown, captions, title, source), directory / "figures" / "labels.png", vector=False)
    return PictureLabels(
        images=len(index),
        mean_confidence=round(confidence / len(index), 6),
        labels=dict(labels.most_common()),
        first=tuple(first),
    )
