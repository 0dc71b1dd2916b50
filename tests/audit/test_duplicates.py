"""Findings about duplicates name the images to exclude and the one to keep."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from headstart.audit.duplicates import duplicate_findings, identical_images, leaks
from headstart.data.index import ImageIndex
from headstart.data.similarity.near_duplicates import Pair


def index_of(rows: list[tuple[str, str, str]]) -> ImageIndex:
    """Return an index of (split, class, content) in order; the path of each is its number."""
    names = sorted({name for _, name, _ in rows})
    return ImageIndex(
        Path("/data"),
        tuple(names),
        tuple(str(number) for number in range(len(rows))),
        np.array([names.index(name) for _, name, _ in rows], np.int32),
        np.array([split for split, _, _ in rows]),
        tuple(content for _, _, content in rows),
    )


def found(rows: list[tuple[str, str, str]], pairs: list[Pair]) -> set[tuple[str, int, int | None]]:
    index = index_of(rows)
    findings = duplicate_findings(index, identical_images(index), pairs)
    return {(one.kind, one.position, one.partner) for one in findings}


def test_the_training_copy_is_excluded_and_the_test_image_kept() -> None:
    rows = [("train", "cat", "a"), ("test", "cat", "a"), ("validation", "cat", "a"), ("train", "cat", "b")]
    assert found(rows, []) == {("duplicate", 0, 1), ("duplicate", 2, 1)}
    rows = [("train", "cat", "a"), ("test", "cat", "b"), ("train", "cat", "c"), ("validation", "cat", "d")]
    pairs = [Pair(0, 1, 0.9, "copy"), Pair(2, 3, 0.95, "mirrored")]
    assert found(rows, pairs) == {("near_duplicate", 0, 1), ("near_duplicate", 2, 3)}


def test_within_a_split_the_first_one_is_kept() -> None:
    rows = [("train", "cat", "a"), ("train", "cat", "b"), ("train", "cat", "c"), ("train", "cat", "a")]
    assert found(rows, [Pair(0, 1, 0.9, "copy"), Pair(1, 2, 0.9, "copy")]) == {
        ("duplicate", 3, 0),
        ("near_duplicate", 1, 0),
        ("near_duplicate", 2, 1),
    }


def test_all_images_with_conflicting_labels_are_listed() -> None:
    rows = [("train", "cat", "a"), ("test", "dog", "a"), ("train", "cat", "b"), ("train", "dog", "c")]
    assert found(rows, [Pair(2, 3, 0.9, "copy")]) == {
        ("conflict", 0, 1),
        ("conflict", 1, 0),
        ("near_duplicate", 2, 3),
        ("near_duplicate", 3, 2),
    }


def test_images_across_splits_come_first_with_what_they_copy() -> None:
    rows = [("train", "cat", "a"), ("train", "cat", "b"), ("train", "cat", "c"), ("test", "cat", "d")]
    pairs = [Pair(0, 1, 0.99, "copy"), Pair(2, 3, 0.85, "cropped")]
    index = index_of(rows)
    first, second = duplicate_findings(index, [], pairs)
    assert (first.position, first.detail) == (2, "cropped, otherwise a copy of 3 (test, cat)")
    assert (second.position, second.detail) == (1, "copy of 0 (train, cat)")


def test_leaks_are_counted_through_chains_of_copies() -> None:
    rows = [("train", "cat", "a"), ("test", "cat", "b"), ("test", "cat", "b"), ("validation", "cat", "c")]
    index = index_of(rows)
    identical = identical_images(index)
    assert leaks(index, identical, []) == {"validation": 0, "test": 0}
    assert leaks(index, identical, [Pair(0, 1, 0.9, "copy")]) == {"validation": 0, "test": 2}
    assert leaks(index.split("train"), [], []) == {}
