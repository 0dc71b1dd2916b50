"""The audit as a program, with a network's features: findings printed and written, a command that composes."""

from __future__ import annotations

import csv
import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from headstart.cli import audit
from headstart.config import compose


@pytest.fixture(scope="module")
def textures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return stripes that lie and stripes that stand, a few of each under the wrong name, and a copy."""
    directory = tmp_path_factory.mktemp("my textures") / "stripes"
    generator = np.random.default_rng(0)
    for number in range(60):
        shape = (0.5, 6, 0) if number % 2 else (6, 0.5, 0)
        levels = gaussian_filter(generator.normal(size=(64, 64, 3)), shape)
        picture = Image.fromarray(np.clip(levels / levels.std() * 45 + 120, 0, 255).astype(np.uint8))
        wrong = number in (10, 11, 30, 31)
        folder = directory / ("lying" if (number % 2 == 1) != wrong else "standing")
        folder.mkdir(parents=True, exist_ok=True)
        picture.save(folder / f"{number:02}.png")
        if number == 4:
            picture.resize((100, 100)).save(folder / "copy.png")
    return directory


@pytest.mark.slow
def test_wrong_labels_and_copies_are_found_written_and_left_out(
    textures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit.main([str(textures), "image_size=64", "--output", str(tmp_path / "new")]) == 0
    printed = capsys.readouterr().out
    with (tmp_path / "new" / "audit.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    wrong = {Path(row["path"]).stem for row in rows if row["finding"] == "mislabelled"}
    assert wrong >= {"10", "11", "30", "31"}
    assert len(wrong) <= 6
    assert {Path(row["path"]).stem for row in rows if row["finding"] == "near_duplicate"} <= {"04", "copy"}
    assert "Possibly mislabelled" in printed
    assert "s labels" in printed
    found = json.loads((tmp_path / "new" / "audit.json").read_text(encoding="utf-8"))
    assert found["findings"]["mislabelled"] == len(wrong)
    assert "lying?" in (tmp_path / "new" / "audit.html").read_text(encoding="utf-8")
    command = printed.strip().splitlines()[-1]
    config = compose(shlex.split(command)[2:])
    assert (config.dataset.exclude, config.dataset.root) == (str(tmp_path / "new" / "audit.csv"), str(textures))


def test_without_a_network_no_labels_are_questioned(
    textures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit.main(["--quick", str(textures), "--output", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "mislabelled" not in printed
    assert "Near-duplicates" in printed


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["no_such_folder"], "Expected dataset.root to be the directory of the images"),
        (["image_size=32"], "Expected FOLDER, or dataset=NAME. Received: neither"),
        (["dataset=digits", "audit=deep"], "Expected audit to be one of quick, full, off. Received: deep"),
        (["dataset=digits", "dataset.exclude=no_such.csv"], "Expected dataset.exclude to be a file"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(words: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.main(["--quick", *words]) == 1
    said = capsys.readouterr()
    problem, _, tip = said.err.partition("\n")
    assert problem.startswith("error: ")
    assert expected in problem
    assert (said.out, tip.count("\n") <= 1) == ("", True)
