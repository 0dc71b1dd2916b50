"""What a run starts from once everything has been checked, and how its classifier is saved."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.audit.in_run import audit_run
from headstart.classifier.saved import Classifier, load_classifier, save_classifier
from headstart.config import Config, scenario_cells
from headstart.core.environment import Clock, describe_environment
from headstart.core.files import write_json
from headstart.core.log import log_event
from headstart.core.paths import cache_directory
from headstart.core.tensorflow_import import import_tensorflow
from headstart.data.files.checks import check_images
from headstart.data.files.images import load_image
from headstart.data.index import ImageIndex
from headstart.data.load import load_index
from headstart.inference.backend import resolve_inference_backend
from headstart.model.imagenet import imagenet_classes
from headstart.model.targets import check_layer_names, names_a_layer
from headstart.run.display import print_data, print_derived
from headstart.run.preflight import check_configuration
from headstart.training.hardware import expect_gpu, prepare_devices

if TYPE_CHECKING:
    from headstart.model.network import Network

LOG = logging.getLogger(__name__)
REFERENCE_IMAGES = 8  # kept in the artifact, to prove it later


@dataclass(frozen=True)
class RunSetup:
    """A run's configuration, its images and its network."""

    config: Config
    output: Path
    index: ImageIndex
    class_names: tuple[str, ...]  # in the order of the network's outputs
    image_size: int
    network: Network
    strategy: Any  # tf.distribute.Strategy
    precision: str
    environment: dict[str, Any]  # what results.json says of it

    def save(self, split: str) -> Classifier:
        """Save the classifier with some images of a split as its reference, and return it as it was saved."""
        config, directory = self.config, self.output / "classifier"
        network = self.network if self.precision == "float32" else self._in_single_precision()
        images = self.index.split(split)
        positions = np.linspace(0, len(images) - 1, min(REFERENCE_IMAGES, len(images))).astype(int)
        reference = [
            load_image(images.file(int(i)), self.image_size, config.dataset.resize, images.limits, images.value_range)
            for i in positions
        ]
        save_classifier(
            directory,
            network.classifier,
            self.class_names,
            self.image_size,
            config,
            np.stack(reference),
            images.value_range,
        )
        classifier = load_classifier(directory, config.inference_backend)
        self.environment["engine"] = classifier.forward.engine  # where it was not the one that was chosen
        return classifier

    def _in_single_precision(self) -> Network:
        """Return the network with the same weights without half precision, to give the same numbers everywhere."""
        from headstart.model.network import build_network
        from headstart.training.hardware import seed_everything

        config, classes = self.config, len(self.class_names)
        weights = self.network.classifier.get_weights()
        seed_everything(config.seed, config.deterministic, "float32")
        whole = build_network(config.backbone, config.head, classes, self.image_size, config.seed, with_weights=False)
        whole.classifier.set_weights(weights)
        return whole


def set_up_run(config: Config, output: Path, clock: Clock, results: dict[str, Any]) -> RunSetup:
    """Check configuration and data, start TensorFlow, build the network.

    Args:
        config: the resolved configuration.
        output: directory of the run; gets splits.csv, data_report.json and, with pictures, data_report/.
        clock: of the run.
        results: gets what is known of dataset and environment.

    Raises:
        HeadstartError: for anything that the user can mend.
    """
    clock.begin("data")  # before TensorFlow is imported, so that what is wrong is said at once
    measured = config.scenario.name == "auto"
    image_size = check_configuration(config)
    devices = _start_where_needed(config, measured, image_size, clock)
    index, data_report = check_images(
        load_index(config.dataset, cache_directory(), config.cv),
        config.dataset.bad_images,
        cache_directory(),
        config.dataset.value_range,
    )
    index.write_csv(output / "splits.csv")
    described, warnings = audit_run(config, index, data_report, image_size, output)
    write_json(output / "data_report.json", described)
    class_names = imagenet_classes() if config.head.output == "imagenet" else index.class_names
    report_data(index, warnings)

    clock.begin("start_up")
    devices = _start_tensorflow(config.device) if devices is None else devices
    from headstart.model.network import build_network
    from headstart.training.hardware import choose_precision, choose_strategy, seed_everything

    if measured:
        from headstart.scenario.choose import choose_scenario

        clock.begin("scenario")
        seed_everything(config.seed, config.deterministic, "float32")  # whatever another job has left behind
        config, results["scenario"] = choose_scenario(config, index, image_size, output)
    clock.begin("model")
    strategy = choose_strategy(devices)
    precision = choose_precision(config.precision)
    seed_everything(config.seed, config.deterministic, precision)

    with strategy.scope():
        network = build_network(config.backbone, config.head, len(class_names), image_size, config.seed)
    results["dataset"] = {
        "name": config.dataset.name,
        "root": str(index.root),
        "fingerprint": index.fingerprint,
        "images": {split: int(counts.sum()) for split, counts in index.counts().items()},
        "classes": len(class_names),
        "image_size": image_size,
        **({"value_range": list(index.value_range)} if index.value_range else {}),
    }
    inference_backend = resolve_inference_backend(config.inference_backend)
    results["environment"] = describe_environment(devices, precision, inference_backend)
    print_derived(results, config, network)
    return RunSetup(
        config, output, index, class_names, image_size, network, strategy, precision, results["environment"]
    )


def report_data(index: ImageIndex, warnings: list[str]) -> None:
    """Print and log how many images each split has, and what the checks warn of.

    Args:
        index: the images that will be used.
        warnings: sentences.
    """
    print_data(index, warnings)
    splits = {split: int(counts.sum()) for split, counts in index.counts().items()}
    log_event(LOG, "data checked", classes=len(index.class_names), fingerprint=index.fingerprint[:16], **splits)
    for warning in warnings:
        LOG.warning(warning)


def _start_where_needed(config: Config, measured: bool, image_size: int, clock: Clock) -> list[str] | None:
    """Check before the images are read what only TensorFlow can tell; return the GPUs where it had to be started."""
    possible = scenario_cells(config).values() if measured else [config]
    by_layer = [one for one in possible if names_a_layer(one)]
    if config.device != "gpu" and not by_layer:
        return None
    clock.begin("start_up")
    devices = _start_tensorflow(config.device)
    if config.device == "gpu":
        expect_gpu()
    for one in by_layer:
        check_layer_names(one, image_size)
    clock.begin("data")
    return devices


def _start_tensorflow(device: str) -> list[str]:
    """Import TensorFlow and return the names of the GPUs."""
    import_tensorflow()
    return prepare_devices(device)
