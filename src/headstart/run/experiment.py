"""Run one experiment: data, model, training stages, saving, evaluation and tracking."""

from __future__ import annotations

import logging
import shlex
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from headstart.classifier.description import add_card
from headstart.classifier.saved import Classifier
from headstart.config import Config, to_yaml
from headstart.config.identity import config_hash, run_name
from headstart.core.console import activity, quiet_console
from headstart.core.environment import Clock, command_line
from headstart.core.errors import HeadstartError
from headstart.core.files import write_text
from headstart.core.full_disk import disk_full_error, is_disk_full
from headstart.core.log import log_event, run_log
from headstart.core.signals import parse_duration
from headstart.results.figures import SplitFigures
from headstart.results.file import read_results
from headstart.results.model_card import model_card
from headstart.results.runs import CHECKPOINT
from headstart.results.scenario import SCENARIO, Scenario
from headstart.results.sections import DiskUse, Parameters, Recipe
from headstart.results.types import RunResults
from headstart.run.classify import label_pictures
from headstart.run.display import print_configuration
from headstart.run.find_learning_rate import find_learning_rate
from headstart.run.logged import logged_datasets, logged_parameters, result_tags, run_tags
from headstart.run.page import markdown
from headstart.run.progress import RunProgress
from headstart.run.refine import refine, refines
from headstart.run.reproduce import compare_with_original, print_comparison, report_differences
from headstart.run.result_display import print_end, print_suggestion
from headstart.run.resume import (
    check_same_images,
    exclusive_run_directory,
    print_resume_command,
    resume_command,
    unfinished_results,
)
from headstart.run.setup import RunSetup, set_up_run
from headstart.run.train_and_evaluate import (
    best_epoch_of,
    data_wait_fractions_of,
    evaluate,
    parameters_of,
    track_figures,
    train,
)
from headstart.tracking import Tracker, artifacts_directory, log_results, prepare_tracking, store_uri, tracked_run
from headstart.tracking.journal import tracking_record
from headstart.tracking.system import system_metrics
from headstart.training.hardware import keep_freed_memory

LOG = logging.getLogger(__name__)
DOING = {  # in each phase, for the last line of a terminal
    "start_up": "starting TensorFlow",
    "data": "checking the images",
    "scenario": "measuring the images and trying strategies",
    "model": "building the network",
    "training": "training",
    "saving": "saving the classifier, and loading it back",
    "evaluation": "evaluating the saved classifier",
    "tracking": "logging to MLflow",
}


@dataclass(frozen=True)
class RunRequest:
    """The inputs of a run."""

    config: Config
    output: Path  # directory of the run
    overrides: tuple[str, ...] = ()  # from the command line
    tags: dict[str, str] = field(default_factory=dict)  # additional tags in the tracking store
    before: RunResults | None = None  # results of the interrupted run to resume, if it was tracked
    resume: bool = False
    swept: tuple[str, ...] = ()  # keys whose values differ between the jobs of the run's sweep

    def name_of(self, config: Config) -> str:
        """Return the name of the run with a configuration, which scenario=auto settles."""
        return run_name(config, self.overrides, self.swept)


def run(
    config: Config,
    output: Path,
    started: float | None = None,
    tags: dict[str, str] | None = None,
    overrides: list[str] | None = None,
    resume: bool = False,
    swept: Sequence[str] = (),
) -> RunResults:
    """Train, evaluate, save and track one classifier, or let a pretrained network label unlabelled images.

    Args:
        config: the resolved configuration.
        output: directory of the run; must exist.
        started: start time of the process, in seconds since the epoch; all durations count from it.
        tags: additional tags in the tracking store, such as the sweep.
        overrides: overrides from the command line, as in `["backbone=vgg16"]`.
        resume: whether to resume the run in this directory, in the same MLflow run.
        swept: keys whose values differ between the jobs of the run's sweep; its name begins with them.

    Returns:
        The content of `results.json` in the output directory.

    Raises:
        HeadstartError: for an error that the user can fix; `results.json` then has the status FAILED.
    """
    if config.time_limit is not None:
        parse_duration(config.time_limit)
    with exclusive_run_directory(output, resume), run_log(output, started, config=config_hash(config), resume=resume):
        try:
            before = unfinished_results(output) if resume else None
            request = RunRequest(config, output, tuple(overrides or ()), tags or {}, before, resume, tuple(swept))
            with quiet_console(config.quiet), activity(DOING["start_up"]) as show:
                clock = Clock(started or time.time(), lambda phase: show(DOING[phase]))
                results = _run_and_keep_results(request, clock)
            _print_results(results, config.quiet)
            return results
        except Exception as error:
            if not is_disk_full(error):
                raise
            raise disk_full_error(error, _recovery_command(output)) from error


