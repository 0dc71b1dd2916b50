"""dataset.group=near_duplicates keeps copies of one picture in one split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from headstart.config import compose
from headstart.core.errors import HeadstartError
from headstart.data.files.limits import LIMITS
from headstart.data.load import load_index
from headstart.data.similarity.grouping import group_near_duplicates
from headstart.data.sources.listing import ImageRow, Listing

PICTURES, COPIED = 40, 20


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return pictures of two classes, half of which have a smaller copy."""
    directory = tmp_path_factory.mktemp("grouped") / "pictures"
    generator = np.random.default_rng(0)
    levels = gaussian_filter(generator.normal(size=(PICTURES, 96, 96, 3)), (0, 4, 4, 0))
    levels = np.clip(levels / levels.std() * 50 + 120, 0, 255).astype(np.uint8)
    for number, pixels in enumerate(levels):
        folder = directory / ("cat" if number % 2 else "dog")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
        if number < COPIED:
            Image.fromarray(pixels).resize((60, 60)).save(folder / f"copy of {number:02}.png")
    return directory


def straddling(root: Path, cache: Path, *overrides: str) -> int:
    """Return how many copies are in another split than their original."""
    index = load_index(compose(["dataset=folder", f"dataset.root={root}", *overrides]).dataset, cache)
    split = dict(zip(index.paths, index.splits.tolist(), strict=True))
    return sum(split[path] != split[path.replace("copy of ", "")] for path in split if "copy" in path)


def test_copies_stay_together(root: Path, tmp_path: Path) -> None:
    assert straddling(root, tmp_path) > 0
    assert straddling(root, tmp_path, "dataset.group=near_duplicates") == 0


def test_grouping_is_noted(root: Path, tmp_path: Path) -> None:
    config = compose(["dataset=folder", f"dataset.root={root}", "dataset.group=near_duplicates"])
    notes = load_index(config.dataset, tmp_path).notes
    assert notes == (
        f"dataset.group=near_duplicates: {2 * COPIED} images are in {COPIED} groups that stay in one split",
    )


def test_existing_groups_are_merged(root: Path, tmp_path: Path) -> None:
    rows = [
        ImageRow("dog/00.png", "dog", None, "patient 1"),
        ImageRow("dog/copy of 00.png", "dog", None, "patient 2"),
        ImageRow("dog/02.png", "dog", None, "patient 2"),
        ImageRow("dog/22.png", "dog", None, "patient 3"),
    ]
    grouped = group_near_duplicates(Listing(root, rows), LIMITS, tmp_path).rows
    assert len({row.group for row in grouped[:3]}) == 1
    assert grouped[3].group != grouped[0].group


def test_an_unreadable_file_has_its_own_group(root: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")
    for name in ("dog/00.png", "dog/02.png"):
        (tmp_path / Path(name).name).write_bytes((root / name).read_bytes())
    rows = [ImageRow(name, "dog") for name in ("00.png", "02.png", "bad.png")]
    grouped = group_near_duplicates(Listing(tmp_path, rows), LIMITS, tmp_path / "cache").rows
    assert len({row.group for row in grouped}) == 3


def test_grouping_a_dataset_with_splits_is_refused(root: Path, tmp_path: Path) -> None:
    rows = [ImageRow("dog/00.png", "dog", "train"), ImageRow("dog/02.png", "dog", "validation")]
    with pytest.raises(HeadstartError, match="a dataset with its own splits") as caught:
        group_near_duplicates(Listing(root, rows), LIMITS, tmp_path)
    assert "dataset.exclude=audit.csv" in str(caught.value)


def test_groups_that_straddle_a_given_test_split_are_noted(root: Path, tmp_path: Path) -> None:
    rows = [
        ImageRow("dog/00.png", "dog", "train"),
        ImageRow("dog/copy of 00.png", "dog", "test"),
        ImageRow("dog/02.png", "dog", "train"),
    ]
    notes = group_near_duplicates(Listing(root, rows), LIMITS, tmp_path).notes
    assert notes[-1].endswith("has its own test split, and 1 groups straddle it")


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(HeadstartError, match=r"Expected dataset\.group to be one of near_duplicates"):
        compose(["dataset.group=patients"])
