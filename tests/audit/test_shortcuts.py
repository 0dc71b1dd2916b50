"""Classes that one property of the files predicts are reported with the accuracy; others are not."""

from __future__ import annotations

import numpy as np

from headstart.audit.shortcuts import ALL, SERIOUS, find_shortcuts
from headstart.data.similarity.measurements import FIGURES, Measurements


def measured(count: int, seed: int = 0, **columns: np.ndarray) -> Measurements:
    """Return measurements at random, with some columns as given."""
    figures = np.random.default_rng(seed).uniform(50, 200, (count, len(FIGURES))).astype(np.float32)
    figures[:, FIGURES.index("format")] = 0
    for name, values in columns.items():
        figures[:, FIGURES.index(name)] = values
    return Measurements(None, figures)  # type: ignore[arg-type]


LABELS = np.arange(200) % 2


def best(found: list, by: str) -> float:
    return max(one.accuracy for one in found if one.by == by)


def test_a_border_colour_gives_two_classes_away() -> None:
    generator = np.random.default_rng(0)
    found = find_shortcuts(measured(200, border_red=np.where(LABELS, 250, 5) + generator.normal(0, 3, 200)), LABELS)
    assert best(found, "border colour") > SERIOUS
    assert best(found, "file size") < 0.7
    assert (found[0].classes, found[0].chance) == ((0, 1), 0.5)
    assert "file format" not in {one.by for one in found}  # the same for all


def test_size_file_and_format_give_classes_away() -> None:
    assert best(find_shortcuts(measured(200, width=100 + 50.0 * LABELS, height=100.0), LABELS), "image size") == 1
    assert best(find_shortcuts(measured(200, bytes=1000 + 900.0 * LABELS), LABELS), "file size") == 1
    assert best(find_shortcuts(measured(200, format=1.0 * LABELS), LABELS), "file format") == 1


def test_nothing_is_found_in_noise_however_unequal_the_classes() -> None:
    labels = (np.arange(400) % 10 == 0).astype(int)
    found = find_shortcuts(measured(400), labels)
    assert all(one.accuracy < 0.7 for one in found)
    assert ALL in {one.by for one in found}


def test_pairs_of_many_classes_are_named() -> None:
    labels = np.arange(300) % 3
    found = find_shortcuts(measured(300, bytes=np.where(labels == 2, 5000, 1000)), labels)
    assert found[0].classes == (0, 1, 2)
    pairs = {one.classes for one in found if len(one.classes) == 2 and one.by == "file size"}
    assert pairs == {(0, 2), (1, 2)}


def test_small_classes_are_not_checked() -> None:
    labels = np.array([0] * 100 + [1] * 9)
    assert find_shortcuts(measured(109, bytes=1000 + 900.0 * labels), labels) == []
