"""One run as a story: data, model, stages, the saved classifier, its evaluation, what is tracked."""

from __future__ import annotations

import dataclasses
import logging
import shlex
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.config import Config, StageConfig, to_yaml
from headstart.config.identity import config_hash, run_name
from headstart.core.environment import Clock, command_line
from headstart.core.errors import HeadstartError
from headstart.core.files import file_name, write_json, write_text
from headstart.core.full_disk import disk_full_error, is_disk_full
from headstart.core.log import log_event, run_log
from headstart.core.signals import parse_duration
from headstart.results.runs import CHECKPOINT, RUNNING, read_results
from headstart.run.display import markdown, print_configuration, print_end, print_suggestion
from headstart.run.reproduce import compare_with_original, print_comparison, report_differences
from headstart.run.resume import (
    check_same_images,
    exclusive_run_directory,
    print_resume_command,
    resume_command,
    unfinished_results,
)
from headstart.run.setup import RunSetup, set_up_run
from headstart.run.tags import run_tags
from headstart.tracking import artifacts_directory, import_mlflow, log_results, store_uri, tracked_run, tracking_summary
from headstart.training.hardware import keep_freed_memory

if TYPE_CHECKING:
    from headstart.classifier.saved import Classifier
    from headstart.data.index import ImageIndex
    from headstart.evaluation.predictor import Predictor
    from headstart.features.activation_cache import ActivationCache
    from headstart.tracking import Tracker
    from headstart.training.history import EpochRecord
    from headstart.training.stages import TrainingResult

LOG = logging.getLogger(__name__)


def run(
    config: Config,
    output: Path,
    started: float | None = None,
    tags: dict[str, str] | None = None,
    overrides: list[str] | None = None,
    resume: bool = False,
) -> dict[str, Any]:
    """Train, evaluate, save and track one classifier, or let a network label pictures as it was published.

    Args:
        config: the resolved configuration.
        output: directory of the run; exists and can be written.
        started: when the process began, in seconds since the epoch; the figures of time count from there.
        tags: of the run in the tracking store beside its own, such as the sweep it belongs to.
        overrides: what was said on the command line of this run, as in `["backbone=vgg16"]`.
        resume: whether to go on with the run that the directory holds, in the same run of the tracking store.

    Returns:
        What `results.json` in the output directory says.

    Raises:
        HeadstartError: for anything that the user can mend; `results.json` then has the status FAILED.
    """
    if config.time_limit is not None:
        parse_duration(config.time_limit)
    with exclusive_run_directory(output, resume), run_log(output, started, config=config_hash(config), resume=resume):
        try:
            return _run_and_report(config, output, started, tags, overrides, resume)
        except Exception as error:
            if not is_disk_full(error):
                raise
            raise disk_full_error(error, _to_go_on(output)) from error


def _run_and_report(
    config: Config,
    output: Path,
    started: float | None,
    tags: dict[str, str] | None,
    overrides: list[str] | None,
    resume: bool,
) -> dict[str, Any]:
    """Run, and write results.json however it ends."""
    clock = Clock(started or time.time())
    before = unfinished_results(output) if resume else {}
    results: dict[str, Any] = {
        "run_id": None,
        "status": "FAILED",
        "command": command_line(),
        "overrides": overrides or before.get("overrides", []),
        "config_hash": config_hash(config),
        "recipe": dataclasses.asdict(config.recipe),
        "scenario": {"name": config.scenario.name, "cell": config.scenario.cell},
        "seed": config.seed,
        "output": str(output),
        "seconds": {},
        **{key: before[key] for key in ("run_id", "dataset", "stages") if before.get(key)},
        **({"resumed": before.get("resumed", 0) + 1} if resume else {}),
    }
    keep_freed_memory()
    try:
        _run(config, output, clock, results, tags or {}, before)
        results["status"] = "FINISHED"
    except KeyboardInterrupt:
        results["status"] = "KILLED"
        print_resume_command(output)
        raise
    except Exception as error:
        said = disk_full_error(error, _to_go_on(output)) if is_disk_full(error) else error
        results["error"] = str(said) if isinstance(said, HeadstartError) else f"{type(error).__name__}: {error}"
        write_text(output / "error.txt", "".join(traceback.format_exception(error)))
        raise
    finally:
        results["seconds"].update(clock.summary())
        if results["run_id"]:
            results.update(tracking_summary(output))
        write_json(output / "results.json", results)
        (output / RUNNING).unlink(missing_ok=True)  # which stays where a full disk cannot take results.json
    (output / CHECKPOINT).unlink(missing_ok=True)  # the saved classifier has it all
    if results["run_id"]:
        results.update(log_results(output))
    if config.find_lr:
        print_suggestion(results)
    else:
        print_end(results)
    if "reproduces" in results:
        print_comparison(results)
    return results


