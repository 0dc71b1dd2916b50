"""labels.json: what a saved classifier's outputs mean, and how its inputs are made."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from headstart.core.errors import expect_one_of
from headstart.core.files import write_json
from headstart.data.files.high_bit_depth import ValueRange
from headstart.data.files.images import RESIZE_MODES
from headstart.results.codec import from_plain, to_plain
from headstart.results.model_card import ModelCard
from headstart.results.upgrade import version_of

LABELS = "labels.json"
SCHEMA_VERSION = 2  # 1, which has `format` in place of `schema_version`, says the same


@dataclass(frozen=True, kw_only=True)
class ClassifierDescription:
    """What a saved classifier's outputs mean, and how its inputs are made."""

    class_names: tuple[str, ...]
    """Names of the classes in the order of the outputs, two or more."""
    image_size: int
    """Side of the input in pixels."""
    resize: str
    """How an image becomes square: an option of `dataset.resize`."""
    backbone: str | None = None
    """Option of the group `backbone`."""
    output: str | None = None
    """Kind of the outputs: an option of `head.output`."""
    value_range: ValueRange | None = None
    """Values that become black and white in files of more than 8 bits a channel, 0 to 65535; absent without such."""
    threshold: float | None = None
    """Probability of the second of two classes above which an image gets it, as validation advises, 0 to 1."""
    card: ModelCard | None = None
    """The run that made it, its data and its accuracy; absent until it is evaluated, and from earlier versions."""


def write_description(directory: Path, description: ClassifierDescription) -> None:
    """Write labels.json.

    Args:
        directory: of the classifier.
        description: of the classifier.
    """
    write_json(directory / LABELS, plain_description(description))


def store_threshold(directory: Path, threshold: float) -> None:
    """Add the advised threshold between two classes to labels.json.

    Args:
        directory: of the classifier.
        threshold: on the probability of the second class, 0 to 1.
    """
    write_description(directory, replace(read_description(directory), threshold=threshold))


def add_card(directory: Path, card: ModelCard) -> None:
    """Add to a saved classifier's labels.json where it comes from.

    Args:
        directory: of the classifier.
        card: of the classifier.
    """
    write_description(directory, replace(read_description(directory), card=card))


def plain_description(description: ClassifierDescription) -> dict[str, Any]:
    """Return a description as labels.json holds it."""
    return {"schema_version": SCHEMA_VERSION, **to_plain(description)}


def read_description(directory: Path) -> ClassifierDescription:
    """Return the description in labels.json.

    Args:
        directory: of the classifier.

    Raises:
        ValueError, HeadstartError: when the file holds anything else, or a newer version of headstart wrote it.
    """
    try:
        labels = json.loads((directory / LABELS).read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError("labels.json is nested too deeply") from error
    if isinstance(labels, dict):
        version_of(labels, "classifier", "labels", SCHEMA_VERSION)
    match labels:
        case {"class_names": [*names], "image_size": int(size), "resize": str(resize)} if (
            len(names) > 1 and all(isinstance(name, str) for name in names) and size > 0
        ):
            expect_one_of("resize", resize, RESIZE_MODES)
            return ClassifierDescription(
                class_names=tuple(names),
                image_size=size,
                resize=resize,
                backbone=_text(labels.get("backbone")),
                output=_text(labels.get("output")),
                value_range=_value_range(labels.get("value_range")),
                threshold=_threshold(labels.get("threshold"), len(names)),
                card=_card(labels.get("card")),
            )
    raise ValueError("labels.json does not hold class_names (a list of names), image_size and resize")


def _text(saved: object) -> str | None:
    return saved if isinstance(saved, str) else None


def _card(saved: object) -> ModelCard | None:
    """Return the card that labels.json holds; None if it holds none."""
    try:
        return None if saved is None else from_plain(ModelCard, saved)
    except ValueError as error:
        raise ValueError(f"card in labels.json: {error}") from error


def _value_range(saved: object) -> ValueRange | None:
    """Return the range of values that labels.json holds; None if it holds none because all images had 8 bits."""
    match saved:
        case None:
            return None
        case [int() | float() as low, int() | float() as high] if -math.inf < low < high < math.inf:
            return float(low), float(high)
    raise ValueError(f"value_range in labels.json is not [LOW, HIGH] but {saved}")


def _threshold(saved: object, classes: int) -> float | None:
    """Return the advised threshold that labels.json holds; None if it holds none."""
    match saved:
        case None:
            return None
        case int() | float() if 0 <= saved <= 1 and classes == 2 and not isinstance(saved, bool):
            return float(saved)
    raise ValueError(f"threshold in labels.json is not a probability of the second of two classes but {saved}")
