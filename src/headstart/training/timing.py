"""Estimate how long training takes, from a few steps of each stage on a few of the images."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from headstart.cache.store import Cache
from headstart.config import Config, StageConfig
from headstart.data.index import ImageIndex
from headstart.data.pixel_cache import Pixels
from headstart.features.activation_cache import ActivationCache
from headstart.model.freeze import open_for_training
from headstart.model.network import Network
from headstart.training.compiling import compile_for_training
from headstart.training.inputs import ImageInputs, StageInput

SHORT, LONG = 2, 32  # steps that are timed: of large batches, and of small ones that run in groups


@dataclass(frozen=True)
class StageTiming:
    """The times of a stage on this machine, in seconds."""

    frozen: float  # to run an image through the frozen part once; 0 if an earlier stage did it
    step: float  # per training batch; 0 if the head is solved
    validation: float  # per image

    def seconds(self, epochs: int, steps: int, images: dict[str, int]) -> float:
        """Return how long the whole stage takes, in seconds.

        Args:
            epochs: of the stage.
            steps: batches in an epoch.
            images: number of images of each split.
        """
        frozen = self.frozen * (images["train"] + images["validation"])
        return frozen + epochs * (steps * self.step + images["validation"] * self.validation)


class _Clock(keras.callbacks.Callback):
    """Records how long each epoch took."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.seconds.append(time.perf_counter() - self.began)


def time_stages(
    config: Config, network: Network, samples: tuple[ImageIndex, ImageIndex], image_size: int, directory: Path
) -> dict[str, StageTiming]:
    """Time each stage, and return the times by stage name.

    Args:
        config: of the run.
        network: as its configuration builds it; its weights are changed.
        samples: two sets of images with their digests, each with a training and a validation split: the first for
            work that is done only once, such as tracing, the second to be timed.
        image_size: side in pixels.
        directory: for the cache of the samples.
    """
    config = replace(config, class_weight="none", steps_per_epoch=LONG)
    cache = Cache(directory, config.cache.max_gb * 1e9)
    pixels = Pixels(image_size, config.dataset.resize, cache if config.cache.images else None)
    activations = ActivationCache(cache, pixels, config.cache.dtype, config.inference_backend, config.backbone.name)
    first, second = (ImageInputs(config, sample, activations) for sample in samples)
    found = {}
    for number, stage in enumerate(config.freeze.stages):
        stage = replace(stage, epochs=2)
        open_for_training(network, stage.train)
        first(network, stage, number)
        began, computed = time.perf_counter(), activations.computed
        stage_input = second(network, stage, number)
        ran = activations.computed > computed
        frozen = (time.perf_counter() - began) / len(samples[1]) if ran else 0.0
        found[stage.name] = _timed(network, stage, stage_input, frozen, config.label_smoothing, samples[1])
    return found


def _timed(
    network: Network,
    stage: StageConfig,
    stage_input: StageInput,
    frozen: float,
    label_smoothing: float,
    sample: ImageIndex,
) -> StageTiming:
    """Time the second of two short epochs, and of two validations."""
    if stage_input.features is not None:
        return StageTiming(frozen, 0.0, 0.0)
    steps = LONG if stage_input.steps_at_once > 1 else SHORT
    compile_for_training(network, stage, stage_input, label_smoothing, stage_input.steps_at_once)
    clock = _Clock()
    stage_input.model.fit(
        stage_input.training(0), epochs=2, steps_per_epoch=steps, callbacks=[clock], verbose=0, shuffle=False
    )
    stage_input.model.evaluate(stage_input.validation, verbose=0)
    began = time.perf_counter()
    stage_input.model.evaluate(stage_input.validation, verbose=0)
    validation = (time.perf_counter() - began) / len(sample.split("validation"))
    return StageTiming(frozen, clock.seconds[1] / steps, validation)


def choose_timing_samples(index: ImageIndex, batch_size: int) -> tuple[ImageIndex, ImageIndex]:
    """Return two sets of about a batch of images each, spread over the data set; they overlap if it is small.

    Args:
        index: all images.
        batch_size: of training.
    """
    chosen: tuple[list[int], list[int]] = ([], [])
    for split in ("train", "validation"):
        positions = np.flatnonzero(index.splits == split)
        few = positions[np.linspace(0, len(positions) - 1, min(2 * batch_size, len(positions))).astype(int)]
        for part, sample in zip((few[::2], few[1::2] if len(few) > 1 else few), chosen, strict=True):
            sample += part.tolist()
    return index.take(chosen[0]), index.take(chosen[1])
