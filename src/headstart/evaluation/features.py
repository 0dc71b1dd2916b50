"""The features of a saved classifier: what its head reads, of every image of a run."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from headstart.classifier.saved import Classifier
from headstart.config import Config
from headstart.core.npz import write_npz
from headstart.data.batch_order import blocks_of
from headstart.data.index import SPLITS, ImageIndex
from headstart.evaluation.predictor import Predictor, make_predictor
from headstart.features.activation_cache import open_activation_cache
from headstart.model.backbones.registry import get_entry
from headstart.model.network import Network, parts_of
from headstart.model.preprocessing import preprocess

if TYPE_CHECKING:
    import keras

AT_ONCE = 2048  # images
NOT_PREDICTED = -1


@dataclass(frozen=True)
class FeatureSource:
    """The images of a run, whose features are computed block by block."""

    index: ImageIndex  # the training, validation and test images, in this order
    predictor: Predictor  # its outputs are the features
    width: int  # features of an image

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the features of all images in order, float32 (images, width); only one block is in memory."""
        for split in SPLITS:
            part = self.index.split(split)
            for positions in blocks_of(np.arange(len(part)), AT_ONCE):
                yield self.predictor.outputs(part.take(positions), split).astype(np.float32)


def feature_source(classifier: Classifier, config: Config, index: ImageIndex) -> FeatureSource:
    """Return the source of a classifier's features: what its head reads of each image, averaged over the positions.

    Activations of the layers that the run left frozen are read from the cache. With test-time flips the features are
    those of the images as they are.

    Args:
        classifier: the saved one.
        config: of its run.
        index: the images of the run.
    """
    entry, train = get_entry(config.backbone.name), config.freeze.stages[-1].train
    model = _features_model(parts_of(classifier.model, entry))
    activations = open_activation_cache(config, classifier.image_size)
    plain = dataclasses.replace(classifier, model=model)
    predictor = make_predictor(plain, entry, train, config.batch_size, activations, config.cache.activations)
    order = np.concatenate([np.flatnonzero(index.splits == split) for split in SPLITS])
    return FeatureSource(index.take(order), predictor, model.output.shape[-1])


def _features_model(network: Network) -> keras.Model:
    """Return the network with a head that only averages, as `make_predictor` needs it."""
    import keras

    inputs = keras.Input(network.features.output.shape[1:])
    pooled = keras.layers.GlobalAveragePooling2D()(inputs) if len(inputs.shape) == 4 else inputs
    # Without effect, but where the cached part of a run ends: so its activations are found.
    head = keras.Model(inputs, keras.layers.Dropout(0.0)(pooled), name="head")
    pixels = keras.Input(network.classifier.input.shape[1:], name="pixels", dtype="float32")
    return keras.Model(pixels, head(network.features(preprocess(network.entry.preprocessing, pixels))))


def read_predictions(file: Path, index: ImageIndex) -> np.ndarray:
    """Return the position of the class that a run predicted for each image, int32 (n,).

    A run predicts its validation and test images; all others are NOT_PREDICTED.

    Args:
        file: predictions.csv of the run.
        index: the images.
    """
    known = {name: position for position, name in enumerate(index.class_names)}
    with file.open(newline="", encoding="utf-8") as opened:
        found = {(row["split"], row["path"]): known[row["predicted"]] for row in csv.DictReader(opened)}
    pairs = zip(index.splits.tolist(), index.paths, strict=True)
    return np.array([found.get(pair, NOT_PREDICTED) for pair in pairs], np.int32)


def write_features(file: Path, source: FeatureSource, predicted: np.ndarray, blocks: Iterable[np.ndarray]) -> None:
    """Write the features with what belongs to them as NPZ, without holding all of them in memory.

    Args:
        file: to write.
        source: of the features.
        predicted: see `read_predictions`.
        blocks: of the source.

    Raises:
        OSError: when the file cannot be written.
    """
    index = source.index
    others = {
        "labels": index.labels,
        "predicted": predicted,
        "paths": np.array(index.paths, dtype=np.str_),
        "splits": np.array(index.splits, dtype=np.str_),
        "class_names": np.array(index.class_names, dtype=np.str_),
    }
    write_npz(file, "features", (len(index), source.width), blocks, others)
