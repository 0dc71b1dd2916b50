"""Contact sheets of a run's images, a sheet for each split."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from headstart.data.files.images import load_image
from headstart.data.index import SPLITS, ImageIndex
from headstart.evaluation.plots.samples import MOST_IMAGES, Sample, choose_samples, samples_figure
from headstart.evaluation.writing import begin_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LARGEST_SIDE = 224  # pixels; no image of a sheet has more


def begin_sample_sheets(index: ImageIndex, image_size: int, resize: str, source: str, directory: Path) -> None:
    """Begin to draw a sheet with some images of every class for each split, see `finish_figures`.

    Only the images on the sheets are read, up to MOST_IMAGES of a split.

    Args:
        index: the images; splits without images are left out.
        image_size: side of the classifier's input in pixels.
        resize: how an image becomes square, as for the classifier.
        source: the run and its data.
        directory: for the figures; created if it does not exist.
    """
    for split in SPLITS:
        part = index.split(split)
        if not len(part):
            continue
        chosen = choose_samples(part.labels, len(part.class_names))
        counts = np.bincount(part.labels, minlength=len(part.class_names))
        shown = part.take(np.concatenate(chosen))
        title = f"{split}: {len(part):,} images"
        if len(part.class_names) > MOST_IMAGES:
            title += f", the first {MOST_IMAGES} of {len(part.class_names):,} classes"
        draw = partial(_draw, shown, counts[: len(chosen)], min(image_size, LARGEST_SIDE), resize, title, source)
        begin_figure(draw, directory / f"{split}_samples.png", vector=False)


def _draw(shown: ImageIndex, counts: np.ndarray, side: int, resize: str, title: str, source: str) -> Figure:
    """Read the images, and draw the sheet of the first classes, which have some images each in their split."""
    images = [
        load_image(shown.file(position), side, resize, shown.limits, shown.value_range)
        for position in range(len(shown))
    ]
    samples = [
        Sample(shown.class_names[label], int(count), [images[i] for i in np.flatnonzero(shown.labels == label)])
        for label, count in enumerate(counts)
    ]
    return samples_figure(samples, title, source)
