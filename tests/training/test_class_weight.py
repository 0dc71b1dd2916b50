"""Class weights help the rare class when classes overlap."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.cache.store import Cache
from headstart.config import compose
from headstart.data.files.checks import check_images
from headstart.data.files.images import load_image
from headstart.data.load import load_index
from headstart.data.pixel_cache import Pixels
from headstart.features.activation_cache import ActivationCache
from headstart.model.network import build_network
from headstart.training.hardware import seed_everything
from headstart.training.inputs import ImageInputs
from headstart.training.settings import TrainingSettings
from headstart.training.stages import train_stages

COUNTS = {"train": (200, 20), "val": (100, 10), "test": (60, 60)}  # validation as imbalanced as training
BRIGHTNESS = {"common": 110, "rare": 150}
SPREAD = 22  # of the brightness of a picture: the best threshold for both alike is wrong in one of five


@pytest.fixture(scope="module")
def imbalanced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return grey pictures in which the rare class is a little brighter, ten common ones to a rare one."""
    root, generator = tmp_path_factory.mktemp("imbalanced"), np.random.default_rng(0)
    for split, counts in COUNTS.items():
        for (name, brightness), count in zip(BRIGHTNESS.items(), counts, strict=True):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                level = generator.normal(brightness, SPREAD)
                pixels = np.clip(generator.normal(level, 8, (12, 12, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{number:03}.png")
    return root


def recalls(root: Path, class_weight: str, seed: int, cache: Path) -> np.ndarray:
    """Train the head and return the recall of each class in the test split."""
    given = [f"dataset.root={root}", "dataset=folder", "backbone=small_cnn", "image_size=32", "freeze=all", "epochs=25"]
    config = compose([*given, "optimizer.learning_rate=0.3", f"class_weight={class_weight}", f"seed={seed}"])
    seed_everything(seed, deterministic=True, precision="float32")
    index, _ = check_images(load_index(config.dataset, cache), "fail", cache)
    network = build_network(config.backbone, config.head, 2, 32, seed)
    store = Cache(cache / "tables", 1e9)
    inputs = ImageInputs(config, index, ActivationCache(store, Pixels(32, "stretch", store)))
    train_stages(network, config.freeze.stages, inputs, TrainingSettings(config.head, seed))
    test = index.split("test")
    images = np.stack([load_image(test.file(i), 32, "stretch") for i in range(len(test))]).astype(np.float32)
    chosen = network.classifier(images, training=False).numpy().argmax(axis=1)
    return np.array([np.mean(chosen[test.labels == label] == label) for label in range(2)])


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_balanced_weights_raise_the_recall_of_the_rare_class(imbalanced: Path, tmp_path: Path, seed: int) -> None:
    none, balanced = (recalls(imbalanced, kind, seed, tmp_path) for kind in ("none", "balanced"))
    assert none[1] < 0.7  # classes overlap: without weights the rare one loses
    assert balanced[1] > none[1] + 0.1
    assert balanced[0] > 0.5  # and not by calling everything rare
