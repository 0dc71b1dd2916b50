"""keras.datasets as image files: Keras's own loaders read tiny files in their own format."""

from __future__ import annotations

import gzip
import urllib.error
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.config import DatasetConfig, compose
from headstart.core.errors import HeadstartError
from headstart.data.index import ImageIndex
from headstart.data.load import load_index


def load(collection: str | None, tmp_path: Path, **values) -> ImageIndex:
    config = DatasetConfig(name="keras", source="keras", collection=collection, **values)
    return load_index(config, tmp_path / "cache")


def pictures(images: int, *shape: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(images)
    return generator.integers(0, 256, (images, *shape), dtype=np.uint8), (np.arange(images) % 10).astype(np.uint8)


@pytest.fixture
def keras_home(tmp_path, monkeypatch) -> Path:
    """Return an empty directory that Keras takes for its own."""
    home = tmp_path / "keras"
    home.mkdir()
    monkeypatch.setenv("KERAS_HOME", str(home))
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(home))  # read from KERAS_HOME at the import
    return home


@pytest.fixture
def no_network(monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise urllib.error.URLError("no network in this test")

    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", fail)


@pytest.mark.usefixtures("no_network")
def test_arrays_become_files_once(tmp_path, keras_home):
    directory = keras_home / "datasets" / "fashion-mnist"
    directory.mkdir(parents=True)
    images, labels = pictures(40, 28, 28)
    for name, part in {"train": slice(0, 30), "t10k": slice(30, 40)}.items():
        with gzip.open(directory / f"{name}-labels-idx1-ubyte.gz", "wb") as file:
            file.write(bytes(8) + labels[part].tobytes())
        with gzip.open(directory / f"{name}-images-idx3-ubyte.gz", "wb") as file:
            file.write(bytes(16) + images[part].tobytes())

    index = load("fashion_mnist", tmp_path)
    assert {name: int(count.sum()) for name, count in index.counts().items()} == {
        "train": 20,
        "validation": 10,
        "test": 10,
    }
    assert {"T-shirt/top", "Ankle boot"} < set(index.class_names)
    test = index.split("test")
    named = {Path(path).stem: test.class_names[label] for path, label in zip(test.paths, test.labels, strict=True)}
    assert (named["00000"], named["00009"]) == ("T-shirt/top", "Ankle boot")
    with Image.open(index.root / "test" / "3" / "00003.png") as image:
        np.testing.assert_array_equal(np.asarray(image), images[33])

    for file in directory.iterdir():
        file.unlink()
    assert load("fashion_mnist", tmp_path).paths == index.paths  # from the files
    assert load("fashion_mnist", tmp_path, classes=["Bag", "Coat"]).class_names == ("Bag", "Coat")
    assert [path.name for path in (tmp_path / "cache" / "datasets" / "keras").iterdir()] == ["fashion_mnist"]


@pytest.mark.parametrize(
    ("collection", "shape", "names"),
    [
        ("mnist", (28, 28), tuple("0123456789")),
        ("cifar10", (32, 32, 3), ("airplane", "automobile", "bird", "cat", "deer")),
        ("cifar100", (32, 32, 3), tuple("0123456789")),
    ],
)
def test_classes_have_the_names_that_keras_documents(tmp_path, monkeypatch, collection, shape, names):
    def load_data() -> tuple:
        images, labels = pictures(30, *shape)
        labels = labels[:, np.newaxis] if len(shape) == 3 else labels  # as Keras has them
        return (images[:20], labels[:20]), (images[20:], labels[20:])

    monkeypatch.setattr(f"keras.datasets.{collection}.load_data", load_data)
    index = load(collection, tmp_path)
    assert len(index.class_names) == 10
    assert index.class_names[: len(names)] == names
    with Image.open(index.file(0)) as image:
        assert image.mode == ("RGB" if len(shape) == 3 else "L")


@pytest.mark.usefixtures("no_network")
def test_failed_download_says_what_to_put_where(tmp_path, keras_home):
    expected = rf"load cifar10 \(170 MB\).*no network.*{keras_home}/datasets/cifar-10-batches-py-target_archive"
    with pytest.raises(HeadstartError, match=expected):
        load("cifar10", tmp_path)
    assert not list((tmp_path / "cache").rglob("*.png"))
    assert not list((tmp_path / "cache" / "datasets" / "keras").iterdir())


@pytest.mark.usefixtures("no_network")
def test_damaged_download_is_refused(tmp_path, keras_home):
    (keras_home / "datasets").mkdir()
    (keras_home / "datasets" / "mnist.npz").write_bytes(b"half of a file")
    with pytest.raises(HeadstartError, match=r"load mnist \(11 MB\)"):
        load("mnist", tmp_path)


def test_a_bug_in_a_loader_is_not_reported_as_a_failed_download(tmp_path, monkeypatch):
    def load_data() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("keras.datasets.mnist.load_data", load_data)
    with pytest.raises(ZeroDivisionError):
        load("mnist", tmp_path)


def test_an_unknown_collection_is_refused(tmp_path):
    with pytest.raises(HeadstartError, match=r"dataset\.collection.*mnist, fashion_mnist.*Received: nothing"):
        load(None, tmp_path)
    with pytest.raises(HeadstartError, match=r"dataset\.collection.*Received: imdb"):
        load("imdb", tmp_path)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10"])
def test_shipped_options_name_their_collection(name):
    config = compose([f"dataset={name}"]).dataset
    assert (config.source, config.collection) == ("keras", name)
