"""One run as a story: data, model, stages, the saved classifier, its evaluation, what is tracked."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.config import Config, to_yaml
from headstart.console import console
from headstart.environment import Clock, command_line, describe_environment
from headstart.files import write_json, write_text
from headstart.paths import cache_directory
from headstart.quiet import import_tensorflow
from headstart.summary import markdown, print_data, print_derived, print_end

if TYPE_CHECKING:
    from headstart.artifact import Classifier
    from headstart.data.index import ImageIndex
    from headstart.tracking import Tracker
    from headstart.training.callbacks import EpochRecord
    from headstart.training.stages import TrainingResult

REFERENCE_IMAGES = 8  # kept in the artifact, to prove it later


def run(config: Config, output: Path, started: float | None = None) -> dict[str, Any]:
    """Train, evaluate, save and track one classifier.

    Args:
        config: the resolved configuration.
        output: directory of the run; exists and can be written.
        started: when the process began, in seconds since the epoch; the figures of time count from there.

    Returns:
        What `results.json` in the output directory says.

    Raises:
        HeadstartError: for anything that the user can mend; `results.json` then has the status FAILED.
    """
    clock = Clock(started or time.time())
    results: dict[str, Any] = {"run_id": None, "status": "FAILED", "command": command_line(), "seed": config.seed}
    results["output"] = str(output)
    try:
        _run(config, output, clock, results)
        results["status"] = "FINISHED"
    except KeyboardInterrupt:
        results["status"] = "KILLED"
        raise
    except Exception as error:
        results["error"] = f"{type(error).__name__}: {error}"
        raise
    finally:
        results["seconds"] = clock.summary()
        write_json(output / "results.json", results)
    print_end(results)
    return results


def _run(config: Config, output: Path, clock: Clock, results: dict[str, Any]) -> None:
    """Run, and fill `results` on the way."""
    write_text(output / "config.yaml", to_yaml(config))
    console.print(f"[bold]Configuration[/]  {output / 'config.yaml'}", soft_wrap=True)
    console.print(to_yaml(config), markup=False)

    with clock.phase("start_up"):
        import_tensorflow()
        from headstart.artifact import load_classifier, save_classifier
        from headstart.data.augment import Augmentation
        from headstart.data.check import check_images
        from headstart.data.pipeline import class_weights, evaluation_dataset, training_dataset
        from headstart.data.sources import load_index
        from headstart.model.assemble import build_network
        from headstart.model.backbones import get_entry
        from headstart.tracking import tracked_run
        from headstart.training.hardware import choose_precision, choose_strategy, prepare_devices, seed_everything
        from headstart.training.stages import count_parameters, train_stages

        devices = prepare_devices()
        strategy = choose_strategy(devices)
        precision = choose_precision(config.precision)
        seed_everything(config.seed, config.deterministic, precision)

    with clock.phase("data"):
        index = load_index(config.dataset, cache_directory())
        index, data_report = check_images(index, config.dataset.bad_images, cache_directory())
        index.write_csv(output / "splits.csv")
        write_json(output / "data_report.json", data_report.to_dict())
        training_index, validation_index = index.split("train"), index.split("validation")
    print_data(index, data_report.warnings())

    with clock.phase("model"):
        image_size = choose_image_size(config, get_entry(config.backbone.name))
        classes = len(index.class_names)
        with strategy.scope():
            network = build_network(config.backbone, config.head, classes, image_size, config.seed)
    steps = -(-len(training_index) // config.batch_size)
    print_derived(
        {
            "fingerprint": index.fingerprint[:16],
            "image size": f"{image_size} px ({'given' if config.image_size else 'suits the dataset and the backbone'})",
            "steps": f"{steps} an epoch, batches of {config.batch_size}",
            "backbone": f"{config.backbone.name}, weights {config.backbone.weights}, {len(network.blocks)} blocks",
            "parameters": f"{count_parameters(network.classifier.weights):,}",
            **({"GPUs": f"{len(devices)}, precision {precision}"} if devices else {}),
        }
    )

    tags = {
        "dataset": config.dataset.name,
        "backbone": config.backbone.name,
        "freeze": config.freeze.name,
        "dataset_fingerprint": index.fingerprint,
        "config_hash": config_hash(config),
        "output": str(output),
    }
    with tracked_run(config.tracking, run_name(config), tags) as tracker:
        results.update(run_id=tracker.run_id, experiment_id=tracker.experiment_id, tracking_uri=tracker.uri)
        tracker.log_parameters(config)
        for name in ("config.yaml", "splits.csv", "data_report.json"):
            tracker.log_file(output / name)
        clock.seconds["start_up"] = time.time() - clock.started - clock.seconds["data"]

        with clock.phase("training"), strategy.scope():
            one_sigmoid = config.head.output == "sigmoid"
            resize, batch_size = config.dataset.resize, config.batch_size
            weights = class_weights(training_index.labels, classes, config.class_weight)
            training = train_stages(
                network,
                config.freeze.stages,
                training_dataset(
                    training_index,
                    image_size,
                    resize,
                    batch_size,
                    Augmentation(config.augmentation),
                    weights,
                    config.seed,
                    one_sigmoid,
                ),
                steps,
                evaluation_dataset(validation_index, image_size, resize, batch_size, one_sigmoid),
                config.label_smoothing,
                config.patience,
                lambda record: _track_epoch(tracker, config, record),
            )
        results["best_epoch"] = dataclasses.asdict(training.best)
        results["parameters"] = {
            "total": count_parameters(network.classifier.weights),
            "trainable": list(training.trainable_parameters.values())[-1],
            "trainable_by_stage": training.trainable_parameters,
        }
        clock.seconds.update({f"stage_{name}": seconds for name, seconds in training.seconds.items()})

        with clock.phase("saving"):
            model = network.classifier
            if precision != "float32":  # the same weights without half precision, to give the same numbers everywhere
                seed_everything(config.seed, config.deterministic, "float32")
                whole = build_network(
                    config.backbone, config.head, classes, image_size, config.seed, with_weights=False
                )
                whole.classifier.set_weights(model.get_weights())
                model = whole.classifier
            reference = _reference_images(validation_index, image_size, config.dataset.resize)
            save_classifier(output / "classifier", model, index.class_names, image_size, config, reference)
            # From here on only what was saved is used, so that it is what the figures are about.
            classifier = load_classifier(output / "classifier")

        with clock.phase("evaluation"):
            results["splits"] = _evaluate(config, classifier, index, training, output, tracker)

        with clock.phase("tracking"):
            results["dataset"] = {
                "fingerprint": index.fingerprint,
                "images": {split: int(counts.sum()) for split, counts in index.counts().items()},
                "classes": classes,
                "image_size": image_size,
            }
            results["environment"] = describe_environment(devices, precision)
            tracker.log_classifier(output / "classifier")
            tracker.describe(markdown(results, config), {"best_stage": training.best.stage})
            tracker.log_metrics({f"seconds_{name}": value for name, value in clock.summary().items()})


def choose_image_size(config: Config, entry: Any) -> int:
    """Return the side of the input: the configured one, what suits the dataset, or the backbone's own.

    Args:
        config: `image_size` and the dataset's suggestion.
        entry: the backbone's registry entry.
    """
    if config.image_size is not None:
        return config.image_size
    if config.dataset.suggested_image_size is not None:
        return max(config.dataset.suggested_image_size, entry.minimum_size)
    return entry.image_size


def run_name(config: Config) -> str:
    """Return a name that tells runs apart at a glance."""
    return f"{config.dataset.name} {config.backbone.name} {config.head.name} {config.freeze.name} seed {config.seed}"


def config_hash(config: Config) -> str:
    """Return a digest of everything that decides a run's figures; where it is tracked does not."""
    values = dataclasses.asdict(config)
    del values["tracking"]
    return hashlib.sha256(repr(sorted(values.items())).encode()).hexdigest()[:16]


