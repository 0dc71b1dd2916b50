"""The example images of `headstart demo`: those that are saved with the classifier, from its validation images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from headstart.classifier.saved import Classifier


def write_examples(classifier: Classifier, directory: Path) -> list[Path]:
    """Write the reference images of a classifier as PNG files, and return the files.

    They have the classifier's input size, so it sees exactly these pixels.

    Args:
        classifier: a saved classifier.
        directory: to write to.
    """
    if classifier.directory is None:
        return []
    directory.mkdir(parents=True, exist_ok=True)
    with np.load(classifier.directory / "reference.npz", allow_pickle=False) as reference:
        images = reference["images"].astype(np.uint8)
    files = [directory / f"example_{number}.png" for number in range(1, len(images) + 1)]
    for file, image in zip(files, images, strict=True):
        Image.fromarray(image).save(file)
    return files
