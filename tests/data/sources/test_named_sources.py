"""Sources with special layouts, the choice of classes, and messages about missing data."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from conftest import write_pictures
from PIL import Image

from headstart.config import DatasetConfig, SplitConfig, compose
from headstart.core.errors import HeadstartError
from headstart.data.files.checks import check_images
from headstart.data.index import ImageIndex
from headstart.data.load import load_index
from headstart.data.sources.listing import ImageRow, Listing
from headstart.data.splits import build_index

ROOT = Path(__file__).parents[3]
FOOD = ["Bread", "Noodles-Pasta", "Egg"]


def load(source: str, tmp_path: Path, **values) -> ImageIndex:
    split = SplitConfig(**values.pop("split", {}))
    return load_index(DatasetConfig(name=source, source=source, split=split, **values), tmp_path / "cache")


def totals(index: ImageIndex) -> dict[str, int]:
    return {name: int(count.sum()) for name, count in index.counts().items()}


def write_flat(directory: Path, classes: int, images: int) -> Path:
    """Write images 0_0.png, 0_1.png, ... as Food-11 names them."""
    directory.mkdir(parents=True)
    for label in range(classes):
        for number in range(images):
            Image.new("L", (2, 2), 10 * label + number).save(directory / f"{label}_{number}.png")
    return directory


# Flat


def test_flat_files_are_read_in_place(tmp_path):
    root = tmp_path / "Food-11"
    for folder, images in {"training": 4, "validation": 2, "evaluation": 3}.items():
        write_flat(root / folder, 3, images)
    (root / "training" / "readme.txt").write_text("not an image")
    before = sorted(root.rglob("*"))
    index = load("flat", tmp_path, root=str(root), label_names=FOOD)
    assert totals(index) == {"train": 12, "validation": 6, "test": 9}
    assert index.class_names == ("Bread", "Egg", "Noodles-Pasta")  # natural order, not that of the numbers
    names = {path: index.class_names[label] for path, label in zip(index.paths, index.labels, strict=True)}
    assert (names["training/1_3.png"], names["evaluation/2_0.png"]) == ("Noodles-Pasta", "Egg")
    assert any("Files other than" in note for note in index.notes)
    assert sorted(root.rglob("*")) == before


def test_flat_files_without_split_folders_are_split(tmp_path):
    root = write_flat(tmp_path / "flat", 2, 10)
    index = load("flat", tmp_path, root=str(root), label_names=["cat", "dog"])
    assert totals(index) == {"train": 12, "validation": 4, "test": 4}


@pytest.mark.parametrize(
    ("name", "label_names", "message"),
    [
        ("bread.png", FOOD, r"begin with the number.*like 0_12\.jpg\. Received: 1 that do not, bread\.png"),
        ("12.png", FOOD, r"begin with the number.*12\.png"),
        ("3_0.png", FOOD, r"label_names to name the class of every image.*0 to 2\. Received: 1 .*3_0\.png"),
        ("0_7.png", None, r"dataset\.label_names to name the classes.*Received: nothing"),
    ],
)
def test_flat_files_that_cannot_be_labelled_are_named(tmp_path, name, label_names, message):
    root = write_flat(tmp_path / "flat", 3, 2)
    (root / "0_0.png").rename(root / name)
    with pytest.raises(HeadstartError, match=message):
        load("flat", tmp_path, root=str(root), label_names=label_names)


def test_flat_directory_without_images_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(HeadstartError, match=r"empty.*no images"):
        load("flat", tmp_path, root=str(tmp_path / "empty"), label_names=FOOD)


# Pictures


def test_unlabelled_images_need_no_classes(tmp_path):
    root = write_pictures(tmp_path / "pictures", {"holiday": 2, "holiday/deeper": 1, ".thumbnails": 1})
    index = load("unlabelled", tmp_path, root=str(root))
    assert index.paths == ("holiday/000.png", "holiday/001.png", "holiday/deeper/000.png")
    assert (index.class_names, index.labels.tolist()) == (("unlabelled",), [0, 0, 0])
    assert totals(index) == {"train": 0, "validation": 0, "test": 3}
    checked, report = check_images(index, "fail", tmp_path / "cache")
    assert len(checked.fingerprint) == 64
    assert [".thumbnails: 1 folder" in sentence for sentence in report.warnings()] == [True]


def test_missing_or_filtered_unlabelled_images_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(HeadstartError, match=r"Expected images .*empty\. Received: none"):
        load("unlabelled", tmp_path, root=str(tmp_path / "empty"))
    with pytest.raises(HeadstartError, match=r"no dataset\.classes for images.*Received: cat"):
        load("unlabelled", tmp_path, root=str(tmp_path / "empty"), classes=["cat"])


# Some of the classes


def test_only_the_classes_that_are_named_are_kept_and_split(tmp_path):
    root = write_pictures(tmp_path / "root", {"a10": 10, "a9": 20, "b": 30, "alone": 1})
    index = load("folder", tmp_path, root=str(root), classes=["a10", "a9"])  # `alone` is too small for three splits
    assert index.class_names == ("a9", "a10")
    assert {name: count.tolist() for name, count in index.counts().items()} == {
        "train": [12, 6],
        "validation": [4, 2],
        "test": [4, 2],
    }
    half = load("folder", tmp_path, root=str(root), classes=["a9", "a10"], fraction=0.5)
    assert half.counts()["train"].tolist() == [6, 3]
    assert set(half.split("train").paths) < set(index.split("train").paths)
    assert half.split("test").paths == index.split("test").paths


def test_classes_can_be_chosen_from_every_source(tmp_path):
    index = load("digits", tmp_path, classes=["7", "1"])
    assert index.class_names == ("1", "7")
    root = write_flat(tmp_path / "flat", 3, 6)
    assert load("flat", tmp_path, root=str(root), label_names=FOOD, classes=["Egg", "Bread"]).class_names == (
        "Bread",
        "Egg",
    )
    table = tmp_path / "table.csv"
    table.write_text("path,label\n" + "".join(f"flat/{n}_{i}.png,{FOOD[n]}\n" for n in range(3) for i in range(6)))
    assert len(load("csv", tmp_path, csv=str(table), classes=["Egg", "Bread"])) == 12


def test_class_that_does_not_exist_is_refused_with_the_closest(tmp_path):
    root = write_pictures(tmp_path / "root", {"BARN OWL": 5, "CROW": 5})
    with pytest.raises(HeadstartError, match=r"dataset\.classes.*BARN OWL, CROW.*BARN OWLS; did you mean BARN OWL\?"):
        load("folder", tmp_path, root=str(root), classes=["CROW", "BARN OWLS"])
    with pytest.raises(HeadstartError, match=r"two classes.*CROW"):
        load("folder", tmp_path, root=str(root), classes=["CROW"])


# Named data sets


NAMED = ["birds10", "birds225", "cars_vs_flowers", "dogs_vs_cats", "food11", "sign_language_digits"]


@pytest.mark.parametrize("name", NAMED)
def test_missing_data_is_explained(tmp_path, monkeypatch, name):
    monkeypatch.setenv("HEADSTART_DATA", str(tmp_path / "data"))
    config = compose([f"dataset={name}"]).dataset
    assert Path(config.root).parent == tmp_path / "data"
    with pytest.raises(
        HeadstartError, match=r"does not exist\); where to get them: .*dataset\.root=DIRECTORY"
    ) as caught:
        load_index(config, tmp_path)
    assert any(character.isdigit() for character in config.origin)  # how large it is
    assert "\n" not in str(caught.value)


def test_named_data_lies_beside_run_py_whatever_the_working_directory(tmp_path, fork_server):
    environment = {key: value for key, value in os.environ.items() if key != "HEADSTART_DATA"}
    command = [ROOT / "run.py", "--cfg", "job", "--resolve", "dataset=food11"]
    answer = fork_server.run(command, cwd=tmp_path, env=environment)
    assert answer.returncode == 0
    assert f"root: {ROOT / 'data' / 'food11'}\n" in answer.stdout


def test_missing_data_without_an_origin_is_only_missing(tmp_path):
    with pytest.raises(HeadstartError, match=r"nowhere \(does not exist\); there is no nowhere in "):
        load("folder", tmp_path, root=str(tmp_path / "nowhere"))


def test_ten_birds_are_ten_classes(tmp_path):
    config = compose(["dataset=birds10"]).dataset
    classes = dict.fromkeys([*config.classes, "ROBIN"], 1)
    for split in ("train", "valid", "test"):
        write_pictures(tmp_path / "birds" / split, classes, size=4)
    config.root = str(tmp_path / "birds")
    index = load_index(config, tmp_path)
    assert len(index.class_names) == 10
    assert "ROBIN" not in index.class_names
    assert totals(index) == {"train": 10, "validation": 10, "test": 10}


def test_food11_names_eleven_kinds():
    config = compose(["dataset=food11"]).dataset
    assert len(set(config.label_names)) == 11
    assert (config.label_names[0], config.label_names[10]) == ("Bread", "Vegetable-Fruit")


def test_sign_language_is_split_as_its_origin_says():
    """The fractions that the option names give the 1,712, 300 and 50 images of the experiment."""
    words = compose(["dataset=sign_language_digits"]).dataset.origin.split()
    validation, test = (float(words[words.index(f"--{name}") + 1]) for name in ("validation", "test"))
    counts = {9: 204, 0: 205, 1: 206, 2: 206, 3: 206, 4: 207, 5: 207, 6: 207, 7: 206, 8: 208}
    rows = [ImageRow(f"{digit}/{i}.jpg", str(digit)) for digit, count in counts.items() for i in range(count)]
    index = build_index(Listing(Path(), rows), SplitConfig(validation, test))
    assert totals(index) == {"train": 1712, "validation": 300, "test": 50}
    assert np.unique(index.counts()["test"]).tolist() == [5]
