"""The preview shows originals beside their augmented versions, for any configuration."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.cli import preview
from headstart.evaluation.plots.contact_sheet import describe


def tile(sheet: Path, row: int, column: int, side: int = 112) -> np.ndarray:
    """Return one picture of a sheet: 6 pixels between pictures, 6 more after the originals, 20 below for captions."""
    left, top = 6 + column * (side + 6) + (6 if column else 0), 6 + row * (side + 26)
    return np.asarray(Image.open(sheet).convert("RGB"), np.float32)[top : top + side, left : left + side]


def arguments(folder: Path, output: Path, *more: str) -> list[str]:
    data = ["dataset=folder", f"dataset.root={folder}", "image_size=112"]
    return [*data, *more, "--output", str(output), "--images", "3", "--versions", "2"]


def test_a_sheet_has_a_row_for_each_image_and_a_column_for_each_version(folder, tmp_path):
    output = tmp_path / "new" / "sheet.png"
    assert preview.main(arguments(folder, output, "augmentation=strong")) == 0
    with Image.open(output) as sheet:
        assert sheet.format == "PNG"
        assert sheet.size == (6 + 3 * 118 + 6, 6 + 3 * 138)
    for row in range(3):
        original, first, second = (tile(output, row, column) for column in range(3))
        assert original.std() > 1
        assert np.abs(first - original).mean() > 1
        assert np.abs(second - first).mean() > 1


@pytest.mark.slow
def test_many_versions_of_one_image_go_on_in_the_next_line(folder, tmp_path):
    output = tmp_path / "sheet.png"
    data = ["dataset=folder", f"dataset.root={folder}", "image_size=112", "augmentation=strong"]
    assert preview.main([*data, "--output", str(output), "--images", "2", "--versions", "20"]) == 0
    with Image.open(output) as sheet:
        assert sheet.size == (6 + 8 * 118 + 6, 6 + 2 * 3 * 138)  # the original and seven versions, three lines of them
    for first_line in (0, 3):
        tiles = [tile(output, first_line + line, column) for line in range(3) for column in range(1, 8)]
        versions, after = tiles[:20], tiles[20]
        assert all(np.abs(one - tile(output, first_line, 0)).mean() > 1 for one in versions)
        assert len({one.tobytes() for one in versions}) == 20
        assert (after == 255).all()
        assert all((tile(output, first_line + line, 0) == 255).all() for line in (1, 2))  # room below the original


def test_large_pictures_make_no_wide_sheet(folder, tmp_path):
    output = tmp_path / "sheet.png"
    data = ["dataset=folder", f"dataset.root={folder}", "image_size=300", "augmentation=flip"]
    assert preview.main([*data, "--output", str(output), "--images", "1", "--versions", "20"]) == 0
    with Image.open(output) as sheet:
        assert sheet.width <= 1080
        assert sheet.height < sheet.width


def test_without_augmentation_the_versions_are_the_original(folder, tmp_path):
    output = tmp_path / "sheet.png"
    assert preview.main(arguments(folder, output, "augmentation=none")) == 0
    for row in range(3):
        np.testing.assert_array_equal(tile(output, row, 2), tile(output, row, 0))


def test_blended_labels_are_shown():
    names = ("cat", "dog", "owl")
    assert describe(np.array([0.25, 0.75, 0.0], np.float32), names) == "dog 0.75, cat 0.25"
    assert describe(np.array([0.0, 0.0, 1.0], np.float32), names) == "owl 1.00"


@pytest.mark.parametrize("option", ["randaugment", "mixup", "cutmix"])
def test_every_kind_of_augmentation_is_visible(folder, tmp_path, option):
    output = tmp_path / "sheet.png"
    assert preview.main(arguments(folder, output, f"augmentation={option}")) == 0
    assert any(np.abs(tile(output, row, 1) - tile(output, row, 0)).mean() > 1 for row in range(3))


def test_the_script_says_in_one_line_what_is_wrong(folder, tmp_path, fork_server):
    wrong = arguments(folder, tmp_path / "sheet.png", "augmentation=stronk")
    done = fork_server.run(["-m", "headstart", "preview", *wrong])
    assert done.returncode == 1
    problem, tip = done.stderr.splitlines()
    assert problem == "error: unknown augmentation 'stronk'"
    assert tip.startswith("tip: did you mean augmentation=strong? ")
    assert done.stdout == ""
    assert not (tmp_path / "sheet.png").exists()


def test_a_place_that_cannot_be_written_is_named(folder, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert preview.main(arguments(folder, tmp_path / "file" / "sheet.png")) == 1
    assert "--output" in capsys.readouterr().err
