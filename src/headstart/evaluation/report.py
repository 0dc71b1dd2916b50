"""Evaluates a classifier on each split, and writes predictions, figures and the classification report."""

from __future__ import annotations

import csv
import dataclasses
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from headstart.core.console import console, format_percent
from headstart.core.errors import printable
from headstart.core.files import file_name, open_csv, write_text
from headstart.core.log import log_event
from headstart.data.files.images import load_image
from headstart.data.index import ImageIndex
from headstart.evaluation.examined import EVALUATED
from headstart.evaluation.gradcam import GradCam
from headstart.evaluation.metrics import ClassResult, Evaluation, evaluate, worst_mistakes
from headstart.evaluation.plots import (
    calibration_figure,
    confusion_figure,
    curves_figure,
    explained_figure,
    mistakes_figure,
)
from headstart.evaluation.plots.curves import MAX_CLASSES
from headstart.evaluation.predictor import Predictor
from headstart.evaluation.threshold import threshold_advice
from headstart.evaluation.writing import begin_figure
from headstart.results.threshold import ThresholdAdvice

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from headstart.classifier.saved import Classifier

LOG = logging.getLogger(__name__)
EXPLAINED = 8  # mistakes with Grad-CAM heat maps


@dataclass(frozen=True)
class SplitReports:
    """What evaluating a classifier on its splits found."""

    evaluations: dict[str, Evaluation]
    threshold: ThresholdAdvice | None  # None unless there are two classes


def report_splits(
    classifier: Classifier,
    index: ImageIndex,
    probabilities_by_split: dict[str, np.ndarray],
    source: str,
    directory: Path,
) -> SplitReports:
    """Evaluate a classifier on the splits that it predicted.

    Writes predictions.csv (a row for each image: path, split, true and predicted label, confidence, the probability of
    every class), and a report and figures for each split, which are there after `finish_figures`.

    Args:
        classifier: the saved one.
        index: the images.
        probabilities_by_split: its predictions for every image of a split, float (n, classes).
        source: the run and its data, for the figures.
        directory: of the run.
    """
    evaluations: dict[str, Evaluation] = {}
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    threshold = None
    grad_cam = GradCam(classifier.model)
    with open_csv(directory / "predictions.csv") as file:
        writer = csv.writer(file)
        scores = [f"probability_{name}" for name in index.class_names]
        writer.writerow(["path", "split", "label", "predicted", "correct", "confidence", *scores])
        for split, probabilities in probabilities_by_split.items():
            part = index.split(split)
            writer.writerows(_prediction_rows(part, probabilities, split))
            evaluation = evaluations[split] = evaluate(part.labels, probabilities, part.class_names)
            _write_report(evaluation, directory / f"{split}_report")
            found[split] = part.labels, probabilities
            threshold = threshold_advice(found, part.class_names)
            subject = FigureSubject(split, source, threshold.threshold if threshold else None)
            for name, draw in split_figures(part, probabilities, evaluation, subject).items():
                begin_figure(draw, directory / "figures" / f"{name}.png")
            for name, draw in mistake_figures(classifier, grad_cam, part, probabilities, subject).items():
                begin_figure(draw, directory / "figures" / f"{name}.png", vector=False)
            log_event(LOG, "split evaluated", split=split, images=len(part), accuracy=evaluation.accuracy)
    return SplitReports(evaluations, threshold)


def report_stage(predictor: Predictor, index: ImageIndex, stage: str, directory: Path) -> dict[str, Evaluation]:
    """Evaluate the classifier after a stage, and write the classification report of each split.

    Args:
        predictor: of the classifier with the best weights so far.
        index: the images; splits without images are left out.
        stage: its name, with which the file names end.
        directory: of the run.
    """
    evaluations = {}
    for split in EVALUATED:
        part = index.split(split)
        if len(part):
            probabilities = predictor.probabilities(part, f"{split} after {stage}")
            evaluations[split] = evaluate(part.labels, probabilities, part.class_names)
            _write_report(evaluations[split], directory / f"{split}_report_after_{file_name(stage)}")
    return evaluations


@dataclass(frozen=True)
class FigureSubject:
    """What the figures of a split are about."""

    split: str
    source: str  # the run and its data
    threshold: float | None = None  # advised for two classes