def _to_go_on(output: Path) -> str:
    """Return what to do with a run that ended on a full disk when there is room."""
    if (read_results(output) or {}).get("status") == "FINISHED":  # only its results.json is not tracked
        return f"headstart sync {shlex.quote(str(output))}"
    if (output / "config.yaml").exists():
        return resume_command(output)
    return "run the same command again"


def _run(
    config: Config,
    output: Path,
    clock: Clock,
    results: dict[str, Any],
    more_tags: dict[str, str],
    before: dict[str, Any],
) -> None:
    """Run, and fill `results` on the way; `before` is what is known of the run when it was interrupted."""
    write_text(output / "config.yaml", to_yaml(config))
    print_configuration(output / "config.yaml")
    uri = store_uri(config.tracking)
    setup = set_up_run(config, output, clock, results)
    config = setup.config  # with the freeze schedule and optimizer of the scenario that was found
    log_event(LOG, "model built", backbone=config.backbone.name, parameters=setup.network.classifier.count_params())
    check_same_images(before, results)
    changed: list[str] = []
    if config.reproduce is not None:
        changed = report_differences(output, setup.index, results["environment"])
    if config.find_lr:
        clock.begin("training")
        return _find_learning_rate(setup, results)
    room = _expect_room(setup, uri, results)

    clock.begin("start_up")
    import_mlflow(uri)
    clock.begin("tracking")
    tags = {**run_tags(config, setup.index, output), **more_tags}
    if results["scenario"]["cell"]:
        tags["scenario"] = results["scenario"]["cell"]
    in_sweep = "sweep" in more_tags  # which began when the store answered
    with tracked_run(
        uri, config.tracking.experiment, run_name(config), tags, output, in_sweep, resume=bool(before)
    ) as tracker:
        results.update(run_id=tracker.run_id, experiment_id=tracker.experiment_id, tracking_uri=uri)
        _note_what_is_known(results, output)
        (output / "results.json").unlink(missing_ok=True)  # of before it was resumed
        tracker.log_parameters(config)
        described = ("config.yaml", "splits.csv", "data_report.json", "scenario.json")
        tracker.log_files(output / name for name in described if (output / name).exists())
        tracker.log_files(sorted((output / "data_report").glob("*")), "data_report")
        try:
            if config.head.output == "imagenet":
                _classify(setup, clock, results, tracker)
            else:
                _train_and_evaluate(setup, clock, results, tracker, room)
            if config.reproduce is not None:
                results["reproduces"] = compare_with_original(output, results, changed)
            clock.begin("tracking")
            tracker.log_classifier(output / "classifier")
            tracker.describe(markdown(results, config), _page_tags(results))
        except KeyboardInterrupt:
            tracker.describe(f"Interrupted. To go on: `{resume_command(output)}`", {})
            raise
        clock.begin("tracking")
        tracker.log_metrics({f"seconds/{name}": value for name, value in clock.summary().items()})


def _page_tags(results: dict[str, Any]) -> dict[str, str]:
    """Return what runs are searched by once they are over."""
    tags = {"best_stage": results["best_epoch"]["stage"]} if "best_epoch" in results else {}
    if "reproduces" in results:
        tags.update(reproduces=results["reproduces"]["run_id"], reproduced=results["reproduces"]["verdict"])
    return tags


def _note_what_is_known(results: dict[str, Any], output: Path) -> None:
    """Write what is left of a run whose process dies without a word."""
    write_json(output / RUNNING, {**results, "status": "RUNNING"})