def _run_and_keep_results(request: RunRequest, clock: Clock) -> RunResults:
    """Run, and write results.json even if the run fails or is interrupted."""
    output = request.output
    progress = RunProgress(output, _first_results(request), clock)
    keep_freed_memory()
    try:
        _run(request, progress)
        progress.results = replace(progress.results, status="FINISHED")
    except KeyboardInterrupt:
        progress.results = replace(progress.results, status="KILLED")
        print_resume_command(output)
        raise
    except Exception as error:
        shown = disk_full_error(error, _recovery_command(output)) if is_disk_full(error) else error
        text = str(shown) if isinstance(shown, HeadstartError) else f"{type(error).__name__}: {error}"
        progress.results = replace(progress.results, error=text)
        write_text(output / "error.txt", "".join(traceback.format_exception(error)))
        raise
    finally:
        if progress.results.run_id:
            progress.results = tracking_record(output).added_to(progress.results)
        progress.save()
    (output / CHECKPOINT).unlink(missing_ok=True)  # the saved classifier replaces it
    results = progress.results
    if results.run_id:
        results = log_results(output).added_to(results)
    return results


def _print_results(results: RunResults, quiet: bool) -> None:
    """Print what a finished run found, and the commands to run next."""
    if results.learning_rate:
        print_suggestion(results, results.learning_rate)
    else:
        print_end(results, quiet)
    if results.reproduces:
        print_comparison(results, results.reproduces)


def _first_results(request: RunRequest) -> RunResults:
    """Return the results at the start of a run, including those of the interrupted run that it resumes."""
    config, before = request.config, request.before
    known = before or RunResults(run_id=None)
    return RunResults(
        run_id=known.run_id,
        status="FAILED",
        command=command_line(),
        overrides=request.overrides or known.overrides or (),
        config_hash=config_hash(config),
        recipe=Recipe(name=config.recipe.name, published=config.recipe.published),
        scenario=Scenario(name=config.scenario.name, cell=config.scenario.cell),
        seed=config.seed,
        output=str(request.output),
        resumed=(known.resumed or 0) + 1 if request.resume else None,
        dataset=known.dataset,
        stages=known.stages,
    )


def _recovery_command(output: Path) -> str:
    """Return the command to run after a full disk has room again."""
    results = read_results(output)
    if results is not None and results.finished:  # only its results.json has not been sent
        return f"headstart sync {shlex.quote(str(output))}"
    if (output / "config.yaml").exists():
        return resume_command(output)
    return "run the same command again"


def _run(request: RunRequest, progress: RunProgress) -> None:
    """Run, and add each section to the results as soon as it is complete."""
    output, clock = request.output, progress.clock
    write_text(output / "config.yaml", to_yaml(request.config))
    if request.config.verbose:
        print_configuration(output / "config.yaml", request.config)
    uri = store_uri(request.config.tracking)
    setup = set_up_run(request.config, output, clock, request.resume, request.name_of)
    config, name = setup.config, setup.name
    log_event(LOG, "model built", backbone=config.backbone.name, parameters=setup.network.classifier.count_params())
    progress.results = replace(progress.results, name=name, environment=setup.environment, scenario=setup.scenario)
    check_same_images(request.before, setup.dataset, setup.environment)
    progress.results = replace(progress.results, dataset=setup.dataset)
    changed: list[str] = []
    if config.reproduce is not None:
        changed = report_differences(output, setup.index, setup.environment)
    if config.find_lr:
        clock.begin("training")
        progress.results = replace(progress.results, learning_rate=find_learning_rate(setup))
        return
    room, disk = _expect_room(setup, uri)
    progress.results = replace(progress.results, disk=disk)

    clock.begin("start_up")
    prepare_tracking(uri)
    clock.begin("tracking")
    tags = {**run_tags(setup), **request.tags}
    in_sweep = "sweep" in request.tags  # the sweep has already reached the store
    resume = request.before is not None
    with (
        tracked_run(uri, config.tracking.experiment, name, tags, output, in_sweep, resume) as tracker,
        system_metrics(tracker, config.tracking.system_interval),
    ):
        progress.results = replace(
            progress.results, run_id=tracker.run_id, experiment_id=tracker.experiment_id, tracking_uri=uri
        )
        progress.save_running()
        progress.discard_earlier()
        _log_setup(setup, tracker, request.overrides)
        try:
            if config.head.output == "imagenet":
                _classify(setup, progress, tracker)
            else:
                _train_and_evaluate(setup, progress, tracker, room)
            if config.reproduce is not None:
                reproduction = compare_with_original(output, progress.results, changed)
                progress.results = replace(progress.results, reproduces=reproduction)
            clock.begin("tracking")
            described = markdown(progress.results, config)
            tracker.log_classifier(output / "classifier", described, config.tracking.register)
            track_figures(tracker, output)  # which are drawn while the classifier is sent
            tracker.describe(described, result_tags(progress.results))
        except KeyboardInterrupt:
            tracker.describe(f"Interrupted. Resume it with `{resume_command(output)}`", {})
            raise
        clock.begin("tracking")
        seconds = clock.summary()
        tracker.log_metrics({"seconds": seconds.pop("total"), **{f"seconds/{one}": seconds[one] for one in seconds}})


