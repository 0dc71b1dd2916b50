"""TensorFlow Datasets as image files: a real builder of a tiny data set, where the extra is installed."""

from __future__ import annotations

import io
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from headstart.config import DatasetConfig
from headstart.core.errors import HeadstartError
from headstart.data.files.checks import check_images
from headstart.data.index import ImageIndex
from headstart.data.load import load_index


def load(collection: str | None, tmp_path: Path, **values: Any) -> ImageIndex:
    config = DatasetConfig(name="tfds", source="tfds", collection=collection, **values)
    return load_index(config, tmp_path / "cache")


def jpeg(grey: int) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (9, 8), grey).save(stream, format="JPEG", quality=31)
    return stream.getvalue()


@pytest.fixture(scope="module")
def tfds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give TensorFlow Datasets tiny data sets that it can make without a connection, and return its directory."""
    directory = tmp_path_factory.mktemp("tensorflow_datasets")
    os.environ["TFDS_DATA_DIR"] = str(directory)  # read at the import
    module = pytest.importorskip("tensorflow_datasets")

    def define(name: str, splits: dict[str, int], supervised: tuple[str, str] | None = ("image", "label")) -> None:
        """Register a data set by the name of its class, as the library does."""
        features = {
            "image": module.features.Image(shape=(8, 9, 1)),
            "label": module.features.ClassLabel(names=["T-shirt/top", "Bag"]),
            "file": module.features.Text(),
        }

        def info(builder: Any) -> Any:
            features_dict = module.features.FeaturesDict(features)
            return module.core.DatasetInfo(builder=builder, features=features_dict, supervised_keys=supervised)

        def examples(split: str, number: int) -> Any:
            for position in range(number):
                if position == 30:
                    raise OSError("the archive is damaged")
                label = -1 if split == "test" and position == 0 else position % 2
                yield position, {"image": io.BytesIO(jpeg(10 * position)), "label": label, "file": str(position)}

        members = {
            "VERSION": module.core.Version("1.0.0"),
            "_info": info,
            "_split_generators": lambda *_: {split: examples(split, number) for split, number in splits.items()},
            "_generate_examples": examples,
        }
        type(name, (module.core.GeneratorBasedBuilder,), members)

    define("TinyClothes", {"train": 12, "test": 5, "extra": 2})
    define("TinyUnsplit", {"train": 20})
    define("TinyUnlabelled", {"train": 4}, None)
    define("TinyTest", {"test": 4})
    define("TinyBroken", {"train": 99})
    return directory


def test_records_become_files_once(tmp_path, tfds):
    index = load("tiny_clothes", tmp_path)
    assert {name: int(count.sum()) for name, count in index.counts().items()} == {
        "train": 10,
        "validation": 2,
        "test": 4,
    }
    assert index.class_names == ("Bag", "T-shirt/top")
    assert {Path(path).suffix for path in index.paths} == {".jpg"}
    assert {index.file(position).read_bytes() for position in range(16)} == {jpeg(10 * grey) for grey in range(12)}
    assert any("extra" in note for note in index.notes)
    assert any("without a label were left out (1)" in note for note in index.notes)

    checked, _ = check_images(index, "fail", tmp_path / "cache")
    shutil.rmtree(tfds / "tiny_clothes")
    again = load("tiny_clothes", tmp_path)
    assert (again.paths, again.notes) == (index.paths, index.notes)
    assert check_images(again, "fail", tmp_path / "cache")[0].fingerprint == checked.fingerprint


@pytest.mark.usefixtures("tfds")
def test_a_dataset_without_splits_is_split(tmp_path):
    index = load("tiny_unsplit", tmp_path, classes=["Bag", "T-shirt/top"])
    assert {name: int(count.sum()) for name, count in index.counts().items()} == {
        "train": 12,
        "validation": 4,
        "test": 4,
    }


@pytest.mark.usefixtures("tfds")
@pytest.mark.parametrize(
    ("collection", "message"),
    [
        ("tiny_cloths", r"dataset\.collection.*Received: tiny_cloths; did you mean tiny_clothes\?"),
        ("tiny_clothes:9.9.9", r"name an existing configuration and version\. Received: tiny_clothes:9\.9\.9"),
        ("tiny_unlabelled", r"tiny_unlabelled .*images with a class each.*Received: None"),
        ("tiny_test", r"a split train in tiny_test.*Received: test"),
        (None, r"dataset\.collection.*Received: nothing"),
    ],
)
def test_unusable_datasets_are_named(tmp_path, collection, message):
    with pytest.raises(HeadstartError, match=message):
        load(collection, tmp_path)
    assert not list(tmp_path.rglob("*.jpg"))


def test_a_failed_preparation_is_reported(tmp_path, tfds):
    with pytest.raises(HeadstartError, match=rf"to prepare tiny_broken in {tfds}/tiny_broken.*archive is damaged"):
        load("tiny_broken", tmp_path)
    assert not list((tmp_path / "cache").rglob("*.csv"))


def test_missing_package_is_named_with_the_command(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(HeadstartError, match=r"pip install tensorflow-datasets importlib_resources"):
        load("mnist", tmp_path)
