"""The lines with which predict, demo and serve name the classifier that they use, and say what is unfamiliar to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from headstart.classifier.description import ClassifierDescription
from headstart.classifier.saved import Classifier
from headstart.config import from_yaml
from headstart.core.console import console, format_percent
from headstart.core.errors import HeadstartError, printable
from headstart.results.file import read_results
from headstart.results.model_card import ModelCard, model_card

NAMED = 5  # classes at most


def model_lines(classifier: Classifier | ClassifierDescription, directory: Path | None) -> list[str]:
    """Return the run, data, classes and accuracy of a classifier, a line each.

    Args:
        classifier: the classifier, or its description.
        directory: of the classifier; None for a pretrained network.
    """
    names = [printable(name) for name in classifier.class_names[:NAMED]]
    more = len(classifier.class_names) - len(names)
    classes = f"{len(classifier.class_names):,} classes ({', '.join(names)}{f' and {more:,} more' if more else ''})"
    known = f"{classes} in images of {classifier.image_size} px"
    if directory is None:
        return ["Model: a pretrained network, unchanged", f"  {known}"]
    run = directory.parent if directory.name == "classifier" else directory
    card = classifier.card or _card_of_run(directory)
    if card is None:
        return [f"Model: {printable(str(run))}", f"  {known}"]
    trained = f"trained on {card.training_images:,} images of {card.dataset}" if card.training_images else "not trained"
    measured = card.measured.describe() if card.measured else "accuracy not measured"
    return [f"Model: {printable(card.run)} ({printable(str(run))})", f"  {known}", f"  {trained}; {measured}"]


def unfamiliar_line(classifier: Classifier, unfamiliar: Sequence[bool | None]) -> str:
    """Return how many images look unlike the training images, or why that is not known.

    Args:
        classifier: the classifier.
        unfamiliar: whether each labelled image is unfamiliar.
    """
    if classifier.familiarity is None:
        return unfamiliar_reason(classifier)
    count = sum(found is True for found in unfamiliar)
    look = "looks" if count == 1 else "look"
    limit = f" ({text})" if (text := _limit(classifier)) else ""
    return f"{count:,} of {len(unfamiliar):,} images {look} unlike the training images{limit}"


def unfamiliar_reason(classifier: Classifier) -> str:
    """Return what an unfamiliar image is, or why it is not known.

    Args:
        classifier: the classifier.
    """
    if classifier.directory is None:
        return "Unfamiliar images are not found: the training images of a pretrained network are not here"
    if classifier.familiarity is None:
        return (
            "Unfamiliar images are not found: this classifier was saved without what its training images look like "
            "(by an earlier version, or without validation images); train it again"
        )
    return f"Unfamiliar: images unlike the training images, {_limit(classifier)}" if _limit(classifier) else ""


def _limit(classifier: Classifier) -> str:
    """Return what the limit means; nothing if labels.json does not say."""
    limit = classifier.card.unfamiliar if classifier.card else None
    return f"{limit.describe()}; expected of {format_percent(limit.expected_share)} of familiar ones" if limit else ""


def print_lines(lines: list[str]) -> None:
    """Print lines, wrapped between words."""
    for line in lines:
        console.print(line, markup=False)


def _card_of_run(directory: Path) -> ModelCard | None:
    """Return the card of a classifier that an earlier version saved, from the results of its run; None without them."""
    try:
        results = read_results(directory.parent)
        config = from_yaml((directory / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError, HeadstartError):
        return None
    return None if results is None else model_card(results, config)
