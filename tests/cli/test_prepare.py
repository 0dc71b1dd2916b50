"""Preparing writes folders that training reads, with the split that it makes itself, and touches nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from conftest import write_pictures
from PIL import Image

from headstart.cli import prepare
from headstart.config import DatasetConfig, SplitConfig, compose
from headstart.data import write_folders
from headstart.data.index import ImageIndex
from headstart.data.load import load_index


@pytest.fixture
def photos(tmp_path) -> Path:
    return write_pictures(tmp_path / "photos", {"cat": 20, "dog": 20, "dog/puppies": 10, "owl": 10}, size=4)


@pytest.fixture
def food(tmp_path) -> Path:
    for folder, number in {"training": 4, "validation": 1, "evaluation": 2}.items():
        (tmp_path / "Food-11" / folder).mkdir(parents=True)
        for label in range(11):
            for position in range(number):
                Image.new("L", (2, 2), 20 * label + position).save(
                    tmp_path / "Food-11" / folder / f"{label}_{position}.jpg"
                )
    return tmp_path / "Food-11"


def load(root: Path, **values) -> ImageIndex:
    return load_index(DatasetConfig(name="folder", source="folder", root=str(root), **values), root.parent / "cache")


def contents(index: ImageIndex) -> dict[str, set[bytes]]:
    """Return the files of each split by what they hold."""
    return {
        name: {part.file(position).read_bytes() for position in range(len(part))}
        for name in ("train", "validation", "test")
        for part in [index.split(name)]
    }


def files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file())


def test_split_is_the_one_that_a_run_makes(photos, tmp_path, capsys):
    before = {file: file.read_bytes() for file in files(photos)}
    destination = tmp_path / "new" / "split"
    arguments = ["--validation", "0.3", "--test", "0.1", "--seed", "7"]
    assert prepare.main(["split", str(photos), str(destination), *arguments]) == 0
    assert sorted(path.name for path in destination.iterdir()) == ["test", "train", "valid"]
    own = load(photos, split=SplitConfig(0.3, 0.1, 7))
    written = load(destination)
    assert contents(written) == contents(own)
    assert written.class_names == own.class_names
    assert list(destination.glob("*/dog/puppies/*.png"))
    assert {file: file.read_bytes() for file in files(photos)} == before
    printed = " ".join(capsys.readouterr().out.split())
    assert "60 images of 3 classes" in printed
    assert "60 files linked" in printed
    assert f"headstart train dataset=folder dataset.root={destination}" in printed


def test_split_again_is_the_same_and_another_seed_is_not(photos, tmp_path):
    for name, seed in {"first": "0", "again": "0", "other": "1"}.items():
        assert prepare.main(["split", str(photos), str(tmp_path / name), "--seed", seed]) == 0
    first, again, other = (
        [file.relative_to(tmp_path / name) for file in files(tmp_path / name)] for name in ("first", "again", "other")
    )
    assert first == again
    assert first != other


def test_split_takes_only_the_classes_that_are_named(photos, tmp_path):
    destination = tmp_path / "split"
    assert prepare.main(["split", str(photos), str(destination), "--classes", "owl, cat", "--test", "0"]) == 0
    assert contents(load(destination)) == contents(load(photos, classes=["cat", "owl"], split=SplitConfig(0.2, 0.0)))
    assert not (destination / "test").exists()


def test_classes_may_be_called_like_splits(tmp_path, capsys):
    photos = write_pictures(tmp_path / "photos", {"train/indoor": 6, "train/outdoor": 4, "test/indoor": 5}, size=4)
    (photos / "test" / "@eaDir").mkdir()
    assert prepare.main(["split", str(photos), str(tmp_path / "split")]) == 1
    assert "if they are classes, pass --no-splits" in capsys.readouterr().err
    assert prepare.main(["split", str(photos), str(tmp_path / "split"), "--no-splits"]) == 0
    assert "@eaDir: 1 folder" in capsys.readouterr().out
    assert load(tmp_path / "split").class_names == ("test", "train")


def test_hard_links_need_no_space_and_outlive_the_source(photos, tmp_path):
    assert prepare.main(["split", str(photos), str(tmp_path / "split")]) == 0
    linked = files(tmp_path / "split")
    assert all(file.stat().st_nlink == 2 and not file.is_symlink() for file in linked)
    for file in files(photos):
        file.unlink()
    assert all(file.read_bytes() for file in linked)


def test_where_files_cannot_be_linked_symbolic_links_are(photos, tmp_path, monkeypatch, capsys):
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.chdir(photos.parent)
    assert prepare.main(["split", "photos", "split"]) == 0
    assert all(file.is_symlink() and file.read_bytes() for file in files(tmp_path / "split"))
    printed = capsys.readouterr().out
    assert "60 symbolic links" in printed
    assert "dataset.follow_links=true" in printed


def test_links_out_of_the_source_are_refused_unless_they_may(photos, tmp_path, capsys):
    outside = next(iter(files(photos))).rename(tmp_path / "outside.png")
    (photos / "cat").mkdir(exist_ok=True)
    (photos / "cat" / "linked.png").symlink_to(outside)
    assert prepare.main(["split", str(photos), str(tmp_path / "split")]) == 1
    assert "cat/linked.png -> " in capsys.readouterr().err
    assert prepare.main(["split", str(photos), str(tmp_path / "split"), "--follow-links"]) == 0


def test_copies_are_files_of_their_own(photos, tmp_path):
    assert prepare.main(["split", str(photos), str(tmp_path / "split"), "--copy"]) == 0
    assert all(file.stat().st_nlink == 1 and not file.is_symlink() for file in files(tmp_path / "split"))


def test_food11_is_written_as_it_is_read_without(food, tmp_path, capsys):
    destination = tmp_path / "food11"
    assert prepare.main(["food11", str(food), str(destination)]) == 0
    assert (destination / "evaluation" / "Noodles-Pasta" / "6_1.jpg").is_file()
    flat = compose(["dataset=food11", f"dataset.root={food}"]).dataset
    assert contents(load(destination)) == contents(load_index(flat, tmp_path))
    assert load(destination).class_names == load_index(flat, tmp_path).class_names
    assert "77 images of 11 classes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["split", "nowhere", "new"], "Expected SOURCE to be the directory of the images. Received: {}/nowhere"),
        (["split", "photos", "taken"], "Expected DESTINATION to be a new directory. Received: {}/taken, which exists"),
        (["split", "photos", "photos/new"], "Expected DESTINATION to lie outside {}/photos"),
        (["split", "photos", "a file/new"], "Expected DESTINATION to be a writable directory"),
        (["split", "photos", "new", "--validation", "1.5"], "Expected --validation to be above 0 and below 1"),
        (["split", "photos", "new", "--classes", "cat,owls"], "Received: owls\ntip: did you mean owl?\n"),
        (["split", "photos", "new", "--classes", "cat"], "Expected at least two classes"),
        (["split", "Food-11", "new"], "Expected a folder for each class"),
        (["split", "done", "new"], "Expected a folder per class in {}/done. Received: split folders"),
        (["food11", "photos", "new"], "begin with the number of its class"),
        (["food11", "Food-11/training", "new"], "Expected the folders training, validation and evaluation"),
    ],
)
def test_invalid_commands_write_nothing(photos, food, tmp_path, monkeypatch, capsys, arguments, message):
    (tmp_path / "taken").mkdir()
    (tmp_path / "a file").touch()
    for split in ("train", "test"):
        write_pictures(tmp_path / "done" / split, {"cat": 1, "dog": 1}, size=4)
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert prepare.main(arguments) == 1
    printed = capsys.readouterr().err
    assert printed.startswith("error: ")
    assert message.format(tmp_path) in printed
    assert sorted(tmp_path.rglob("*")) == before


def test_failure_halfway_leaves_nothing(photos, tmp_path, monkeypatch, capsys):
    put, written = write_folders.put, []

    def fail_after_ten(*arguments: object) -> str:
        if len(written) == 10:
            raise OSError(28, "No space left on device")
        written.append(arguments)
        return put(*arguments)

    monkeypatch.setattr(write_folders, "put", fail_after_ten)
    assert prepare.main(["split", str(photos), str(tmp_path / "split")]) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_command_runs_by_itself(photos, tmp_path, fork_server):
    answer = fork_server.run(["-m", "headstart", "prepare", "split", photos, tmp_path / "split"])
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "validation" in answer.stdout