def _evaluate(
    config: Config,
    classifier: Classifier,
    index: ImageIndex,
    training: TrainingResult,
    output: Path,
    tracker: Tracker,
) -> dict[str, Any]:
    """Evaluate the saved classifier on every split it did not learn from; write and track what was found."""
    from headstart.evaluation.metrics import evaluate
    from headstart.evaluation.report import (
        predict_split,
        split_figures,
        training_figure,
        write_history,
        write_predictions,
    )

    splits: dict[str, Any] = {}
    write_history(output / "history.csv", training.history)
    figures = {"history": training_figure(training.history, training.best.epoch, run_name(config))}
    present = [name for name in ("validation", "test") if len(index.split(name))]
    for position, name in enumerate(present):
        part = index.split(name)
        probabilities = predict_split(classifier, part, config.batch_size, name)
        evaluation = evaluate(part.labels, probabilities, index.class_names)
        write_predictions(output / "predictions.csv", part, probabilities, name, append=position > 0)
        write_text(output / f"{name}_report.txt", evaluation.report())
        tracker.log_metrics({f"{name}_{key}": value for key, value in evaluation.summary().items()})
        tracker.log_file(output / f"{name}_report.txt")
        splits[name] = {
            **evaluation.summary(),
            "most_confused": [list(pair) for pair in evaluation.most_confused],
            "per_class": [dataclasses.asdict(result) for result in evaluation.per_class],
        }
        figures.update(split_figures(part, probabilities, evaluation, name, classifier.image_size, classifier.resize))
    (output / "figures").mkdir(exist_ok=True)
    for name, figure in figures.items():
        figure.savefig(output / "figures" / f"{name}.png")
    tracker.log_files(output / "figures", "figures")
    tracker.log_file(output / "predictions.csv")
    tracker.log_file(output / "history.csv")
    return splits


def _reference_images(index: ImageIndex, image_size: int, resize: str) -> np.ndarray:
    """Return some pictures spread over the split, uint8 (n, size, size, 3)."""
    from headstart.data.images import load_image

    positions = np.linspace(0, len(index) - 1, min(REFERENCE_IMAGES, len(index))).astype(int)
    return np.stack([load_image(index.file(int(position)), image_size, resize) for position in positions])


def _track_epoch(tracker: Tracker, config: Config, record: EpochRecord) -> None:
    stage = [stage.name for stage in config.freeze.stages].index(record.stage)
    figures = {key: value for key, value in dataclasses.asdict(record).items() if isinstance(value, float)}
    tracker.log_metrics({**figures, "stage": float(stage)}, epoch=record.epoch)
