"""Set up a run: check its images and build its network. Save its classifier."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.audit.in_run import begin_audit
from headstart.classifier.saved import Classifier, load_classifier, save_classifier
from headstart.config import Config
from headstart.config.identity import run_name
from headstart.core.environment import Clock
from headstart.core.files import write_json
from headstart.core.log import log_event
from headstart.core.paths import cache_directory
from headstart.core.tensorflow_import import import_tensorflow
from headstart.data.files.checks import DataReport, check_images
from headstart.data.files.images import load_image
from headstart.data.index import ImageIndex
from headstart.data.load import load_index
from headstart.inference.backend import resolve_inference_backend
from headstart.model.flips import with_flips
from headstart.model.imagenet import imagenet_classes
from headstart.model.targets import check_layers, needs_layers
from headstart.results.scenario import Scenario
from headstart.results.sections import Dataset, Environment
from headstart.run.display import print_facts, print_name, print_run_data, print_warnings
from headstart.run.environment import describe_environment
from headstart.run.preflight import check_configuration, possible_configurations
from headstart.run.strategy import settle_scenario
from headstart.training.hardware import expect_gpu, prepare_devices

if TYPE_CHECKING:
    from headstart.model.network import Network

LOG = logging.getLogger(__name__)
REFERENCE_IMAGES = 8  # saved with the classifier, which checks itself on them when it is loaded


@dataclass(frozen=True)
class RunSetup:
    """A run that is ready to train: its configuration, images and network, and their sections of the results."""

    name: str  # as in MLflow
    config: Config  # for scenario=auto with the parts of the chosen strategy
    output: Path
    index: ImageIndex
    class_names: tuple[str, ...]  # in the order of the network's outputs
    image_size: int
    network: Network
    strategy: Any  # tf.distribute.Strategy
    precision: str
    dataset: Dataset
    environment: Environment
    scenario: Scenario

    @property
    def source(self) -> str:
        """The line of the run's figures that names the run and its data."""
        from headstart.evaluation.writing import figure_source

        return figure_source(self.name, self.config, self.index)

    def save(self, split: str) -> Classifier:
        """Save the classifier with reference images from a split, and return it loaded from disk."""
        config, directory = self.config, self.output / "classifier"
        network = self.network if self.precision == "float32" else self._in_single_precision()
        model = with_flips(network.classifier) if config.tta == "flip" else network.classifier
        images = self.index.split(split)
        positions = np.linspace(0, len(images) - 1, min(REFERENCE_IMAGES, len(images))).astype(int)
        reference = [
            load_image(images.file(int(i)), self.image_size, config.dataset.resize, images.limits, images.value_range)
            for i in positions
        ]
        save_classifier(
            directory,
            model,
            self.class_names,
            self.image_size,
            config,
            np.stack(reference),
            images.value_range,
        )
        return load_classifier(directory, config.inference_backend)

    def _in_single_precision(self) -> Network:
        """Return the network with the same weights in float32, for the same predictions on every machine."""
        from headstart.model.network import build_network
        from headstart.training.hardware import seed_everything

        config, classes = self.config, len(self.class_names)
        weights = self.network.classifier.get_weights()
        seed_everything(config.seed, config.deterministic, "float32")
        whole = build_network(config.backbone, config.head, classes, self.image_size, config.seed, with_weights=False)
        whole.classifier.set_weights(weights)
        return whole


def set_up_run(
    config: Config, output: Path, clock: Clock, resume: bool = False, name_of: Callable[[Config], str] = run_name
) -> RunSetup:
    """Check configuration and data, start TensorFlow, build the network.

    Args:
        config: the resolved configuration.
        output: directory of the run; this writes splits.csv, data_report.json and data_report/.
        clock: clock of the run.
        resume: whether the run in the directory is resumed.
        name_of: returns the name of a run with a resolved configuration.

    Raises:
        HeadstartError: for an error that the user can fix.
    """
    clock.begin("data")  # before importing TensorFlow, which takes seconds, so that errors appear at once
    image_size = check_configuration(config)
    devices = _start_where_needed(config, image_size, clock)
    print_name(name_of(config))
    index, report = _checked_images(config, output)
    audit = begin_audit(config, index, report, image_size, output)
    class_names = imagenet_classes() if config.head.output == "imagenet" else index.class_names

    clock.begin("start_up")
    devices = _start_tensorflow(config.device) if devices is None else devices
    clock.begin("data")
    _finish_audit(audit, output)
    clock.begin("start_up")
    from headstart.model.network import build_network
    from headstart.training.hardware import choose_precision, choose_strategy, seed_everything

    if config.scenario.name == "auto":
        clock.begin("scenario")
    config, scenario = settle_scenario(config, index, image_size, output, resume)
    clock.begin("model")
    strategy = choose_strategy(devices)
    precision = choose_precision(config.precision)
    seed_everything(config.seed, config.deterministic, precision)

    with strategy.scope():
        network = build_network(config.backbone, config.head, len(class_names), image_size, config.seed)
    dataset = describe_dataset(config, index, len(class_names), image_size)
    environment = describe_environment(devices, precision, resolve_inference_backend(config.inference_backend))
    print_facts(index, dataset, environment, config, network, output)
    return RunSetup(
        name=name_of(config),
        config=config,
        output=output,
        index=index,
        class_names=class_names,
        image_size=image_size,
        network=network,
        strategy=strategy,
        precision=precision,
        dataset=dataset,
        environment=environment,
        scenario=scenario,
    )


def describe_dataset(config: Config, index: ImageIndex, classes: int, image_size: int) -> Dataset:
    """Return the section `dataset` of a run's results.

    Args:
        config: the resolved configuration.
        index: the images.
        classes: number of classes of the classifier.
        image_size: side of its input in pixels.
    """
    return Dataset(
        name=config.dataset.name,
        root=str(index.root),
        fingerprint=index.fingerprint,
        images={split: int(counts.sum()) for split, counts in index.counts().items()},
        classes=classes,
        image_size=image_size,
        value_range=index.value_range,
    )


def _checked_images(config: Config, output: Path) -> tuple[ImageIndex, DataReport]:
    """Return the valid images and what the check found; print and log how many there are in each split."""
    index, report = check_images(
        load_index(config.dataset, cache_directory(), config.cv),
        config.dataset.bad_images,
        cache_directory(),
        config.dataset.value_range,
    )
    index.write_csv(output / "splits.csv")
    print_run_data(config, index)
    splits = {split: int(counts.sum()) for split, counts in index.counts().items()}
    log_event(LOG, "data checked", classes=len(index.class_names), fingerprint=index.fingerprint[:16], **splits)
    return index, report


def _finish_audit(audit: Future[tuple[dict[str, Any], list[str]]], output: Path) -> None:
    """Write data_report.json, and print and log the warnings."""
    described, warnings = audit.result()
    write_json(output / "data_report.json", described)
    print_warnings(warnings)
    for warning in warnings:
        LOG.warning(warning)


def _start_where_needed(config: Config, image_size: int, clock: Clock) -> list[str] | None:
    """Check GPUs and layers before reading the images; return the GPUs if this had to start TensorFlow."""
    by_layer = [one for one in possible_configurations(config) if needs_layers(one)]
    if config.device != "gpu" and not by_layer:
        return None
    clock.begin("start_up")
    devices = _start_tensorflow(config.device)
    if config.device == "gpu":
        expect_gpu()
    for one in by_layer:
        check_layers(one, image_size)
    clock.begin("data")
    return devices


def _start_tensorflow(device: str) -> list[str]:
    """Import TensorFlow and return the names of the GPUs."""
    import_tensorflow()
    return prepare_devices(device)
