"""What a run starts from once everything has been checked, and how its classifier is saved."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.artifact import Classifier, load_classifier, save_classifier
from headstart.config import Config
from headstart.data.images import load_image
from headstart.data.index import ImageIndex

if TYPE_CHECKING:
    from headstart.model.assemble import Network

REFERENCE_IMAGES = 8  # kept in the artifact, to prove it later


@dataclass(frozen=True)
class Prepared:
    """A run's configuration, its images and its network."""

    config: Config
    output: Path
    index: ImageIndex
    class_names: tuple[str, ...]  # in the order of the network's outputs
    image_size: int
    network: Network
    strategy: Any  # tf.distribute.Strategy
    precision: str

    def save(self, split: str) -> Classifier:
        """Save the classifier with some images of a split as its reference, and return it as it was saved."""
        config, directory = self.config, self.output / "classifier"
        network = self.network if self.precision == "float32" else self._in_single_precision()
        images = self.index.split(split)
        positions = np.linspace(0, len(images) - 1, min(REFERENCE_IMAGES, len(images))).astype(int)
        reference = [load_image(images.file(int(i)), self.image_size, config.dataset.resize) for i in positions]
        save_classifier(directory, network.classifier, self.class_names, self.image_size, config, np.stack(reference))
        return load_classifier(directory)

    def _in_single_precision(self) -> Network:
        """Return the network with the same weights without half precision, to give the same numbers everywhere."""
        from headstart.model.assemble import build_network
        from headstart.training.hardware import seed_everything

        config, classes = self.config, len(self.class_names)
        weights = self.network.classifier.get_weights()
        seed_everything(config.seed, config.deterministic, "float32")
        whole = build_network(config.backbone, config.head, classes, self.image_size, config.seed, with_weights=False)
        whole.classifier.set_weights(weights)
        return whole
