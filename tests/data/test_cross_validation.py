"""Cross-validation: every image is tested once, classes keep their shares, groups stay together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import write_pictures

from headstart.config import CrossValidationConfig, DatasetConfig, SplitConfig
from headstart.core.errors import HeadstartError
from headstart.data.index import ImageIndex
from headstart.data.load import load_index

FOLDS = 3


def fold(root: Path, number: int | None, folds: int = FOLDS, **values: object) -> ImageIndex:
    config = DatasetConfig(**{"name": "folder", "source": "folder", "root": str(root), **values})  # type: ignore[arg-type]
    return load_index(config, root.parent / "cache", CrossValidationConfig(folds, number))


def names(index: ImageIndex, split: str) -> set[str]:
    return set(index.split(split).paths)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "pictures", {"cat": 12, "dog": 9})


def test_every_image_is_in_one_test_split(pictures: Path) -> None:
    tested = [names(fold(pictures, number), "test") for number in range(FOLDS)]
    everything = {path.relative_to(pictures).as_posix() for path in pictures.rglob("*.png")}
    assert set.union(*tested) == everything
    assert sum(map(len, tested)) == len(everything)


def test_each_fold_keeps_the_shares_of_the_classes(pictures: Path) -> None:
    for number in range(FOLDS):
        counts = fold(pictures, number).counts()
        assert counts["test"].tolist() == [4, 3]
        assert counts["validation"].tolist() == [2, 1]  # the configured fifth of what is left
        assert counts["train"].tolist() == [6, 5]


def test_the_seed_of_the_split_decides(pictures: Path) -> None:
    first, again = fold(pictures, 0), fold(pictures, 0)
    other = fold(pictures, 0, split=SplitConfig(seed=1))
    assert names(first, "test") == names(again, "test")
    assert names(first, "test") != names(other, "test")
    assert fold_digest(first) == fold_digest(again) != fold_digest(other)


def fold_digest(index: ImageIndex) -> list[tuple[str, str]]:
    return sorted(zip(index.paths, index.splits.tolist(), strict=True))


def test_images_of_a_given_test_split_are_excluded(tmp_path: Path) -> None:
    root = tmp_path / "split"
    for split, count in {"train": 6, "valid": 3, "test": 4}.items():
        write_pictures(root / split, {"cat": count, "dog": count}, seed=count)
    tested = set.union(*(names(fold(root, number), "test") for number in range(FOLDS)))
    assert len(tested) == 18
    assert not any(path.startswith("test/") for path in tested)
    assert "8 images of the test split are not part of the cross-validation" in fold(root, 0).notes


def test_groups_stay_together(tmp_path: Path) -> None:
    write_pictures(tmp_path, {"cat": 12, "dog": 12})
    rows = [
        f"{kind}/{number:03}.png,{kind},{kind}{number // 2}" for kind in ("cat", "dog") for number in range(12)
    ]  # two images of each patient
    table = tmp_path / "images.csv"
    table.write_text("\n".join(["path,label,group", *rows]))
    group_of = {row.split(",")[0]: row.split(",")[2] for row in rows}
    for number in range(FOLDS):
        index = fold(tmp_path, number, name="csv", source="csv", csv=str(table))
        groups = {split: {group_of[path] for path in names(index, split)} for split in ("train", "validation", "test")}
        assert not groups["test"] & (groups["train"] | groups["validation"])
        assert not groups["train"] & groups["validation"]
        assert np.isin(index.split("test").labels, [0, 1]).all()


@pytest.mark.parametrize("number", [None, 3])
def test_a_fold_must_be_chosen(pictures: Path, number: int | None) -> None:
    with pytest.raises(HeadstartError, match=r"Expected cv.fold from 0 to 2, or -m for every fold"):
        fold(pictures, number)


def test_a_class_with_too_few_images_is_named(pictures: Path) -> None:
    with pytest.raises(HeadstartError, match=r"at least 10 images of every class.*cv.folds=10.*dog: 9"):
        fold(pictures, 0, folds=10)
