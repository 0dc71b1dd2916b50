"""The pictures of the page: test images that only one of the best two strategies gets right."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from headstart.comparison.disagreements import Sheet
from headstart.core.console import format_percent

QUALITY = 82  # of JPEG, 1 to 95: about 5 kB for a picture of this size


@dataclass(frozen=True)
class Answer:
    """What one strategy says of a picture."""

    number: int  # of the strategy in the table
    label: str
    confidence: str
    is_right: bool


@dataclass(frozen=True)
class Card:
    """One picture with its true label and two answers."""

    source: str  # data URI
    path: str
    label: str
    answers: tuple[Answer, Answer]


@dataclass(frozen=True)
class Gallery:
    """The pictures that only one strategy gets right."""

    right: int  # number of the strategy in the table
    wrong: int
    total: int
    cards: tuple[Card, ...]


def make_galleries(sheets: Sequence[Sheet]) -> list[Gallery]:
    """Return the pictures of each sheet, embedded."""
    galleries = []
    for sheet in sheets:
        first, second = sorted((sheet.right, sheet.wrong))
        cards = []
        for image, pixels in zip(sheet.shown, sheet.pixels, strict=True):
            answers = [
                Answer(number, label, format_percent(confidence, 0), label == image.label)
                for number, (label, confidence) in ((first, image.first), (second, image.second))
            ]
            cards.append(Card(_embedded(pixels), image.path, image.label, (answers[0], answers[1])))
        galleries.append(Gallery(sheet.right, sheet.wrong, sheet.total, tuple(cards)))
    return galleries


def _embedded(pixels: np.ndarray) -> str:
    """Return a picture as a data URI."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