def _expect_room(setup: RunSetup, uri: str, results: dict[str, Any]) -> dict[int, int]:
    """Raise unless the disks have room for the run; return what it needs of each."""
    from headstart.run.disk_estimate import estimate, expect_room

    config = setup.config
    stages = [] if config.head.output == "imagenet" else config.freeze.stages
    images, classes = sum(results["dataset"]["images"].values()), len(setup.class_names)
    found = estimate(setup.network, stages, setup.image_size, images, classes)
    needed = expect_room(found, setup.output, artifacts_directory(uri))
    results["disk"] = {**dataclasses.asdict(found), "bytes_estimated": sum(needed.values())}
    return needed


def _train_and_evaluate(
    setup: RunSetup, clock: Clock, results: dict[str, Any], tracker: Tracker, room: dict[int, int]
) -> None:
    """Train through all stages, save the classifier, and evaluate what was saved.

    `room` is what the run will write on each device, which the cache leaves to it.
    """
    from headstart.features.activation_cache import open_activation_cache

    config, network, output = setup.config, setup.network, setup.output
    activations = open_activation_cache(config, setup.image_size)
    activations.cache.reserve(room)
    clock.begin("training")
    with setup.strategy.scope():
        training = _train(setup, activations, results, tracker, clock.started)
    results["best_epoch"] = dataclasses.asdict(training.best)
    results["parameters"] = {
        "total": network.classifier.count_params(),
        "trainable": list(training.trainable_parameters.values())[-1],
        "trainable_by_stage": training.trainable_parameters,
    }
    results["seconds"].update({f"stage_{name}": seconds for name, seconds in training.seconds.items()})
    results["waiting_for_input"] = {name: round(share, 4) for name, share in training.data_wait_fraction.items()}
    tracker.log_metrics(
        {f"waiting_for_input/{file_name(name)}": share for name, share in training.data_wait_fraction.items()}
    )
    if training.first_step is not None:  # from the start of the process, which imports and data are part of
        results["seconds"]["first_step"] = round(training.first_step - clock.started, 3)

    clock.begin("saving")
    # From here on only what was saved is used, so that it is what the figures are about.
    classifier = setup.save("validation")
    results["model_bytes"] = (output / "classifier" / "model.keras").stat().st_size

    clock.begin("evaluation")
    predictor = _predictor(setup, classifier, config.freeze.stages[-1], activations)
    results["splits"] = _evaluate(config, predictor, setup.index, training, output, tracker)
    results["cache"] = activations.summary()
    if config.evaluate_after_each_stage:
        summaries = {
            split: {key: value for key, value in figures.items() if not isinstance(value, list)}
            for split, figures in results["splits"].items()
        }
        results.setdefault("stages", {})[config.freeze.stages[-1].name] = summaries


def _classify(setup: RunSetup, clock: Clock, results: dict[str, Any], tracker: Tracker) -> None:
    """Save a network as it was published, and label the pictures with what was saved: no training, no accuracy."""
    from headstart.evaluation.labels import report_labels

    config, output = setup.config, setup.output
    results["parameters"] = {"total": setup.network.classifier.count_params(), "trainable": 0}
    clock.begin("saving")
    classifier = setup.save("test")

    clock.begin("evaluation")
    results["splits"] = {}
    title = f"{config.dataset.name}: labels by {config.backbone.name} as it is"
    results["pictures"] = report_labels(classifier, setup.index, config.batch_size, title, output)
    tracker.log_metrics({key: results["pictures"][key] for key in ("images", "mean_confidence")})
    tracker.log_files([output / "predictions.csv"])
    tracker.log_files([output / "figures" / "labels.png"], "figures")


def _find_learning_rate(setup: RunSetup, results: dict[str, Any]) -> None:
    """Sweep the learning rate of the first stage and put the weights back; nothing is trained, tracked or saved."""
    from headstart.evaluation.training_report import report_learning_rate
    from headstart.features.activation_cache import open_activation_cache
    from headstart.training.inputs import ImageInputs
    from headstart.training.learning_rate_finder import sweep_learning_rate

    config, stage = setup.config, setup.config.freeze.stages[0]
    with setup.strategy.scope():
        inputs = ImageInputs(config, setup.index, open_activation_cache(config, setup.image_size))
        sweep = sweep_learning_rate(setup.network, stage, inputs, config.label_smoothing)
    configured = stage.optimizer.learning_rate
    title = f"{run_name(config)}: stage {stage.name}, {stage.optimizer.name}"
    report_learning_rate(sweep, configured, title, setup.output)
    results.update(
        stage=stage.name,
        configured_learning_rate=configured,
        suggested_learning_rate=sweep.suggestion,
        suggestion_reason=sweep.reason,
    )


