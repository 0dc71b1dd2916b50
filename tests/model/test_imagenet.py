"""The names of ImageNet's classes: complete, in the order of the outputs, and each of its own."""

from __future__ import annotations

import json
from importlib import resources

import pytest

from headstart.model.imagenet import FILE, imagenet_classes


def test_there_are_a_thousand_names_in_the_order_of_their_wordnet_ids() -> None:
    entries = json.loads(resources.files("headstart.model").joinpath(FILE).read_text(encoding="utf-8"))
    assert len(entries) == 1000
    assert list(entries) == sorted(entries)
    assert all(len(key) == 9 and key[0] == "n" and key[1:].isdigit() for key in entries)
    assert tuple(entries.values()) == imagenet_classes()


def test_no_name_stands_for_two_classes_or_has_more_than_one_word_for_it() -> None:
    names = imagenet_classes()
    assert len(set(names)) == 1000
    assert all(name == name.strip() and "_" not in name and "," not in name for name in names)


@pytest.mark.parametrize(
    ("position", "name"),
    [
        (0, "tench"),
        (1, "goldfish"),
        (134, "crane (bird)"),
        (207, "golden retriever"),
        (235, "German shepherd"),
        (313, "walking stick"),
        (517, "crane (machine)"),
        (638, "maillot (tights)"),
        (639, "maillot (swimsuit)"),
        (665, "moped"),
        (751, "racer"),
        (851, "television"),
        (963, "pizza"),
        (999, "toilet tissue"),
    ],
)
def test_known_positions(position: int, name: str) -> None:
    assert imagenet_classes()[position] == name