def _log_setup(setup: RunSetup, tracker: Tracker, overrides: Sequence[str]) -> None:
    """Log the configuration and the data report before training."""
    output = setup.output
    tracker.log_parameters(logged_parameters(setup, overrides))
    tracker.log_datasets(logged_datasets(setup))
    described = ("config.yaml", "splits.csv", "data_report.json", SCENARIO)
    tracker.log_files(output / name for name in described if (output / name).exists())
    tracker.log_files(sorted((output / "data_report").glob("*")), "data_report")


def _expect_room(setup: RunSetup, uri: str) -> tuple[dict[int, int], DiskUse]:
    """Raise unless the disks have room for the run; return the bytes per device, and the section `disk`."""
    from headstart.run.disk_estimate import disk_use, estimate, expect_room

    config = setup.config
    stages = [] if config.head.output == "imagenet" else config.freeze.stages
    images, classes = sum(setup.dataset.images.values()), len(setup.class_names)
    found = estimate(setup.network, stages, setup.image_size, images, classes)
    needed = expect_room(found, setup.output, artifacts_directory(uri))
    return needed, disk_use(found, needed)


def _train_and_evaluate(setup: RunSetup, progress: RunProgress, tracker: Tracker, room: dict[int, int]) -> None:
    """Train all stages, save the classifier, and evaluate the saved classifier.

    `room` is the number of bytes per device that the run will write; the cache leaves them free.
    """
    from headstart.evaluation.sample_sheets import begin_sample_sheets
    from headstart.evaluation.writing import prepare_figures
    from headstart.features.activation_cache import open_activation_cache

    prepare_figures()
    config, clock = setup.config, progress.clock
    begin_sample_sheets(setup.index, setup.image_size, config.dataset.resize, setup.source, setup.output / "figures")
    activations = open_activation_cache(config, setup.image_size)
    activations.cache.reserve(room)

    def after_stage(stage: str, figures: dict[str, SplitFigures]) -> None:
        progress.add_stage(stage, figures)
        progress.save_running()

    clock.begin("training")
    training = train(setup, activations, tracker, clock.started, after_stage)
    progress.stage_seconds = training.seconds
    if training.first_step is not None:
        progress.first_step = round(training.first_step - clock.started, 3)
    progress.results = replace(
        progress.results,
        best_epoch=best_epoch_of(training),
        parameters=parameters_of(setup, training),
        data_wait_fraction=data_wait_fractions_of(training),
    )

    if refines(config):
        clock.begin("evaluation")
        progress.results = replace(progress.results, **vars(refine(setup, activations, training, tracker)))

    # Evaluate the saved classifier, not the network in memory.
    classifier = _save(setup, progress, "validation")
    model_bytes = (setup.output / "classifier" / "model.keras").stat().st_size
    progress.results = replace(progress.results, model_bytes=model_bytes)

    clock.begin("evaluation")
    evaluated = evaluate(setup, classifier, activations, training, tracker)
    progress.results = replace(progress.results, **vars(evaluated), cache=activations.summary())
    add_card(setup.output / "classifier", model_card(progress.results, config))
    if config.evaluate_after_each_stage:
        progress.add_stage(
            config.freeze.stages[-1].name, {split: found.whole_split() for split, found in evaluated.splits.items()}
        )


def _classify(setup: RunSetup, progress: RunProgress, tracker: Tracker) -> None:
    """Save the pretrained network, and label the images with the saved network."""
    parameters = Parameters(total=setup.network.classifier.count_params(), trainable=0)
    progress.results = replace(progress.results, parameters=parameters)
    classifier = _save(setup, progress, "test")
    progress.clock.begin("evaluation")
    pictures = label_pictures(setup, classifier, tracker)
    progress.results = replace(progress.results, splits={}, pictures=pictures)
    add_card(setup.output / "classifier", model_card(progress.results, setup.config))


def _save(setup: RunSetup, progress: RunProgress, split: str) -> Classifier:
    """Save the classifier with reference images from a split; return it loaded from disk."""
    progress.clock.begin("saving")
    classifier = setup.save(split)
    used = classifier.forward.backend  # may differ from the configured one
    environment = replace(setup.environment, inference_backend=used)
    progress.results = replace(progress.results, environment=environment)
    return classifier
