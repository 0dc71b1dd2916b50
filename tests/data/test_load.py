"""Loading datasets: the images of each source, their splits, and errors."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.config import DatasetConfig, SplitConfig, compose
from headstart.core.errors import HeadstartError
from headstart.data.files.checks import check_images
from headstart.data.index import ImageIndex
from headstart.data.load import load_index
from headstart.data.sources.digits import list_digits


def write_image(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (2, 2), len(str(file)) % 256).save(file, format="PNG")


def write_classes(directory: Path, **images: int) -> Path:
    for name, number in images.items():
        for position in range(number):
            write_image(directory / name / f"{position}.png")
    return directory


def load(source: str, tmp_path: Path, **values) -> ImageIndex:
    split = SplitConfig(**values.pop("split", {}))
    return load_index(DatasetConfig(name=source, source=source, split=split, **values), tmp_path / "cache")


def load_folder(root: Path, **values) -> ImageIndex:
    return load("folder", root.parent, root=str(root), **values)


def totals(index: ImageIndex) -> dict[str, int]:
    return {name: int(count.sum()) for name, count in index.counts().items()}


# Folders


def test_folder_of_classes_is_split_by_class(tmp_path):
    index = load_folder(write_classes(tmp_path / "root", a10=50, a9=10), split={"validation": 0.2, "test": 0.1})
    assert index.class_names == ("a9", "a10")
    assert {name: count.tolist() for name, count in index.counts().items()} == {
        "train": [7, 35],
        "validation": [2, 10],
        "test": [1, 5],
    }
    assert index.labels.dtype == np.int32
    assert index.file(0).is_file()


def test_split_is_seeded_and_stable_when_images_are_added(tmp_path):
    root = write_classes(tmp_path / "root", a=50, b=50)
    first, again, other = (load_folder(root, split={"seed": seed}) for seed in (0, 0, 1))
    assert first.paths == again.paths
    assert first.splits.tolist() == again.splits.tolist()
    assert first.splits.tolist() != other.splits.tolist()

    write_image(root / "a" / "new.png")
    grown = load_folder(root)
    split_of = dict(zip(grown.paths, grown.splits, strict=True))
    moved = [path for path, split in zip(first.paths, first.splits, strict=True) if split_of[path] != split]
    assert len(moved) <= 2


def test_no_test_split_when_its_fraction_is_zero(tmp_path):
    index = load_folder(write_classes(tmp_path / "root", a=10, b=10), split={"test": 0.0})
    assert totals(index) == {"train": 16, "validation": 4, "test": 0}


def test_small_class_has_an_image_in_each_split(tmp_path):
    index = load_folder(write_classes(tmp_path / "root", a=40, rare=3))
    assert all(count.all() for count in index.counts().values())


@pytest.mark.parametrize(("number", "test", "needed"), [(1, 0.2, 3), (2, 0.2, 3), (1, 0.0, 2)])
def test_class_too_small_to_split_is_named(tmp_path, number, test, needed):
    root = write_classes(tmp_path / "root", a=40, b=40, rare=number)
    said = (
        f"at least {needed} images of every class .*1 of 3 classes \\(rare: {number}\\); .*dataset.min_images={needed}"
    )
    with pytest.raises(HeadstartError, match=said):
        load_folder(root, split={"test": test})
    assert load_folder(root, split={"test": test}, min_images=needed).class_names == ("a", "b")


@pytest.mark.parametrize(
    "names", [("train", "valid", "test"), ("Training", "VAL", "Evaluation"), ("training_set", "validation", "test_set")]
)
def test_split_folders_under_their_usual_names(tmp_path, names):
    root = tmp_path / "root"
    for name, number in zip(names, (4, 2, 3), strict=True):
        write_classes(root / name, cat=number, dog=number)
    index = load_folder(root)
    assert totals(index) == {"train": 8, "validation": 4, "test": 6}
    assert index.class_names == ("cat", "dog")
    assert all(path.split("/")[0] == names[2] for path in index.split("test").paths)


def test_missing_validation_split_is_taken_from_train(tmp_path):
    root = tmp_path / "root"
    write_classes(root / "train", cat=8, dog=8)
    write_classes(root / "test", cat=3, dog=3)
    index = load_folder(root, split={"validation": 0.25, "test": 0.5})
    assert totals(index) == {"train": 12, "validation": 4, "test": 6}
    assert all(path.startswith("train/") for path in index.split("validation").paths)


def test_missing_test_folder_stays_missing(tmp_path):
    root = tmp_path / "root"
    write_classes(root / "train", cat=8, dog=8)
    write_classes(root / "val", cat=3, dog=3)
    index = load_folder(root)
    assert totals(index) == {"train": 16, "validation": 6, "test": 0}
    _, report = check_images(index, "fail", tmp_path / "cache")
    assert any("no test split" in sentence for sentence in report.warnings())


def test_class_may_be_called_train(tmp_path):
    assert load_folder(write_classes(tmp_path / "root", car=5, train=5)).class_names == ("car", "train")


def test_hidden_and_other_files_are_left_out_and_nested_images_found(tmp_path):
    root = write_classes(tmp_path / "root", cat=5, dog=5)
    for name in (".DS_Store", ".ipynb_checkpoints/1.png", "__MACOSX/cat/1.png", "cat/._1.png", "cat/.x/1.png"):
        write_image(root / name)
    (root / "cat" / "notes.TXT").write_text("no image")
    write_image(root / "dog" / "puppies" / "young" / "1.PNG")
    (root / "dog" / "loop").symlink_to(root / "dog")
    write_classes(root, **{".elsewhere": 1})
    (root / "cat" / "linked").symlink_to(root / ".elsewhere")
    index = load_folder(root)
    assert index.class_names == ("cat", "dog")
    assert np.bincount(index.labels).tolist() == [6, 6]
    assert {"dog/puppies/young/1.PNG", "cat/linked/0.png"} < set(index.paths)
    deeper, others, ignored = index.notes
    assert "(2: cat (linked); dog (loop, puppies))" in deeper
    assert ".txt: 1" in others
    assert "(6; " in ignored
    assert "__MACOSX: 1 folder" in ignored


def test_empty_class_directory_is_reported(tmp_path):
    root = write_classes(tmp_path / "root", cat=5, dog=5)
    (root / "fish").mkdir()
    index = load_folder(root)
    assert index.class_names == ("cat", "dog")
    _, report = check_images(index, "fail", tmp_path / "cache")
    assert any("fish" in sentence for sentence in report.warnings())


def test_wrong_roots_are_named(tmp_path):
    with pytest.raises(HeadstartError, match=r"dataset\.root.*Received: nothing"):
        load("folder", tmp_path)
    with pytest.raises(HeadstartError, match=r"nowhere \(does not exist\)"):
        load_folder(tmp_path / "nowhere")
    write_image(tmp_path / "image.png")
    with pytest.raises(HeadstartError, match=r"image.png \(is a file\)"):
        load_folder(tmp_path / "image.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(HeadstartError, match=r"empty.*no images"):
        load_folder(tmp_path / "empty")
    with pytest.raises(HeadstartError, match=r"two classes.*cat"):
        load_folder(write_classes(tmp_path / "one", cat=5))


def test_root_may_begin_with_the_home_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_classes(tmp_path / "root", cat=5, dog=5)
    assert len(load("folder", tmp_path, root="~/root")) == 10


def test_class_absent_from_a_split_is_named(tmp_path):
    root = tmp_path / "root"
    write_classes(root / "train", cat=3, dog=3)
    write_classes(root / "val", cat=3)
    with pytest.raises(HeadstartError, match=r"validation split.*none of dog"):
        load_folder(root)
    write_classes(root / "val", dog=1, fish=1)
    with pytest.raises(HeadstartError, match=r"train split.*none of fish"):
        load_folder(root)


def test_ambiguous_split_folders_are_refused(tmp_path):
    both = tmp_path / "both"
    write_classes(both / "train", cat=3, dog=3)
    write_classes(both / "Training", cat=3, dog=3)
    with pytest.raises(HeadstartError, match=r"both .* for train"):
        load_folder(both)
    mixed = tmp_path / "mixed"
    for name in ("train", "test", "extra"):
        write_classes(mixed / name, cat=3, dog=3)
    with pytest.raises(HeadstartError, match=r"Received: train and test beside extra; .*\{train: train, test: test\}"):
        load_folder(mixed)
    without_train = tmp_path / "without"
    write_classes(without_train / "test", cat=3, dog=3)
    with pytest.raises(HeadstartError, match="Expected a folder of training images"):
        load_folder(without_train)


# Share of the training images


def test_smaller_fractions_are_subsets_of_larger_ones(tmp_path):
    root = write_classes(tmp_path / "root", a=50, rare=5)
    whole = load_folder(root)
    larger = set(whole.split("train").paths)
    for fraction in (0.7, 0.3, 0.05):
        index = load_folder(root, fraction=fraction)
        chosen = set(index.split("train").paths)
        assert chosen < larger
        assert index.counts()["train"].tolist() == [round(30 * fraction), max(1, round(3 * fraction))]
        for name in ("validation", "test"):
            assert index.split(name).paths == whole.split(name).paths
        larger = chosen


def test_the_images_of_a_learning_curve_are_nested_stratified_and_of_their_seed(tmp_path):
    root = write_classes(tmp_path / "root", a=100, b=40)
    whole = load_folder(root)
    chosen = {}
    for seed in (0, 1):
        larger = set(whole.split("train").paths)
        for fraction in (1.0, 0.5, 0.25, 0.1):
            index = load_folder(root, fraction=fraction, fraction_seed=seed)
            chosen[seed, fraction] = set(index.split("train").paths)
            assert chosen[seed, fraction] <= larger
            assert index.counts()["train"].tolist() == [round(60 * fraction), round(24 * fraction)]
            for name in ("validation", "test"):
                assert index.split(name).paths == whole.split(name).paths
            larger = chosen[seed, fraction]
    assert chosen[0, 1.0] == chosen[1, 1.0]
    assert chosen[0, 0.25] != chosen[1, 0.25]
    assert chosen[0, 0.25] == set(load_folder(root, fraction=0.25).split("train").paths)  # of the split's seed, 0


def test_a_point_of_a_learning_curve_has_two_images_of_every_class(tmp_path):
    root = write_classes(tmp_path / "root", a=100, rare=10)  # 60 and 6 for training
    with pytest.raises(HeadstartError, match=r"Received: 0\.1, which leaves fewer of rare; .* fraction .* is 0\.25$"):
        load_folder(root, fraction=0.1, fraction_seed=0)
    assert load_folder(root, fraction=0.25, fraction_seed=0).counts()["train"].tolist() == [15, 2]
    with pytest.raises(HeadstartError, match=r"dataset\.min_images=3 leaves out"):
        load_folder(write_classes(tmp_path / "single", a=20, single=3), fraction=0.5, fraction_seed=0)


@pytest.mark.parametrize(
    "values",
    [
        {"fraction": 0.0},
        {"fraction": 1.5},
        {"split": {"validation": 0.0}},
        {"split": {"test": -0.1}},
        {"split": {"validation": 0.5, "test": 0.5}},
        {"source": "kaggle"},
    ],
    ids=str,
)
def test_values_out_of_range_are_refused(tmp_path, values):
    root = write_classes(tmp_path / "root", cat=5, dog=5)
    with pytest.raises(HeadstartError, match=r"Expected dataset\..*Received: "):
        load(values.pop("source", "folder"), tmp_path, root=str(root), **values)


# Tables


def write_table(tmp_path: Path, text: str, *images: str) -> Path:
    for name in images:
        write_image(tmp_path / name)
    table = tmp_path / "images.csv"
    table.write_text(text, encoding="utf-8-sig")
    return table


def test_table_without_splits_is_split(tmp_path):
    names = [f"images/{position}" for position in range(20)]  # no suffix: the content decides
    rows = "".join(f"{name},class {position % 2}\n" for position, name in enumerate(names))
    index = load("csv", tmp_path, csv=str(write_table(tmp_path, "path,label\n" + rows, *names)))
    assert totals(index) == {"train": 12, "validation": 4, "test": 4}
    assert index.class_names == ("class 0", "class 1")
    assert index.root == tmp_path


def test_table_with_splits_and_another_root(tmp_path):
    root = write_classes(tmp_path / "root", a=3, b=3)
    splits = ("train", "Valid", "test_set")
    rows = "".join(f"{c}/{position}.png,{c},{split}\n" for c in "ab" for position, split in enumerate(splits))
    table = write_table(tmp_path, "path,label,split\n" + rows)
    index = load("csv", tmp_path, csv=str(table), root=str(root))
    assert dict(zip(index.paths, index.splits.tolist(), strict=True))["b/1.png"] == "validation"
    assert totals(index) == {"train": 2, "validation": 2, "test": 2}


def test_written_index_is_read_back(tmp_path):
    root = write_classes(tmp_path / "root", a=10, b=10)
    index, _ = check_images(load_folder(root), "fail", tmp_path / "cache")
    index.write_csv(tmp_path / "written.csv")
    again = load("csv", tmp_path, csv=str(tmp_path / "written.csv"), root=str(root))
    assert check_images(again, "fail", tmp_path / "cache")[0].fingerprint == index.fingerprint


@pytest.mark.parametrize("given", [False, True])
def test_group_stays_in_one_split(tmp_path, given):
    group_of = {f"{position}.png": f"patient{position // 2}" for position in range(60)}
    rows = [f"{name},{position // 4 % 2},{group}" for position, (name, group) in enumerate(group_of.items())]
    if given:  # train and test: validation is split off
        rows = [f"{row},{'test' if position >= 48 else 'train'}" for position, row in enumerate(rows)]
    header = "path,label,group,split" if given else "path,label,group"
    index = load("csv", tmp_path, csv=str(write_table(tmp_path, "\n".join([header, *rows]), *group_of)))
    pairs = {(group_of[path], split) for path, split in zip(index.paths, index.splits.tolist(), strict=True)}
    assert len(pairs) == 30
    assert totals(index)["test"] == 12
    assert 8 <= totals(index)["validation"] <= 14


def test_class_in_a_single_group_cannot_be_split(tmp_path):
    names = [f"{position}.png" for position in range(20)]
    rows = [
        f"{name},{'common' if position < 15 else 'rare'},{position if position < 15 else 'one'}\n"
        for position, name in enumerate(names)
    ]
    table = write_table(tmp_path, "path,label,group\n" + "".join(rows), *names)
    with pytest.raises(HeadstartError, match=r"at least 3 groups of every class .*rare: 1\); "):
        load("csv", tmp_path, csv=str(table))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("photo,label\na.png,cat\n", r"columns path,label.*Received: photo,label; .*dataset.columns"),
        ("", r"columns path,label.*Received: $"),
        ("path,label\n", "no rows"),
        ("path,label\na.png,cat\nmissing.png,dog\n", r"1 that are not, row 3: missing\.png"),
        ("path,label\na.png,cat\nb.png,\n", r"a label in row 3"),
        ("path,label\na.png,cat\nb.png\n", r"2 fields in row 3 .*\(path,label\)\. Received: 1, b\.png"),
        ("path,label,split\na.png,cat,train\nb.png,dog,somewhere\n", r"split in row 3.*Received: somewhere"),
        ("path,label\na.png,cat\nb.png,dog\na.png,dog\n", r"a\.png in row 2 and row 4"),
        (
            "path,label,split,group\na.png,cat,train,p1\nb.png,dog,test,p1\n",
            r"group p1 in train \(row 2\) and in test \(row 3\)",
        ),
    ],
)
def test_wrong_tables_are_refused_with_the_row(tmp_path, text, message):
    with pytest.raises(HeadstartError, match=message):
        load("csv", tmp_path, csv=str(write_table(tmp_path, text, "a.png", "b.png")))


def test_missing_and_wrongly_encoded_tables_are_refused(tmp_path):
    with pytest.raises(HeadstartError, match=r"dataset\.csv.*Received: nothing"):
        load("csv", tmp_path)
    with pytest.raises(HeadstartError, match=r"nowhere\.csv \(No such file or directory\)"):
        load("csv", tmp_path, csv=str(tmp_path / "nowhere.csv"))
    (tmp_path / "latin.csv").write_bytes("path,label\nü.png,cat\n".encode("latin-1"))
    with pytest.raises(HeadstartError, match="UTF-8"):
        load("csv", tmp_path, csv=str(tmp_path / "latin.csv"))


# Digits


def test_digits_are_real_files(tmp_path):
    index = load("digits", tmp_path)
    assert len(index) == 1797
    assert index.class_names == tuple("0123456789")
    assert totals(index)["test"] == pytest.approx(1797 * 0.2, abs=10)
    with Image.open(index.file(0)) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "L", (8, 8))
        assert np.asarray(image).max() > 200
    assert [path.name for path in (tmp_path / "cache" / "datasets").iterdir()] == ["digits"]


def test_digits_written_by_several_processes_are_complete(tmp_path):
    directory = tmp_path / "datasets" / "digits"
    threads = [threading.Thread(target=list_digits, args=(tmp_path,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(directory.glob("*/*.png"))) == 1797
    assert [path.name for path in directory.parent.iterdir()] == ["digits"]


@pytest.mark.parametrize("option", ["digits", "folder", "csv"])
def test_shipped_options_name_a_source(option):
    assert compose([f"dataset={option}"]).dataset.source == option
