"""Images with unusual brightness, sharpness or size are found; an ordinary data set has almost none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter
from planted import checked, named, scenes, write

from headstart.audit.quality import quality_findings
from headstart.cache.store import Cache
from headstart.data.index import ImageIndex
from headstart.data.similarity.measurements import FIGURES, Measurements, measure_images
from headstart.data.similarity.near_duplicates import SIDE


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> tuple[ImageIndex, Measurements]:
    root = tmp_path_factory.mktemp("faulty")
    pictures = named(scenes(60))
    some = scenes(8, seed=1)
    pictures["cat/blank.png"] = Image.new("RGB", (128, 128), (90, 90, 92))
    pictures["cat/dark.png"] = some[0].point(lambda level: level // 6)
    pictures["cat/pale.png"] = some[1].point(lambda level: 175 + level // 4)
    pictures["cat/blurred.png"] = some[2].filter(ImageFilter.GaussianBlur(2))
    pictures["dog/tiny.png"] = some[3].resize((24, 24))
    pictures["dog/wide.png"] = some[4].resize((300, 100))
    pictures["dog/copy of cat.jpg"] = some[5]
    index = checked(write(root / "pictures", pictures), root)
    return index, measure_images(index, None)


def test_planted_faults_are_found_and_nothing_else(faulty: tuple[ImageIndex, Measurements]) -> None:
    index, measured = faulty
    found = {(one.kind, index.paths[one.position]) for one in quality_findings(measured)}
    wanted = {
        ("blank", "cat/blank.png"),
        ("dark", "cat/dark.png"),
        ("washed_out", "cat/pale.png"),
        ("blurred", "cat/blurred.png"),
        ("odd_size", "dog/tiny.png"),
        ("odd_size", "dog/wide.png"),
    }
    assert wanted <= found
    assert {path for _, path in found - wanted} <= {
        "dog/tiny.png",
        "dog/wide.png",
    }  # which are soft, too, when enlarged


def test_details_hold_the_measurements(faulty: tuple[ImageIndex, Measurements]) -> None:
    index, measured = faulty
    details = {(one.kind, index.paths[one.position]): one.detail for one in quality_findings(measured)}
    assert details["odd_size", "dog/wide.png"] == "300 x 100 pixels, usual is 128 x 128"
    assert details["blank", "cat/blank.png"] == "contrast 0.0"


def test_measurements_match_the_files(faulty: tuple[ImageIndex, Measurements]) -> None:
    index, measured = faulty
    position = index.paths.index("dog/wide.png")
    assert (measured["width"][position], measured["height"][position]) == (300, 100)
    assert measured["bytes"][position] == index.file(position).stat().st_size
    jpeg = index.paths.index("dog/copy of cat.jpg")
    assert measured["format"][jpeg] != measured["format"][position]
    blank = index.paths.index("cat/blank.png")
    assert [round(measured[f"border_{name}"][blank]) for name in ("red", "green", "blue")] == [90, 90, 92]
    assert measured.thumbnails(np.array([blank, jpeg])).shape == (2, SIDE, SIDE)


def test_measurements_are_kept_by_content(
    faulty: tuple[ImageIndex, Measurements], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, measured = faulty
    cache = Cache(tmp_path / "tables", 1e9)
    first = measure_images(index, cache)
    np.testing.assert_array_equal(first.figures, measured.figures)

    def fail(*_: object) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr("headstart.data.similarity.measurements.load_image", fail)
    again = measure_images(index.take(np.arange(len(index))[::-1]), Cache(tmp_path / "tables", 1e9))
    np.testing.assert_array_equal(again.figures[::-1], measured.figures)
    everything = np.arange(len(index))
    np.testing.assert_array_equal(again.thumbnails(everything[::-1]), measured.thumbnails(everything))


def test_where_the_cache_has_no_room_they_are_kept_in_memory(
    faulty: tuple[ImageIndex, Measurements], tmp_path: Path
) -> None:
    index, measured = faulty
    np.testing.assert_array_equal(measure_images(index, Cache(tmp_path / "tables", 100)).figures, measured.figures)


def test_a_few_images_are_too_few_to_know_what_is_usual() -> None:
    assert quality_findings(Measurements(None, np.zeros((5, len(FIGURES)), np.float32))) == []  # type: ignore[arg-type]
