"""The folders that data sets come in: which classes, splits and counts are right, and what is refused.

Each layout is written as folders with the number of their images, or a name of a file with 0; no image is read.
"""

from __future__ import annotations

import io
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from headstart.config import DatasetConfig, compose, from_yaml, to_yaml
from headstart.core.errors import HeadstartError
from headstart.data.index import SPLITS
from headstart.data.load import load_index

Counts = dict[str, tuple[int, int, int]]  # of each class: train, validation, test


@dataclass(frozen=True)
class Case:
    """A layout, and what becomes of it: counts, or a refusal."""

    name: str
    files: dict[str, int]
    counts: Counts = field(default_factory=dict)
    refused: str = ""
    notes: tuple[str, ...] = ()  # a part of each note, in order
    splits: Any = "auto"


def each(folders: str | list[str], classes: str, images: int) -> dict[str, int]:
    """Return as many images in each class of each folder; a name with a blank in it comes in a list."""
    folders = folders.split() if isinstance(folders, str) else folders
    return {f"{folder}/{name}": images for folder in folders for name in classes.split()}


def classes(names: str, images: int = 5) -> dict[str, int]:
    return dict.fromkeys(names.split(), images)


def counted(names: str, train: int, validation: int, test: int) -> Counts:
    return dict.fromkeys(names.split(), (train, validation, test))


def three(train: str, validation: str, test: str) -> dict[str, int]:
    return each([train], PETS, 4) | each([validation], PETS, 2) | each([test], PETS, 3)


def two(first: str, second: str) -> dict[str, int]:
    return each(first, PETS, 5) | each(second, PETS, 2)


PETS = "cat dog"
SPLIT = counted(PETS, 4, 2, 3)
WHOLE = counted(PETS, 3, 1, 1)  # five images, split here
TRAINED = counted(PETS, 4, 1, 0)  # five images in train alone

NAMES = [
    ("train", "val", "test"),
    ("Training", "Validation", "Testing"),
    ("TRAIN", "VALID", "TEST"),
    ("training_set", "validation_set", "test_set"),
    ("trainset", "valset", "testset"),
    ("train_data", "val_data", "test_data"),
    ("TrainingData", "ValidationData", "TestData"),
    ("train-images", "dev-images", "holdout-images"),
    ("learn", "dev", "hold-out"),
    ("training", "validation", "evaluation"),
    ("train", "eval", "test"),
    ("train", "val", "eval"),
    ("train", "dev", "eval"),
    ("seg_train", "seg_val", "seg_test"),
    ("pets-train", "pets-valid", "pets-test"),
    ("petsTrain", "petsVal", "petsTest"),
    ("train_pets_v2", "val_pets_v2", "test_pets_v2"),
    ("01_train", "02_val", "03_test"),
    ("train2017", "val2017", "test2017"),
    ("Train Set", "Validation Set", "Test Set"),
    ("train", "val (1)", "test (1)"),
    ("dataset_train", "dataset_val", "dataset_test"),
    ("1. Training", "2. Validation", "3. Testing"),
]

