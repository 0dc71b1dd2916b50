"""Labels that look the same are one class, in folders, tables and lists; those that differ in case are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.config import CrossValidationConfig, DatasetConfig
from headstart.core.errors import HeadstartError
from headstart.data.index import ImageIndex
from headstart.data.label_spelling import comparison_key, normalize_name, quoted
from headstart.data.load import load_index

COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


def write(root: Path, classes: dict[str, int]) -> Path:
    for name, count in classes.items():
        (root / name).mkdir(parents=True)
        for number in range(count):
            (root / name / f"{number}.png").touch()
    return root


def load_folder(root: Path, **values: object) -> ImageIndex:
    return load_index(DatasetConfig(**{"name": "f", "source": "folder", "root": str(root), **values}), root)  # type: ignore[arg-type]


def load_table(tmp_path: Path, labels: list[str], **values: object) -> ImageIndex:
    rows = [f"{number}.png,{label}" for number, label in enumerate(labels)]
    for number in range(len(labels)):
        (tmp_path / f"{number}.png").touch()
    (tmp_path / "images.csv").write_text("\n".join(["path,label", *rows]), encoding="utf-8")
    table = {"name": "csv", "source": "csv", "csv": str(tmp_path / "images.csv"), **values}
    return load_index(DatasetConfig(**table), tmp_path)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("first", "second", "name", "shown"),
    [
        ("cat", "cat ", "cat", "'cat' (6) and 'cat ' (4)"),
        (" cat", "cat\t", "cat", r"' cat' (6) and 'cat\t' (4)"),
        ("big cat", "big\u00a0cat", "big cat", r"'big cat' (6) and 'big\xa0cat' (4)"),
        ("big\u00a0cat", "big  cat", "big  cat", r"'big  cat' (4) and 'big\xa0cat' (6)"),
        ("c\u200bat", "cat", "cat", r"'cat' (4) and 'c\u200bat' (6)"),
        ("\ufeffcat", "cat", "cat", r"'cat' (4) and '\ufeffcat' (6)"),
        (COMPOSED, DECOMPOSED, COMPOSED, r"'cafe\u0301' (4) and 'caf\xe9' (6)"),
    ],
)
def test_labels_that_look_the_same_are_one_class(
    tmp_path: Path, first: str, second: str, name: str, shown: str
) -> None:
    index = load_table(tmp_path, [first] * 6 + [second] * 4 + ["dog"] * 5)
    assert index.class_names == (name, "dog")
    assert index.labels.tolist() == [0] * 10 + [1] * 5
    assert index.notes == (
        "Labels that differ only in blanks, invisible characters or the encoding of accents are one class (1): "
        + shown,
    )


def test_folders_that_look_the_same_are_one_class_and_keep_their_paths(tmp_path: Path) -> None:
    root = write(tmp_path / "root", {COMPOSED: 4, DECOMPOSED: 3, "tea": 5})
    if len(list(root.iterdir())) < 3:
        pytest.skip("this file system takes the two for one")
    index = load_folder(root)
    assert index.class_names == (COMPOSED, "tea")
    assert all((root / path).is_file() for path in index.paths)
    assert sum(path.startswith(DECOMPOSED) for path in index.paths) == 3
    assert r"'cafe\u0301' (3) and 'caf\xe9' (4)" in index.notes[0]


@pytest.mark.parametrize("label", ["cat ", DECOMPOSED, "\u200bcat"])
def test_invisible_characters_are_removed_from_labels(tmp_path: Path, label: str) -> None:
    index = load_table(tmp_path, [label] * 5 + ["dog"] * 5)
    assert index.class_names == (normalize_name(label), "dog")
    assert not index.notes


@pytest.mark.parametrize("name", ["cat", "Big Cat", COMPOSED, "a  b", "日本", "T-shirt/top", "🏴\U000e0067\U000e007f"])
def test_ordinary_names_stay_as_they_are(name: str) -> None:
    assert normalize_name(name) == name


def test_flags_made_of_tags_stay_different() -> None:
    england, scotland = ("🏴" + "".join(chr(0xE0000 + ord(letter)) for letter in code) for code in ("gbeng", "gbsct"))
    assert comparison_key(england) != comparison_key(scotland)


def test_quotes_show_what_differs() -> None:
    assert quoted(["日本", "cat "]) == ["'日本'", "'cat '"]
    assert quoted([COMPOSED, DECOMPOSED]) == [r"'caf\xe9'", r"'cafe\u0301'"]


def test_classes_that_differ_in_case_stay_separate_with_a_note(tmp_path: Path) -> None:
    index = load_table(tmp_path, ["Cat"] * 4 + ["cat"] * 5 + ["dog"] * 4)
    assert index.class_names == ("Cat", "cat", "dog")
    assert index.notes == (
        "Classes differ only in upper and lower case (1): 'Cat' (4) and 'cat' (5); they stay separate. If they are the "
        "same, rename the folder or correct the table",
    )
    assert not load_table(tmp_path, ["Cat"] * 4 + ["cat"] * 5 + ["dog"] * 4, classes=["Cat", "dog"]).notes


@pytest.mark.parametrize("name", [DECOMPOSED, COMPOSED, f" {COMPOSED} ", "caf\u200be\u0301"])
def test_names_of_classes_are_compared_in_the_same_form(tmp_path: Path, name: str) -> None:
    root = write(tmp_path / "root", {DECOMPOSED: 4, "tea": 4, "milk": 4})
    assert load_folder(root, classes=[name, "tea"]).class_names == (COMPOSED, "tea")
    with pytest.raises(HeadstartError, match=r"dataset\.classes to be one of café, milk, tea\. Received: cafe"):
        load_folder(root, classes=["cafe", "tea"])


# Classes with few images


def test_small_classes_are_left_out_with_a_note(tmp_path: Path) -> None:
    root = write(tmp_path / "root", {"a": 9, "b": 5, "c": 4, "d": 1})
    index = load_folder(root, min_images=5)
    assert index.class_names == ("a", "b")
    assert index.notes == ("Classes with fewer images than dataset.min_images=5 were left out (2): c: 4, d: 1",)
    assert not load_folder(root, min_images=4, classes=["a", "b", "c"]).notes


def test_images_are_counted_after_merging_labels(tmp_path: Path) -> None:
    assert load_table(tmp_path, ["a"] * 2 + ["a "] * 2 + ["b"] * 4, min_images=4).class_names == ("a", "b")


def test_images_of_a_given_test_split_do_not_count(tmp_path: Path) -> None:
    write(tmp_path / "root" / "train", {"a": 6, "b": 6, "c": 1})
    root = write(tmp_path / "root" / "test", {"a": 3, "b": 3, "c": 8, "d": 2}).parent
    with pytest.raises(HeadstartError, match=r"at least 2 images of every class .*train and validation\. .*c: 1\); "):
        load_folder(root, classes=["a", "b", "c"])
    index = load_folder(root, min_images=2)
    assert index.class_names == ("a", "b")
    assert "(2): c: 1, d: 0" in index.notes[0]


def test_at_least_two_classes_must_remain(tmp_path: Path) -> None:
    root = write(tmp_path / "root", {"a": 9, "b": 5, "c": 4})
    with pytest.raises(HeadstartError, match=r"min_images to leave at least two .* a: 9, b: 5, c: 4\. Received: 6"):
        load_folder(root, min_images=6)


def test_too_few_images_are_reported_with_all_ways_out(tmp_path: Path) -> None:
    root = write(tmp_path / "root", {"a": 9, "b": 5, "rare": 1, "odd": 2})
    with pytest.raises(
        HeadstartError,
        match=r"Expected at least 3 images of every class in .*, one for each of train, validation and test\. "
        r"Received: fewer of 2 of 4 classes \(odd: 2, rare: 1\); add images, leave them out with "
        r"dataset\.min_images=3, name the classes to keep with dataset\.classes=\[A,B\] or merge them",
    ):
        load_folder(root)
    with pytest.raises(HeadstartError, match=r"2 of 2 classes \(odd: 2, rare: 1\); add images or merge them"):
        load_folder(root, classes=["rare", "odd"])


@pytest.mark.parametrize(("folds", "least"), [(2, 4), (3, 3), (5, 5)])
def test_folds_need_images_for_test_validation_and_training(tmp_path: Path, folds: int, least: int) -> None:
    root = write(tmp_path / "root", {"a": 9, "b": least, "c": least - 1})
    config = DatasetConfig(name="f", source="folder", root=str(root))
    with pytest.raises(HeadstartError, match=rf"at least {least} images .*cv\.folds={folds}.*c: {least - 1}\); "):
        load_index(config, tmp_path, CrossValidationConfig(folds, 0))
    config.min_images = least
    for fold in range(folds):
        index = load_index(config, tmp_path, CrossValidationConfig(folds, fold))
        assert all(count.all() for count in index.counts().values())


def test_groups_are_counted_if_present(tmp_path: Path) -> None:
    groups = {"a": 6, "b": 4, "c": 2}
    rows = [f"{name}{n}{k}.png,{name},{name}{n}" for name, count in groups.items() for n in range(count) for k in "xy"]
    for row in rows:
        (tmp_path / row.split(",")[0]).touch()
    (tmp_path / "images.csv").write_text("\n".join(["path,label,patient", *rows]))
    config = DatasetConfig(name="csv", source="csv", csv=str(tmp_path / "images.csv"))
    with pytest.raises(HeadstartError, match=r"at least 3 groups of every class .*c: 2\); add groups, name"):
        load_index(config, tmp_path)
    config.classes = ["a", "b"]
    assert all(count.all() for count in load_index(config, tmp_path).counts().values())
