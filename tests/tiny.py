"""Tiny networks, pictures and stages for the tests of training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from headstart.config import BackboneConfig, HeadConfig, OptimizerConfig, StageConfig
from headstart.config.train_targets import parse_target
from headstart.data.index import ImageIndex
from headstart.model.backbones.blocks import find_blocks
from headstart.model.backbones.spec import BackboneEntry, BlockRule
from headstart.model.heads import build_head
from headstart.model.network import Network, build_network
from headstart.model.preprocessing import preprocess
from headstart.training.checkpoint import Checkpoints
from headstart.training.inputs import StageInput
from headstart.training.settings import StageCallbacks, TrainingSettings
from headstart.training.stages import TrainingResult, train_stages

SIZE = 32


def tiny_network(backbone: str = "small_cnn", classes: int = 3, **head: Any) -> Network:
    """Return a classifier with random weights, the same ones each time."""
    keras.utils.set_random_seed(0)
    return build_network(BackboneConfig(backbone, "none"), HeadConfig("head", **head), classes, SIZE, seed=0)


def normed_network(classes: int = 3) -> Network:
    """Return a classifier of three blocks of a convolution and a batch norm; only block2's convolution has a bias."""
    keras.utils.set_random_seed(0)
    blocks = ("block1", "block2", "block3")
    entry = BackboneEntry("normed", "", "unit", SIZE, BlockRule(r"(block\d)_", blocks))
    inputs = x = keras.Input((SIZE, SIZE, 3))
    for block in blocks:
        x = keras.layers.Conv2D(4, 3, strides=2, use_bias=block == "block2", name=f"{block}_conv")(x)
        x = keras.layers.BatchNormalization(name=f"{block}_norm")(x)
        x = keras.layers.ReLU(name=f"{block}_relu")(x)
    backbone = keras.Model(inputs, x, name="backbone")
    head = build_head(HeadConfig("head"), backbone.output.shape[1:], classes, seed=0)
    pixels = keras.Input((SIZE, SIZE, 3), name="pixels")
    classifier = keras.Model(pixels, head(backbone(preprocess(entry.preprocessing, pixels))), name="classifier")
    return Network(entry, backbone, backbone, head, find_blocks(backbone, entry), classifier)


def pictures(count: int, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return noisy pictures whose class is their brightest channel, and one-hot targets."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    images = generator.uniform(0, 120, (count, SIZE, SIZE, 3))
    images[np.arange(count), :, :, labels] += 120
    return images.astype(np.float32), np.eye(classes, dtype=np.float32)[labels]


def stage(
    train: Any,
    name: str = "stage",
    epochs: int = 1,
    batch_norm: str = "frozen",
    optimizer: str = "sgd",
    learning_rate: float = 0.01,
    **values: Any,
) -> StageConfig:
    """Return a stage; the last values are those of its optimizer."""
    return StageConfig(
        name, parse_target(train), epochs, OptimizerConfig(optimizer, learning_rate, **values), batch_norm
    )


def train(
    network: Network,
    stages: list[StageConfig],
    images: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray | None = None,
    batch_size: int = 6,
    **arguments: Any,
) -> TrainingResult:
    """Train on the pictures in their order, and validate on the same ones."""
    weights = np.ones(len(images), np.float32) if weights is None else weights
    training = tf.data.Dataset.from_tensor_slices((images, targets, weights)).batch(batch_size).repeat()
    validation = tf.data.Dataset.from_tensor_slices((images, targets)).batch(batch_size)
    return train_on(network, stages, training, validation, -(-len(images) // batch_size), **arguments)


def train_on(
    network: Network,
    stages: list[StageConfig],
    training: tf.data.Dataset,
    validation: tf.data.Dataset,
    steps: int,
    callbacks: StageCallbacks | None = None,
    checkpoints: Checkpoints | None = None,
    time_limit: float | None = None,
    **settings: Any,
) -> TrainingResult:
    """Train every stage on the same batches, through the whole network; the last values are `TrainingSettings`."""

    def inputs(network: Network, stage: StageConfig, number: int) -> StageInput:
        return StageInput(network.training_model(stage.batch_norm), training.skip, validation, steps)

    settings = TrainingSettings(HeadConfig("head"), **settings)
    return train_stages(network, stages, inputs, settings, callbacks, checkpoints, time_limit)


def values_of(model: keras.Model) -> dict[str, np.ndarray]:
    """Return a copy of every variable, by its path."""
    return {variable.path: variable.numpy() for variable in model.weights}


def index_of(directory: Path) -> ImageIndex:
    """Return the pictures of a folder of classes, all of them for training."""
    files = sorted(directory.glob("*/*.png"))
    names = sorted({file.parent.name for file in files})
    labels = np.array([names.index(file.parent.name) for file in files], np.int32)
    paths = tuple(str(file.relative_to(directory)) for file in files)
    return ImageIndex(directory, tuple(names), paths, labels, np.array(["train"] * len(files)))