CASES = [
    *(Case("usual names: " + ", ".join(names), three(*names), SPLIT) for names in NAMES),
    # Split folders, some of them missing or beside other things
    Case("train and eval", two("train", "eval"), counted(PETS, 5, 2, 0)),
    Case("Training and Testing", two("Training", "Testing"), counted(PETS, 4, 1, 2)),
    Case("train and evaluation", two("train", "evaluation"), counted(PETS, 4, 1, 2)),
    Case("train alone", each("train", PETS, 5), TRAINED),
    Case(
        "test alone", each("test", PETS, 5), refused=r"training images.*Received: test for test; .*train: FOLDER, test:"
    ),
    Case("val and test", two("val", "test"), refused=r"training images.*val for validation"),
    Case("an empty val", {**two("train", "test"), "val": 0}, counted(PETS, 4, 1, 2), notes=(r"without an image.*val",)),
    Case(
        "annotations beside split folders",
        {**two("train", "test"), "annotations/a.xml": 0},
        counted(PETS, 4, 1, 2),
        notes=("without an image.*annotations",),
    ),
    Case(
        "val and valid", three("train", "val", "valid"), refused=r"both val and valid for validation.*dataset\.splits"
    ),
    Case("test and Testing", three("train", "test", "Testing"), refused=r"both test and Testing for test"),
    Case("train and trainval", three("train", "trainval", "test"), refused=r"both train and trainval for train"),
    Case(
        "val, dev and eval",
        {**three("train", "val", "eval"), **each("dev", PETS, 1)},
        refused=r"both dev and val for validation",
    ),
    Case(
        "two of the same split, one chosen",
        three("train", "val", "valid"),
        counted(PETS, 4, 2, 0),
        splits={"train": "train", "validation": "val"},
        notes=(r"does not name were left out \(valid: 6 images\)",),
    ),
    Case(
        "two of the same split, both taken",
        three("train_1", "test", "train_2"),
        counted(PETS, 6, 1, 2),
        splits={"train": ["train_1", "train_2"], "test": "test"},
    ),
    Case(
        "two numbered train folders", three("train_1", "test", "train_2"), refused=r"both train_1 and train_2 for train"
    ),
    Case(
        "split folders beside another with the same classes",
        three("train", "extra", "test"),
        refused=r"train and test beside extra; .*\{train: train, test: test\}.* leaves .*dataset\.splits=none",
    ),
    Case(
        "split folders beside masks",
        {**two("train", "test"), **each("masks", "left right", 2)},
        refused=r"beside masks",
    ),
    # One folder with the name of a split
    Case(
        "train beside an unknown name",
        two("train", "final"),
        refused=r"train, the usual name of a split, beside final; .*dataset\.splits=\{train: train, test: final\}",
    ),
    Case("test beside an unknown name", two("first", "test"), refused=r"\{train: first, test: test\}"),
    Case(
        "train with classes beside a folder of pictures", {**each("train", PETS, 5), "pred": 3}, refused=r"beside pred"
    ),
    Case(
        "pictures in test beside a folder of classes", {**each("images", PETS, 5), "test": 3}, refused=r"beside images"
    ),
    Case("train of one class beside another name", {"train/cat": 5, "final/cat": 5}, refused=r"beside final"),
    Case(
        "trains and planes", classes("train plane"), counted("train plane", 3, 1, 1), notes=("train.*read as a class",)
    ),
    Case(
        "trains, planes, buses and cars",
        classes("train plane bus car"),
        counted("bus car plane train", 3, 1, 1),
        notes=("train.*as a class beside bus, car, plane",),
    ),
    Case(
        "kinds of trains and of planes",
        {**each("train", "steam electric", 5), **each("plane", "jet glider", 5)},
        counted("plane train", 6, 2, 2),
        notes=("train.*as a class",),
    ),
    Case(
        "valid and invalid", classes("valid invalid"), counted("invalid valid", 3, 1, 1), notes=("valid.*as a class",)
    ),
    Case(
        "train station and bus test",
        {"train station": 5, "bus test": 5},
        {"bus test": (3, 1, 1), "train station": (3, 1, 1)},
    ),
    Case(
        "test tube and train station",
        {"test tube": 5, "train station": 5},
        {"test tube": (3, 1, 1), "train station": (3, 1, 1)},
    ),
    Case(
        "train and test of pictures alone",
        classes("train test"),
        refused=r"only images; dataset\.splits=none if they are",
    ),
    Case("train and test that are classes", classes("train test"), counted("test train", 3, 1, 1), splits="none"),
    Case("train, test and plane of pictures alone", classes("train test plane"), refused=r"only images"),
    # Folders with the same folders
    Case(
        "unknown names of splits", two("foo", "bar"), refused=r"bar and foo, which hold the same folders \(cat, dog\)"
    ),
    Case(
        "unknown names that are told",
        two("learn_more", "final"),
        counted(PETS, 4, 1, 2),
        splits={"train": "learn_more", "test": "final"},
    ),
    Case("folds", each("fold1 fold2 fold3 fold4 fold5", PETS, 2), refused=r"fold1 and fold2, which hold the same"),
    Case(
        "folds that are told",
        each("fold1 fold2 fold3", PETS, 5),
        counted(PETS, 8, 2, 5),
        splits={"train": ["fold1", "fold2"], "test": "fold3"},
    ),
    Case("cameras", each("camera_a camera_b", "car bus van", 3), refused=r"camera_a and camera_b.*test: camera_b"),
    Case(
        "cameras with most classes in common",
        {**each("left", "a b c", 2), **each("right", "b c d", 2)},
        refused="left and right",
    ),
    Case(
        "the same places in each class",
        each(PETS, "indoor outdoor", 5),
        refused=r"dataset\.splits=none if cat and dog are classes",
    ),
    Case("the same places in classes", each(PETS, "indoor outdoor", 5), counted(PETS, 6, 2, 2), splits="none"),
    Case(
        "kinds within classes",
        {**each("dog", "beagle husky other", 5), **each("cat", "siamese other", 5)},
        {"cat": (6, 2, 2), "dog": (9, 3, 3)},
        notes=(r"within a class.*cat \(other, siamese\); dog",),
    ),
    Case("a folder images in each class", each(PETS, "images", 5), WHOLE),
    Case("sessions of persons", each("anna bob", "1 2 3", 2), refused="anna and bob"),
    Case(
        "domains",
        each("amazon/images dslr/images", "bike mug pen", 3),
        refused=r"\{train: amazon/images, test: dslr/im",
    ),
    Case("PlantVillage", each("color grayscale", "Apple_scab Apple_rust", 3), refused=r"dataset\.root=\S+/color, or"),
    Case(
        "images and masks of each class", each("COVID Normal", "images masks", 3), refused=r"folders \(images, masks\)"
    ),
    Case(
        "parts of one set",
        classes("HAM10000_images_part_1 HAM10000_images_part_2"),
        refused=r"unlikely names of classes",
    ),
    Case("parts in folders", {"images_001/images": 3, "images_002/images": 3}, refused=r"unlikely names of classes"),
    Case("images and masks", classes("images masks"), refused=r"images, masks, which are unlikely names of classes"),
    Case("with and without a mask", classes("with_mask without_mask"), counted("with_mask without_mask", 3, 1, 1)),
    Case(
        "real and fake faces", classes("training_real training_fake"), counted("training_fake training_real", 3, 1, 1)
    ),
    Case(
        "magnifications",
        {**each("benign/SOB", "a b", 5), **each("malignant/SOB", "c d", 5)},
        counted("benign malignant", 6, 2, 2),
        notes=("within",),
    ),
    Case(
        "accents and case do not matter",
        {"a/Käfer": 2, "a/hund": 2, "b/ka\u0308fer": 2, "b/Hund": 2},
        refused="a and b",
    ),
    # Split folders within the classes
    Case(
        "splits within classes",
        each(PETS, "train val test", 2),
        counted(PETS, 2, 2, 2),
        notes=("its own split folders",),
    ),
    Case("splits within some classes", {**each("cat", "train test", 5), "dog": 5}, refused=r"one level deeper, in cat"),
    Case(
        "two data sets with splits",
        {**each("a/train a/test", PETS, 2), **each("b/train b/test", PETS, 2)},
        refused=r"one level deeper, in a \(test, train\); dataset\.root=\S+/a reads",
    ),
    # Wrappers
    Case(
        "a wrapper of classes",
        {"data/cat": 5, "data/dog": 5},
        refused=r"a single folder, data; dataset\.root=\S+/data reads",
    ),
    Case("wrappers of classes", each("a/b", PETS, 5), refused=r"dataset\.root=\S+/a/b reads the folders in a/b"),
    Case(
        "a wrapper of splits",
        each("data/train data/test", PETS, 5),
        refused=r"split folders.*in data .*dataset\.root=\S+/data reads",
    ),
    Case(
        "a wrapper of splits beside figures",
        {**each("data/train data/test", PETS, 5), "figures": 3},
        refused=r"in data ",
    ),
    Case(
        "wrappers within splits",
        each("train/images test/images", PETS, 5),
        refused=r"a single folder, images.*\{train: train/images, test: test/images\}",
    ),
    Case(
        "wrappers within splits that are told",
        each("train/images test/images", PETS, 5),
        counted(PETS, 4, 1, 5),
        splits={"train": "train/images", "test": "test/images"},
    ),
    Case(
        "splits within train",
        {**each("train/train train/val", PETS, 2), **each("test", PETS, 2)},
        refused=r"\{train: train/train, validation: train/val, test: test\}",
    ),
    Case("classes called train and test", each("train test", "train test", 5), counted("test train", 4, 1, 5)),
    # Pictures without a label
    Case(
        "pictures beside classes",
        {**classes(PETS), "a.png": 0, "b.jpg": 0},
        WHOLE,
        notes=(
            r"have no label and were left out \(2 in \S+: a\.png, b\.jpg\); "
            r".*headstart predict latest \S+/a\.png \.\.\.",
        ),
    ),
    Case(
        "pictures beside classes in splits",
        {**two("train", "test"), "test/x.png": 0, "y.png": 0},
        counted(PETS, 4, 1, 2),
        notes=(
            r"beside the folders of splits.*1 in \S+: y\.png",
            r"beside the folders of classes.*1 in \S+/test: x\.png",
        ),
    ),
    Case(
        "pictures alone in test",
        {**each("train", PETS, 5), "test": 7},
        TRAINED,
        notes=(r"Pictures in test .*left out \(7\); .*headstart predict latest \S+/test",),
    ),
    Case("pictures alone in train", {"train": 5, **each("test", PETS, 5)}, refused=r"training images"),
    Case("pictures alone in the root", {"": 5}, refused=r"a folder for each class.*5 images without one"),
    Case(
        "unknown in test",
        {**each("train", PETS, 5), "test/unknown": 3},
        refused=r"the folders in \S+/test .*Received: unknown; .*\{train: train\}.* leaves it out",
    ),
    # As they are published
    Case(
        "ImageNet",
        {**each("train", "n01440764 n01443537", 4), **each("val", "n01440764 n01443537", 2)},
        counted("n01440764 n01443537", 4, 2, 0),
    ),
    Case(
        "Tiny ImageNet",
        {**each("train/n01443537 train/n01629819", "images", 4), "val/images": 3, "test/images": 3},
        refused=r"\(validation\).*Received: images; .*\{train: train\}.* leaves",
    ),
    Case("Food-11", three("training", "validation", "evaluation"), SPLIT),
    Case(
        "Intel scenes",
        {**each("seg_train/seg_train seg_test/seg_test", "forest sea", 5), "seg_pred/seg_pred": 4},
        counted("forest sea", 4, 1, 5),
        notes=("one level deeper, in seg_train/seg_train and seg_test/seg_test", r"seg_pred/seg_pred .*\(4\)"),
    ),
    Case(
        "Intel scenes that are told",
        each("seg_train/seg_train seg_test/seg_test", "forest sea", 5),
        counted("forest sea", 4, 1, 5),
        splits={"train": "seg_train/seg_train", "test": "seg_test/seg_test"},
    ),
    Case(
        "brain tumours",
        {**each("Training", "glioma notumor", 5), **each("Testing", "glioma notumor", 2)},
        counted("glioma notumor", 4, 1, 2),
    ),
    Case(
        "chest X-rays",
        {**three("train", "val", "test"), "__MACOSX/train/cat": 4, "__MACOSX/test/dog": 4, "train/.DS_Store": 0},
        SPLIT,
        notes=(r"\(2; __MACOSX: 1 folder, \.DS_Store: 1 file\)",),
    ),
    Case(
        "chest X-rays in their archive",
        three("chest_xray/train", "chest_xray/val", "chest_xray/test"),
        refused=r"dataset\.root=\S+/chest_xray reads",
    ),
    Case("dogs against cats of the competition", {"train": 6, "test1": 4}, refused=r"only images"),
    Case(
        "dogs against cats with test1",
        {**each("train", PETS, 5), "test1": 4},
        TRAINED,
        notes=(r"Pictures in test1 .*\(4\)",),
    ),
    Case(
        "cats_and_dogs_filtered",
        {**each("train", "cats dogs", 4), **each("validation", "cats dogs", 2), "vectorize.py": 0},
        counted("cats dogs", 4, 2, 0),
    ),
    Case(
        "hymenoptera", {**each("train", "ants bees", 4), **each("val", "ants bees", 2)}, counted("ants bees", 4, 2, 0)
    ),
    Case(
        "flowers",
        {**classes("daisy dandelion rose sunflower tulip"), "LICENSE.txt": 0},
        counted("daisy dandelion rose sunflower tulip", 3, 1, 1),
    ),
    Case(
        "Caltech 101",
        classes("accordion airplanes BACKGROUND_Google Faces"),
        counted("accordion airplanes BACKGROUND_Google Faces", 3, 1, 1),
    ),
    Case("CIFAR as folders", two("train", "test"), counted(PETS, 4, 1, 2)),
    Case("birds of 225 species", three("train", "valid", "test"), SPLIT),
    Case("numbers as classes", classes(" ".join(map(str, range(11)))), counted(" ".join(map(str, range(11))), 3, 1, 1)),
    # Litter
    Case(
        "disk stations, Windows and Linux",
        {
            **classes(PETS),
            "@eaDir/cat": 3,
            "#recycle": 2,
            "$RECYCLE.BIN/S-1-5": 2,
            "System Volume Information": 1,
            "lost+found": 1,
            ".thumbnails": 4,
            "cat/@eaDir/0.png": 2,
            "cat/Thumbs.db": 0,
            "dog/desktop.ini": 0,
        },
        WHOLE,
        notes=(r"\(9; @eaDir: 2 folders, .* and 3 more\)",),
    ),
    Case(
        "notebooks",
        {**classes(PETS), ".ipynb_checkpoints": 2, "cat/.ipynb_checkpoints": 2},
        WHOLE,
        notes=(r"\.ipynb_checkpoints: 2 folders",),
    ),
    Case(
        "resource forks",
        {**classes(PETS), "cat/._0.png": 0, "dog/._0.png": 0, "._x.png": 0},
        WHOLE,
        notes=(r"\(3; \._\*: 3 files\)",),
    ),
    Case(
        "ignored in splits",
        {**two("train", "test"), "train/@eaDir/cat": 3, "@eaDir/test": 3},
        counted(PETS, 4, 1, 2),
        notes=("@eaDir: 2 folders",),
    ),
    Case(
        "ignored beside a wrapper",
        {**each("data", PETS, 5), "__MACOSX/data": 3},
        refused=r"dataset\.root=\S+/data reads",
    ),
    # Too little
    Case("one class", classes("cat"), refused=r"at least two classes.*Received: cat"),
    Case("an empty root", {}, refused="no images"),
    Case("empty classes", {"cat": 0, "dog": 0}, refused="no images"),
    Case("ignored alone", {"@eaDir/cat": 3, "__MACOSX": 2}, refused="no images"),
    Case("an empty class", {**classes(PETS), "fish": 0}, WHOLE, notes=(r"without an image were left out \(1\): fish",)),
    # dataset.splits
    Case(
        "splits that are no folders",
        classes(PETS),
        refused=r"to be auto, none or the folders.*Received: both",
        splits="both",
    ),
    Case("splits of nothing", classes(PETS), refused=r"to be auto, none or the folders", splits={}),
    Case(
        "an unknown split",
        two("a", "b"),
        refused=r"a key of dataset\.splits to be one of train, validation, test\. Received: learn",
        splits={"learn": "a"},
    ),
    Case(
        "no folder of this name",
        two("learn", "final"),
        refused=r"splits\.test to be one of the folders in \S+ \(final, learn\)\. Received: finale; did you mean final",
        splits={"train": "learn", "test": "finale"},
    ),
    Case(
        "no deeper folder of this name",
        two("learn", "final"),
        refused=r"\(final/cats\) to be .* in \S+/final \(cat, dog\)\. Received: cats",
        splits={"train": "learn", "test": "final/cats"},
    ),
    Case(
        "no train", two("learn", "final"), refused=r"name the folder of train", splits={"test": "final", "train": None}
    ),
    Case(
        "a number", two("2017", "2018"), refused=r'train: "2017".*Received: 2017', splits={"train": 2017, "test": 2018}
    ),
    Case("a number in quotes", two("2017", "2018"), counted(PETS, 4, 1, 2), splits={"train": "2017", "test": "2018"}),
    Case(
        "the same folder twice",
        two("learn", "final"),
        refused=r"within each other\. Received: learn and learn",
        splits={"train": "learn", "test": "learn"},
    ),
    Case(
        "a folder within another",
        two("learn", "final"),
        refused=r"learn and learn/cat",
        splits={"train": "learn", "test": "learn/cat"},
    ),
    Case(
        "a folder outside the root",
        two("learn", "final"),
        refused=r"within .*Received: \.\./secret",
        splits={"train": "learn", "test": "../secret"},
    ),
    Case(
        "the root as a split",
        two("learn", "final"),
        refused=r"within .*Received: \.",
        splits={"train": ".", "test": "final"},
    ),
    Case(
        "a split folder of pictures",
        {**each("learn", PETS, 5), "final": 3},
        refused=r"a folder for each class in \S+/final.*3 images without",
        splits={"train": "learn", "test": "final"},
    ),
    Case(
        "a split folder of nothing",
        {**each("learn", PETS, 5), "final": 0},
        refused=r"a folder for each class in \S+/final.*no images",
        splits={"train": "learn", "test": "final"},
    ),
    Case(
        "splits under each other's names",
        two("train", "test"),
        counted(PETS, 1, 1, 5),
        splits={"train": "test", "test": "train"},
    ),
]


