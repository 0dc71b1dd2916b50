"""Make a soup of finished runs: average, save, evaluate, and test it against the best single run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.markup import escape

from headstart.classifier.description import add_card, store_threshold
from headstart.classifier.familiarity import write_familiarity
from headstart.classifier.saved import Classifier, load_classifier, save_classifier
from headstart.comparison.collect import Run
from headstart.config.identity import data_name
from headstart.core.console import console, new_table, print_titled
from headstart.core.files import write_json
from headstart.data.reload import reload_images
from headstart.model.backbones.registry import get_entry
from headstart.results.codec import to_plain
from headstart.results.figures import SplitResults
from headstart.results.model_card import ModelCard, measured_accuracy
from headstart.results.refinements import PairedTest
from headstart.results.soup import Ingredient, Soup
from headstart.soup.greedy import GreedySoup, Weights, greedy_soup
from headstart.soup.ingredients import Candidate, candidates_of, changing_positions, load_weights

if TYPE_CHECKING:
    from headstart.data.index import ImageIndex
    from headstart.evaluation.predictor import Predictor

RECORD = "soup.json"


def make_soup(runs: Sequence[Run], directory: Path) -> Soup:
    """Average the weights of runs greedily by validation accuracy, and save the classifier.

    Writes `classifier/` (loads like that of a run), soup.json, predictions.csv, reports and figures.

    Args:
        runs: of one architecture on the same images.
        directory: to write to.

    Raises:
        HeadstartError: when there is nothing to average, the runs do not fit together, or the images have changed.
    """
    from headstart.evaluation.paired_test import describe_gain

    candidates = candidates_of(runs)
    best = candidates[0]
    index = reload_images(best.config, best.dataset.fingerprint, str(best.run.directory))
    classifier, weights = load_weights(candidates)
    positions = changing_positions(weights)
    predictor = _predictor(best, classifier, positions)

    def predict(one: Weights, split: str) -> np.ndarray:
        variables = classifier.model.weights
        for position in positions:
            variables[position].assign(one[position])
        return predictor.probabilities(index.split(split), split)

    validation = index.split("validation")
    soup = greedy_soup(
        weights,
        positions,
        lambda one: float((predict(one, "validation").argmax(axis=1) == validation.labels).mean()),
    )
    tests = _compare(index, lambda split: (predict(weights[0], split), predict(soup.weights, split)))
    classifier.model.set_weights(soup.weights)
    saved = _save(best, classifier, directory)
    made = Soup(
        ingredients=_ingredients(candidates, soup),
        tests=tests,
        splits=_evaluate(best, saved, positions, index, directory),
    )
    write_json(directory / RECORD, to_plain(made))
    _print(made)
    gain = describe_gain(tests, f"the best single run, {best.run.directory},")
    console.print(f"  against the best single run: {gain}", markup=False)
    return made


def _predictor(best: Candidate, classifier: Classifier, positions: Sequence[int]) -> Predictor:
    """Return a predictor of whole splits whose cached part is the same for all candidates."""
    from headstart.evaluation.predictor import make_predictor
    from headstart.features.activation_cache import open_activation_cache

    config = best.config
    activations = open_activation_cache(config, classifier.image_size)
    entry, last = get_entry(config.backbone.name), config.freeze.stages[-1]
    predictor = make_predictor(classifier, entry, last.train, config.batch_size, activations, config.cache.activations)
    return predictor.for_changing([classifier.model.weights[position] for position in positions])


def _compare(index: ImageIndex, predict: Callable[[str], tuple[np.ndarray, np.ndarray]]) -> dict[str, PairedTest]:
    """Return the paired tests of what `predict` returns for a split: probabilities of the best run and of the soup."""
    from headstart.evaluation.paired_test import paired_test

    parts = {split: index.split(split) for split in ("validation", "test")}
    return {split: paired_test(part.labels, *predict(split)) for split, part in parts.items() if len(part)}


def _save(best: Candidate, classifier: Classifier, directory: Path) -> Classifier:
    """Save the soup with the reference images of the best run, and return it loaded from disk."""
    with np.load(best.run.directory / "classifier" / "reference.npz", allow_pickle=False) as reference:
        images = reference["images"]
    save_classifier(
        directory / "classifier",
        classifier.model,
        classifier.class_names,
        classifier.image_size,
        best.config,
        images,
        classifier.value_range,
    )
    return load_classifier(directory, best.config.inference_backend)


def _evaluate(
    best: Candidate, saved: Classifier, positions: Sequence[int], index: ImageIndex, directory: Path
) -> dict[str, SplitResults]:
    """Evaluate the saved classifier on the validation and test splits; write and return the figures; describe it."""
    from headstart.evaluation.examined import examine_splits
    from headstart.evaluation.report import report_splits
    from headstart.evaluation.results import split_results
    from headstart.evaluation.writing import figure_source

    source = figure_source(f"soup of runs like {best.run.name}", best.config, index)
    examined = examine_splits(_predictor(best, saved, positions), index)
    reports = report_splits(saved, index, examined.probabilities, source, directory)
    splits = {split: split_results(evaluation) for split, evaluation in reports.evaluations.items()}
    if reports.threshold:
        store_threshold(directory / "classifier", reports.threshold.threshold)
    if examined.familiarity is not None:
        write_familiarity(directory / "classifier", examined.familiarity)
    card = ModelCard(
        run=f"soup of runs like {best.run.name}",
        dataset=data_name(best.config),
        training_images=len(index.split("train")),
        measured=measured_accuracy(splits),
        unfamiliar=examined.unfamiliar.limit if examined.unfamiliar else None,
    )
    add_card(directory / "classifier", card)
    return splits


def _ingredients(candidates: Sequence[Candidate], soup: GreedySoup) -> tuple[Ingredient, ...]:
    return tuple(
        Ingredient(
            run=str(candidate.run.directory),
            run_id=candidate.run.results.run_id,
            validation_accuracy=candidate.validation.accuracy,
            accuracy_with=accuracy,
            added=added,
        )
        for candidate, accuracy, added in zip(candidates, soup.accuracies, soup.chosen, strict=True)
    )


def _print(soup: Soup) -> None:
    """Print what went in, and the figures of the soup."""
    table = new_table("run", "validation %", "soup with it %", "added", left=("added",))
    for one in soup.ingredients:
        name = escape(Path(one.run).name)
        table.add_row(
            name,
            *(f"{100 * value:.1f}" for value in (one.validation_accuracy, one.accuracy_with)),
            "yes" if one.added else "no",
        )
    print_titled(f"Soup of {sum(one.added for one in soup.ingredients)} of {len(soup.ingredients)} runs", table)
    for split, figures in soup.splits.items():
        interval = f"{100 * figures.accuracy_low:.1f} to {100 * figures.accuracy_high:.1f}"
        console.print(f"  {split}: accuracy {100 * figures.accuracy:.1f} %, 95 % interval {interval}")
