"""The description of a run at the top of its page in MLflow."""

from __future__ import annotations

from headstart.config import Config
from headstart.core.console import format_percent
from headstart.results.figures import PictureLabels, SplitFigures
from headstart.results.scenario import Scenario, StrategyChoice
from headstart.results.types import RunResults
from headstart.run.reproduce import describe_reproduction
from headstart.run.result_display import in_percent


def markdown(results: RunResults, config: Config) -> str:
    """Return the description of a run as Markdown.

    Args:
        results: the results so far.
        config: the run's configuration.
    """
    figures = _labels(results, results.pictures, config) if results.pictures else _splits(results, config)
    reproduced = [describe_reproduction(results.reproduces), ""] if results.reproduces else []
    return "\n".join([*reproduced, *figures, f"`{results.command}`"])


def _labels(results: RunResults, pictures: PictureLabels, config: Config) -> list[str]:
    """Return lines with the labels of the first images."""
    rows = [
        (picture.path.replace("|", "\\|"), picture.label, format_percent(picture.confidence))
        for picture in pictures.first
    ]
    return [
        "| image | label | confidence |",
        "| --- | --- | ---: |",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
        f"{pictures.images:,} images, pretrained {config.backbone.name}, {_image_size(results)} px.",
        "",
    ]


def _splits(results: RunResults, config: Config) -> list[str]:
    """Return lines with the figures of every split, the best epoch, the stages and the scenario."""
    best, splits = results.best_epoch, results.splits or {}
    origin = f"Best epoch {best.epoch} (stage {best.stage}), " if best else ""
    return [
        "| split | images | accuracy | 95 % interval | macro F1 |",
        "| --- | ---: | ---: | --- | ---: |",
        *(
            f"| {name} | {split.images:,} | {' | '.join(in_percent(split))} | {split.macro_f1:.3f} |"
            for name, split in splits.items()
        ),
        "",
        *_stages(results.stages or {}),
        f"{origin}{config.backbone.name}, head {config.head.name}, "
        f"freeze {config.freeze.name}, {_image_size(results)} px, seed {config.seed}.",
        "",
        *(_scenario(results.scenario) if results.scenario else []),
    ]


def _scenario(scenario: Scenario) -> list[str]:
    """Return lines about the scenario and its measured evidence."""
    if not scenario.cell:
        return []
    if scenario.measured is None:
        return [f"Scenario {scenario.cell}.", ""]
    why = [f"Scenario {scenario.cell}, measured:", "", *(f"- {reason}" for reason in scenario.measured.why), ""]
    return [*why, *(_trials(scenario.measured.choice) if scenario.measured.choice else [])]


def _trials(choice: StrategyChoice) -> list[str]:
    """Return lines with the strategies that were tried; none if there were none."""
    if not choice.trials:
        return []
    return [
        f"Strategy {choice.strategy}, by trials on {choice.images:,} training images:",
        "",
        "| strategy | validation accuracy |",
        "| --- | ---: |",
        *(f"| {trial.strategy} | {format_percent(trial.accuracy)} |" for trial in choice.trials),
        "",
    ]


def _stages(stages: dict[str, dict[str, SplitFigures]]) -> list[str]:
    """Return lines with the accuracy of every split after each stage; none for a single stage."""
    if len(stages) < 2:
        return []
    rows = [
        f"| {name} | {split} | {' | '.join(in_percent(figures))} |"
        for name, splits in stages.items()
        for split, figures in splits.items()
    ]
    return ["| after stage | split | accuracy | 95 % interval |", "| --- | --- | ---: | --- |", *rows, ""]


def _image_size(results: RunResults) -> int | None:
    return results.dataset.image_size if results.dataset else None