@pytest.fixture(scope="module")
def picture() -> bytes:
    file = io.BytesIO()
    Image.new("L", (1, 1)).save(file, "PNG")
    return file.getvalue()


def write(root: Path, files: dict[str, int], picture: bytes) -> Path:
    """Write a layout: images in folders, an empty folder, or a file where a name has a suffix and no number."""
    root.mkdir(parents=True)
    for name, images in files.items():
        path = root / name
        if images == 0 and ("." in path.name):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture)
            continue
        path.mkdir(parents=True, exist_ok=True)
        for number in range(images):
            (path / f"{number}.png").write_bytes(picture)
    return root


def check(case: Case, root: Path, **values: Any) -> None:
    """Compare what is read, or the refusal, with what is right."""
    config = DatasetConfig(name="it", root=str(root), splits=case.splits, **values)
    if case.refused:
        with pytest.raises(HeadstartError, match=case.refused):
            load_index(config, root.parent / "cache")
        return
    index = load_index(config, root.parent / "cache")
    counts = index.counts()
    found = {name: tuple(int(counts[split][label]) for split in SPLITS) for label, name in enumerate(index.class_names)}
    assert found == case.counts
    assert len(index.notes) == len(case.notes), index.notes
    for part, note in zip(case.notes, index.notes, strict=True):
        assert re.search(part, note)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_layout(case: Case, tmp_path: Path, picture: bytes) -> None:
    check(case, write(tmp_path / "root", case.files, picture), source="folder")