def _predictor(setup: RunSetup, classifier: Classifier, stage: StageConfig, activations: ActivationCache) -> Predictor:
    """Return what predicts whole splits with a classifier as a stage left it."""
    from headstart.evaluation.predictor import make_predictor

    config = setup.config
    entry = setup.network.entry
    return make_predictor(classifier, entry, stage.train, config.batch_size, activations, config.cache.activations)


def _train(
    setup: RunSetup, activations: ActivationCache, results: dict[str, Any], tracker: Tracker, started: float
) -> TrainingResult:
    """Train the network through all stages while its epochs are tracked."""
    from headstart.classifier.saved import Classifier
    from headstart.evaluation.report import report_stage
    from headstart.training.checkpoint import Checkpoints
    from headstart.training.inputs import ImageInputs
    from headstart.training.settings import StageCallbacks, TrainingSettings
    from headstart.training.stages import train_stages

    config, network, index = setup.config, setup.network, setup.index
    stages = [stage.name for stage in config.freeze.stages]

    def track_epoch(record: EpochRecord) -> None:
        figures = {key: value for key, value in dataclasses.asdict(record).items() if isinstance(value, float)}
        figures["stage"] = float(stages.index(record.stage))
        tracker.log_metrics({f"epoch/{key}": value for key, value in figures.items()}, record.epoch)

    def evaluate_stage(stage: StageConfig) -> None:
        name = stage.name
        if not config.evaluate_after_each_stage or name == stages[-1]:  # the last one is what will be saved
            return
        classifier = Classifier(
            network.classifier,
            index.class_names,
            setup.image_size,
            config.dataset.resize,
            setup.output,
            config.inference_backend,
        )
        predictor = _predictor(setup, classifier, stage, activations)
        evaluations = report_stage(predictor, index, name, setup.output)
        results.setdefault("stages", {})[name] = {split: found.summary() for split, found in evaluations.items()}
        for split, found in evaluations.items():
            figures = {f"after_{file_name(name)}/{split}_{key}": value for key, value in found.summary().items()}
            tracker.log_metrics(figures)
        _note_what_is_known(results, setup.output)

    limit = None if config.time_limit is None else started + parse_duration(config.time_limit)
    training = train_stages(
        network,
        config.freeze.stages,
        ImageInputs(config, index, activations),
        TrainingSettings(config.head, config.seed, config.label_smoothing, config.patience),
        StageCallbacks(track_epoch, evaluate_stage),
        Checkpoints(setup.output / CHECKPOINT, config.checkpoint_seconds),
        limit,
    )
    return training


def _evaluate(
    config: Config,
    predictor: Predictor,
    index: ImageIndex,
    training: TrainingResult,
    output: Path,
    tracker: Tracker,
) -> dict[str, Any]:
    """Evaluate the saved classifier on every split it did not learn from; write and track what was found."""
    from headstart.evaluation.report import report_splits
    from headstart.evaluation.training_report import report_training

    report_training(training.history, training.best.epoch, run_name(config), output)
    evaluations = report_splits(predictor, index, output)
    tracker.log_metrics({"best_epoch": training.best.epoch})
    for split, evaluation in evaluations.items():
        tracker.log_metrics({f"{split}_{key}": value for key, value in evaluation.summary().items()})
    tracker.log_files(output / name for name in ("history.csv", "predictions.csv"))
    tracker.log_files(sorted(output.glob("*_report*")))
    tracker.log_files(sorted((output / "figures").glob("*.png")), "figures")
    return {
        split: {
            **evaluation.summary(),
            "most_confused": [list(pair) for pair in evaluation.most_confused],
            "per_class": [dataclasses.asdict(result) for result in evaluation.per_class],
        }
        for split, evaluation in evaluations.items()
    }
