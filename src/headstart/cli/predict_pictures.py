"""The images that `headstart predict --overlay` and `--explain` write."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from headstart.classifier.saved import Classifier
from headstart.core.console import print_to_stderr, track
from headstart.core.errors import HeadstartError, printable
from headstart.evaluation.gradcam import GradCam
from headstart.evaluation.plots.labelled import SIDE, draw, explain, unique_files
from headstart.evaluation.writing import save_picture
from headstart.model.heads import predicted_classes


def draw_all(classifier: Classifier, rows: list[dict[str, Any]], directory: Path) -> int:
    """Write every readable image with its label, and return how many could not be written."""
    readable = [row for row in rows if "error" not in row]
    files = unique_files((Path(row["path"]) for row in readable), directory)
    drawings = (
        partial(draw, Path(row["path"]), row["label"], row["confidence"], classifier.value_range) for row in readable
    )
    return sum(not written(drawing, next(files)) for drawing in track(drawings, len(readable), "drawing"))


def explain_all(
    classifier: Classifier,
    rows: list[dict[str, Any]],
    directory: Path,
    batch_size: int,
    threshold: float | None = None,
) -> int:
    """Write every readable image, as the classifier sees it, beside the heat map of its label.

    Returns:
        How many could not be written.
    """
    failed = 0
    grad_cam = GradCam(classifier.model, compiled=True)
    readable = [row for row in rows if "error" not in row]
    files = unique_files((Path(row["path"]) for row in readable), directory)
    for start in track(range(0, len(readable), batch_size), -(-len(readable) // batch_size), "explaining"):
        batch = readable[start : start + batch_size]
        images = np.stack([classifier.load(Path(row["path"])) for row in batch])
        # By index, not by label: two ImageNet classes can have the same name.
        classes = predicted_classes(classifier.probabilities(images), threshold)
        for row, heat in zip(batch, grad_cam.heat_maps(images, classes), strict=True):

            def sheet(row: dict[str, Any] = row, heat: np.ndarray = heat) -> Image.Image:
                picture = classifier.load(Path(row["path"]), SIDE)
                return explain(picture, heat, row["label"], row["confidence"])

            failed += not written(sheet, next(files))
    return failed


def written(picture: Callable[[], Image.Image], file: Path) -> bool:
    """Write an image, or print a warning if it cannot be written; return whether it was written."""
    try:
        save_picture(picture(), file)
    except (OSError, HeadstartError) as error:  # a full disk, an image that has been removed
        print_to_stderr(f"Warning: cannot write {printable(str(file))} ({getattr(error, 'strerror', None) or error})")
        return False
    return True