FLAT = [
    Case("Food-11", {"training": 4, "validation": 2, "evaluation": 3}, counted("one zero", 4, 2, 3)),
    Case("no split folders", {"": 5}, counted("one zero", 3, 1, 1)),
    Case("folders of any name", {"monday": 2, "tuesday": 3}, counted("one zero", 3, 1, 1)),
    Case("Train and Test 2", {"Train": 5, "Test 2": 3}, counted("one zero", 4, 1, 3)),
    Case("wrappers of the same name", {"train/train": 5, "test/test": 3}, counted("one zero", 4, 1, 3)),
    Case(
        "train beside an unknown name", {"train": 5, "more": 5}, refused=r"train beside more; .*\{train: train\}.*=none"
    ),
    Case(
        "train beside an unknown name, taken too", {"train": 2, "more": 3}, counted("one zero", 3, 1, 1), splits="none"
    ),
    Case("val and valid", {"train": 5, "val": 2, "valid": 2}, refused="both val and valid for validation"),
    Case("test alone", {"test": 5}, refused="training images"),
    Case(
        "splits that are told",
        {"learn": 5, "final": 2, "more": 1},
        counted("one zero", 4, 1, 2),
        notes=(r"left out \(more: 2 images\)",),
        splits={"train": "learn", "test": "final"},
    ),
    Case(
        "no folder of this name",
        {"learn": 5},
        refused="to be one of the folders.*Received: train",
        splits={"train": "train"},
    ),
    Case(
        "pictures beside split folders, ignored within",
        {"train": 5, "test": 2, "0_9.png": 0, "1_9.png": 0, "train/@eaDir": 1, "__MACOSX": 1},
        counted("one zero", 4, 1, 2),
        notes=(r"beside the folders of splits.*\(2 in ", r"\(2; .*@eaDir: 1 folder"),
    ),
    Case("ignored alone", {"__MACOSX": 3}, refused="no images"),
]  # the classes `zero` and `one`, with as many images each


