"""The index: order of classes, subsets, fingerprint, and the table it writes."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from headstart.core.errors import HeadstartError
from headstart.data.index import ImageIndex, natural_key


def make_index(**changes) -> ImageIndex:
    index = ImageIndex(
        root=Path("/pictures"),
        class_names=("cat", "dog"),
        paths=("a.png", "b.png", "c.png", "d.png"),
        labels=np.array([0, 1, 0, 1], dtype=np.int32),
        splits=np.array(["train", "train", "validation", "validation"]),
        digests=("11", "22", "33", "44"),
    )
    return replace(index, **changes)


def test_numbers_in_names_count_as_numbers():
    names = ["10", "2", "class10", "Class9", "1", "b2a", "b10a"]
    assert sorted(names, key=natural_key) == ["1", "2", "10", "b2a", "b10a", "Class9", "class10"]


def test_split_and_take_keep_everything_together():
    validation = make_index().split("validation")
    assert validation.paths == ("c.png", "d.png")
    assert validation.digests == ("33", "44")
    assert validation.class_names == ("cat", "dog")
    last_first = make_index().take([3, 0])
    assert last_first.paths == ("d.png", "a.png")
    assert last_first.labels.tolist() == [1, 0]
    assert last_first.file(0) == Path("/pictures/d.png")
    assert len(last_first) == 2


def test_counts_have_every_split_and_class():
    counts = make_index(labels=np.array([1, 1, 0, 1], dtype=np.int32)).counts()
    assert {name: count.tolist() for name, count in counts.items()} == {
        "train": [0, 2],
        "validation": [1, 1],
        "test": [0, 0],
    }


def test_fingerprint_does_not_depend_on_order_or_root():
    index = make_index()
    assert index.take([2, 0, 3, 1]).fingerprint == index.fingerprint
    assert make_index(root=Path("/elsewhere")).fingerprint == index.fingerprint


@pytest.mark.parametrize(
    "changes",
    [
        {"digests": ("11", "22", "33", "45")},
        {"paths": ("a.png", "b.png", "c.png", "e.png")},
        {"class_names": ("cat", "wolf")},
        {"labels": np.array([1, 0, 0, 1], dtype=np.int32)},
        {"splits": np.array(["train", "train", "validation", "test"])},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_fingerprint_depends_on(changes):
    assert make_index(**changes).fingerprint != make_index().fingerprint


def test_fingerprint_needs_digests():
    with pytest.raises(ValueError, match="check_images"):
        _ = make_index(digests=()).fingerprint


def test_table_has_a_row_for_each_image(tmp_path):
    make_index(paths=("a,b.png", "b.png", "ü.png", "d.png")).write_csv(tmp_path / "images.csv")
    with (tmp_path / "images.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {"path": "a,b.png", "label": "cat", "split": "train", "digest": "11"}
    assert [row["path"] for row in rows] == ["a,b.png", "b.png", "ü.png", "d.png"]


def test_every_class_must_be_trained_and_validated():
    make_index().expect_every_class()
    with pytest.raises(HeadstartError, match=r"train split.*none of dog"):
        make_index(labels=np.array([0, 0, 0, 1], dtype=np.int32)).expect_every_class()
    with pytest.raises(HeadstartError, match=r"validation split.*none of cat"):
        make_index(labels=np.array([0, 1, 1, 1], dtype=np.int32)).expect_every_class()
    with pytest.raises(HeadstartError, match="at least two classes"):
        make_index(class_names=("cat",), labels=np.zeros(4, dtype=np.int32)).expect_every_class()