def split_figures(
    index: ImageIndex, probabilities: np.ndarray, evaluation: Evaluation, subject: FigureSubject
) -> dict[str, Callable[[], Figure]]:
    """Return what draws the figures of one split, by name.

    Args:
        index: the images of the split.
        probabilities: float (n, classes).
        evaluation: the split's metrics.
        subject: the split, and where it comes from.
    """
    names, split, source = list(index.class_names), subject.split, subject.source
    share = f"accuracy {format_percent(evaluation.accuracy)} of {evaluation.images:,} images"
    by_class = f"{split}: share of each true class, {share}"
    figures: dict[str, Callable[[], Figure]] = {
        f"{split}_confusion": partial(
            confusion_figure, evaluation.confusion, names, False, f"{split}: {share}", source
        ),
        f"{split}_confusion_normalized": partial(confusion_figure, evaluation.confusion, names, True, by_class, source),
        f"{split}_calibration": partial(
            calibration_figure, index.labels, probabilities, f"{split}: confidence against accuracy", source
        ),
    }
    if len(names) <= MAX_CLASSES:
        title = f"{split}: ROC and precision-recall curves"
        title += f" of {printable(names[1])}" if len(names) == 2 else ", each class against the rest"
        figures[f"{split}_curves"] = partial(
            curves_figure, index.labels, probabilities, names, title, source, subject.threshold
        )
    return figures


def mistake_figures(
    classifier: Classifier, grad_cam: GradCam, index: ImageIndex, probabilities: np.ndarray, subject: FigureSubject
) -> dict[str, Callable[[], Figure]]:
    """Return what draws the figures of a split's most confident mistakes, by name.

    Args:
        classifier: the saved one.
        grad_cam: of the classifier.
        index: the images of the split.
        probabilities: float (n, classes).
        subject: the split, and where it comes from.
    """
    names, split, source = index.class_names, subject.split, subject.source
    worst = worst_mistakes(index.labels, probabilities)
    images = [
        load_image(index.file(int(i)), classifier.image_size, classifier.resize, index.limits, index.value_range)
        for i in worst
    ]
    pairs = [(int(index.labels[i]), int(probabilities[i].argmax())) for i in worst]
    captions = [
        (names[true], names[predicted], float(probabilities[i, predicted]), float(probabilities[i, true]))
        for i, (true, predicted) in zip(worst, pairs, strict=True)
    ]
    explained = images[:EXPLAINED]
    heat_maps: list[np.ndarray] = []
    if explained:
        with console.status(f"explaining the most confident mistakes: {split}"):
            classes = np.array([(predicted, true) for true, predicted in pairs[:EXPLAINED]])
            maps = grad_cam.heat_maps(np.repeat(np.stack(explained), 2, axis=0), classes.reshape(-1))
            heat_maps = list(maps.reshape(len(explained), 2, *maps.shape[1:]))
    return {
        f"{split}_mistakes": partial(
            mistakes_figure,
            images,
            [caption[:3] for caption in captions],
            f"{split}: the most confident mistakes",
            source,
        ),
        f"{split}_mistakes_explained": partial(
            explained_figure,
            explained,
            heat_maps,
            captions[:EXPLAINED],
            f"{split}: regions that support the classes in the most confident mistakes ({grad_cam.description})",
            source,
        ),
    }


def _write_report(evaluation: Evaluation, file: Path) -> None:
    """Write a split's classification report as text and as CSV."""
    write_text(file.with_name(f"{file.name}.txt"), evaluation.report())
    with open_csv(file.with_name(f"{file.name}.csv")) as table:
        writer = csv.DictWriter(table, [field.name for field in dataclasses.fields(ClassResult)])
        writer.writeheader()
        writer.writerows(dataclasses.asdict(result) for result in evaluation.per_class)


def _prediction_rows(index: ImageIndex, probabilities: np.ndarray, split: str) -> Iterator[list]:
    for image, label, row in zip(index.paths, index.labels, probabilities, strict=True):
        best = int(row.argmax())
        names = index.class_names[label], index.class_names[best]
        yield [image, split, *names, int(label == best), f"{row[best]:.7g}", *(f"{value:.7g}" for value in row)]