@pytest.mark.parametrize("case", FLAT, ids=lambda case: case.name)
def test_layout_of_numbered_files(case: Case, tmp_path: Path, picture: bytes) -> None:
    root = write(tmp_path / "root", case.files, picture)
    for file in root.rglob("*.png"):
        if "_" not in file.name:
            file.with_name(f"1_{file.name}").write_bytes(picture)
            file.rename(file.with_name(f"0_{file.name}"))
    check(case, root, source="flat", label_names=["zero", "one"])


def test_ignored_files_are_not_found(tmp_path: Path, picture: bytes) -> None:
    ignored = {"@eaDir/a": 2, "$RECYCLE.BIN": 1, "._0.png": 0, "deep/lost+found": 1, ".thumbnails": 3}
    root = write(tmp_path / "root", {"": 2, "deep/er": 1, **ignored}, picture)
    index = load_index(DatasetConfig(name="unlabelled", source="unlabelled", root=str(root)), tmp_path / "cache")
    assert index.paths == ("0.png", "1.png", "deep/er/0.png")
    [note] = index.notes
    assert re.search(r"left out \(5; .*@eaDir: 1 folder.*\._\*: 1 file\)", note)


def test_links_among_ignored_files_do_not_matter(tmp_path: Path, picture: bytes) -> None:
    root = write(tmp_path / "root", {**classes(PETS), "@eaDir": 1}, picture)
    (root / "@eaDir" / "out").symlink_to(tmp_path)
    assert len(load_index(DatasetConfig(name="folder", source="folder", root=str(root)), tmp_path / "cache")) == 10


