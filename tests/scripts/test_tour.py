"""The README's tour: its pictures are drawn the same each time, its commands are what the README says."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from headstart.core.errors import HeadstartError
from headstart.data.files.images import load_image

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tour() -> ModuleType:
    specification = importlib.util.spec_from_file_location("tour", ROOT / "scripts" / "docs" / "tour.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_same_seed_draws_the_same_pictures_and_another_does_not(tour: ModuleType, tmp_path: Path) -> None:
    for name, seed in (("first", 0), ("again", 0), ("other", 1)):
        tour.draw_pictures(tmp_path / name, each=2, seed=seed)
    first, again, other = (sorted((tmp_path / name).rglob("*.jpg")) for name in ("first", "again", "other"))
    assert len(first) == 2 * len(tour.SHAPES)
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in again]
    assert all(one.read_bytes() != two.read_bytes() for one, two in zip(first, other, strict=True))
    assert load_image(first[0], 32, "stretch").std() > 10  # a shape on a ground of another colour


def test_the_commands_of_the_readme(tour: ModuleType) -> None:
    commands = tour.tour_commands((ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(commands) == 4  # the fifth one opens a browser
    assert [command.split()[:2] for command in commands] == [
        ["headstart", name] for name in ("preview", "train", "train", "predict")
    ]
    assert all("~/photos" in command for command in commands[:3])


def test_a_command_that_fails_ends_the_tour(tour: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(HeadstartError, match=r"exit code 1 of python run\.py"):
        tour.run("python run.py dataset=folder dataset.root=~/photos", tmp_path)  # nothing was drawn
    with pytest.raises(HeadstartError, match="Expected <!-- tour -->"):
        tour.tour_commands("A page without a tour.")
