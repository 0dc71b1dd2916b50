"""Estimate how many bytes a run will write, and check that the disks have room for them, before the first epoch."""

from __future__ import annotations

import math
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.filesize import decimal

from headstart.config import StageConfig
from headstart.core.errors import HeadstartError
from headstart.core.full_disk import nearest_existing
from headstart.evaluation.familiarity import images_kept
from headstart.model.freeze import moving_weights, open_for_training
from headstart.results.runs import CHECKPOINT
from headstart.results.sections import DiskUse
from headstart.run.setup import REFERENCE_IMAGES
from headstart.training.optimizers import slots

if TYPE_CHECKING:
    import keras

    from headstart.model.network import Network

# Bytes.
AN_ARRAY = 512  # overhead of an array in a checkpoint
A_VARIABLE = 2_400  # overhead of a variable in a saved classifier
A_ROW = 500  # an image's rows in splits.csv and predictions.csv, and their copies
A_PROBABILITY = 26  # a probability in predictions.csv, and its copy
# Figures, of which the sheets of photographs have up to 18 MB, journal and a new database; copies of the figures and of
# headstart in the store.
OTHERS = 40_000_000


@dataclass(frozen=True)
class Estimate:
    """Bytes that a run will write."""

    checkpoint: int
    classifier: int
    tables: int  # tables, figures and their copies


def estimate(network: Network, stages: list[StageConfig], image_size: int, images: int, classes: int) -> Estimate:
    """Return the bytes that a run will write.

    Args:
        network: the classifier; this sets which of its layers train, and training sets it again.
        stages: training stages; empty: no checkpoint.
        image_size: side of the input in pixels.
        images: number of images.
        classes: number of classes.
    """
    weights = network.classifier.weights
    moved: set[int] = set()
    checkpoint = 0
    for stage in stages:
        open_for_training(network, stage.train)
        moved.update(moving_weights(network, stage.batch_norm))
        of_weights = _bytes([weights[position] for position in moved], AN_ARRAY)
        of_optimizer = _bytes(network.classifier.trainable_variables, AN_ARRAY)
        # The current weights and those of the best epoch.
        checkpoint = max(checkpoint, 2 * of_weights + slots(stage.optimizer) * of_optimizer)
    features = int(network.features.output.shape[-1])
    beside = REFERENCE_IMAGES * image_size**2 * 3 + images_kept(images, features) * features * 2
    tables = OTHERS + images * (A_ROW + classes * A_PROBABILITY)
    return Estimate(checkpoint, _bytes(weights, A_VARIABLE) + beside, tables)


def expect_room(found: Estimate, output: Path, artifacts: Path | None) -> dict[int, int]:
    """Raise unless each disk has room for everything that a run holds on it at once; return the bytes per device.

    A run writes each checkpoint beside the previous one and deletes the last one when it ends. MLflow assembles a copy
    of the classifier in the temporary directory before it sends it to the store.

    Args:
        found: the estimate.
        output: directory of the run.
        artifacts: artifact directory of the tracking store; None if a server stores the artifacts.

    Raises:
        HeadstartError: naming the disk, and the needed and free bytes.
    """
    checkpoint, classifier = found.checkpoint, found.classifier
    copies = [Path(tempfile.gettempdir()), *([artifacts] if artifacts else [])]
    moments = [
        [(output, 2 * checkpoint + found.tables)],
        [(output, checkpoint + classifier + found.tables), *((place, classifier) for place in copies)],
    ]
    present = output / CHECKPOINT  # when resuming, these bytes are on the disk already
    there = present.stat().st_size if present.exists() else 0
    needed: dict[int, int] = {}
    places: dict[int, Path] = {}
    for moment in moments:
        here: dict[int, int] = {}
        for place, size in moment:
            directory = nearest_existing(place.absolute())
            device = directory.stat().st_dev
            places.setdefault(device, directory)
            here[device] = here.get(device, 0) + size - (there if place == output else 0)
        needed = {device: max(needed.get(device, 0), here.get(device, 0)) for device in needed | here}
    for device, size in needed.items():
        free = shutil.disk_usage(places[device]).free
        if size > free:
            raise HeadstartError(
                f"Expected at least {decimal(size)} free on the disk of {places[device]} for this run's checkpoint "
                f"({decimal(checkpoint)}, twice while it is written), classifier ({decimal(classifier)}) and MLflow's "
                f"copies of it. Received: {decimal(free)}",
                "free some (headstart cache prune), or set HEADSTART_OUTPUTS to another disk",
            )
    return needed


def disk_use(found: Estimate, needed: dict[int, int]) -> DiskUse:
    """Return the section `disk` of a run's results.

    Args:
        found: the estimate.
        needed: bytes per device, see `expect_room`.
    """
    return DiskUse(
        checkpoint=found.checkpoint,
        classifier=found.classifier,
        tables=found.tables,
        bytes_estimated=sum(needed.values()),
    )


def _bytes(variables: list[keras.Variable], beside: int) -> int:
    """Return the bytes of variables in a file, with an overhead for each variable."""
    import tensorflow as tf

    return sum(math.prod(variable.shape) * tf.as_dtype(variable.dtype).size + beside for variable in variables)