@pytest.mark.parametrize("source", ["csv", "digits", "unlabelled"])
def test_splits_are_refused_for_sources_without_folders(source: str, tmp_path: Path) -> None:
    config = DatasetConfig(name=source, source=source, root=str(tmp_path), splits="none")
    with pytest.raises(HeadstartError, match=f"source folder or flat. Received: none with {source}"):
        load_index(config, tmp_path / "cache")


@pytest.mark.parametrize(
    "names", [("learn more", "final (1)"), ("2017", "it's"), ('a "b"', "back\\slash"), ("null", "a,b")]
)
def test_the_suggested_override_works(names: tuple[str, str], tmp_path: Path, picture: bytes) -> None:
    root = write(tmp_path / "my data", each(list(names), PETS, 5), picture)
    with pytest.raises(HeadstartError) as caught:
        load_index(DatasetConfig(name="folder", source="folder", root=str(root)), tmp_path / "cache")
    text = str(caught.value)
    words = shlex.split(text[text.index("for example ") + len("for example ") : text.index(", or one data set")])
    config = compose(["dataset=folder", f'dataset.root="{root}"', *words])
    assert from_yaml(to_yaml(config)) == config
    counts = load_index(config.dataset, tmp_path / "cache").counts()
    assert {split: counts[split].tolist() for split in SPLITS} == {
        "train": [4, 4],
        "validation": [1, 1],
        "test": [5, 5],
    }
    roots = shlex.split(text[text.index("several, ") + len("several, ") : text.index(", or dataset.splits=none")])
    assert len(load_index(compose(["dataset=folder", *roots]).dataset, tmp_path / "cache")) == 10


@pytest.mark.parametrize("splits", ["{train: learn, test: [final]}", "none"])
def test_splits_can_be_set_in_a_file(splits: str) -> None:
    config = from_yaml(to_yaml(compose(["dataset=folder"])).replace("splits: auto", f"splits: {splits}"))
    assert config.dataset.splits == ("none" if splits == "none" else {"train": "learn", "test": ["final"]})
