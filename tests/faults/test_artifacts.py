"""Malicious classifiers, weights and checkpoints are refused with one sentence, and nothing in them runs."""

from __future__ import annotations

import io
import json
import pickle
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from headstart.classifier.saved import load_classifier
from headstart.core.errors import HeadstartError
from headstart.model.backbones.registry import build_backbone
from headstart.model.backbones.torch_checkpoint import read_checkpoint
from headstart.model.trusted import CLASSES, expect_plain_numbers, expect_trusted_model


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a small classifier, saved without a run."""
    from headstart.classifier.saved import save_classifier
    from headstart.config import compose

    config = compose(["backbone=small_cnn", "image_size=32"])
    backbone = build_backbone("small_cnn", "none", 32)
    pixels = keras.Input((32, 32, 3))
    features = keras.layers.GlobalAveragePooling2D()(backbone(keras.layers.Rescaling(1 / 255)(pixels)))
    model = keras.Model(pixels, keras.layers.Dense(3, activation="softmax")(features))
    directory = tmp_path_factory.mktemp("saved") / "classifier"
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    save_classifier(directory, model, ("a", "b", "c"), 32, config, images)
    return directory


@pytest.fixture
def classifier(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of it, in a working directory of its own."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return Path(shutil.copytree(saved, tmp_path / "classifier"))


def edit(file: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change config.json within a `.keras` file."""
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    description = json.loads(members["config.json"])
    members["config.json"] = json.dumps(change(description) or description).encode()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def refused(directory: Path, says: str = "") -> str:
    """Expect a classifier to be refused in one sentence, with nothing done."""
    with pytest.raises(HeadstartError, match=r"Expected (a|the) classifier") as caught:
        load_classifier(directory)
    message = str(caught.value)
    assert says in message
    assert "\n" not in message
    assert len(message) < 1000
    assert list((directory.parent / "elsewhere").iterdir()) == []
    return message


def layer(module: str | None, name: str, /, registered: str | None = None, **config: Any) -> dict[str, Any]:
    return {"module": module, "class_name": name, "config": config, "registered_name": registered}


# What stands in the place of a layer, and would do something: each writes the file `canary`, reads one or imports.
PREPARED = [
    layer("os", "system", command="touch canary"),
    layer("subprocess", "run", args=["touch", "canary"]),
    layer("subprocess", "Popen", "Popen", args="touch canary", shell=True),
    layer("builtins", "eval", source="open('canary', 'w')"),
    layer("keras.utils", "get_file", fname="canary", origin=Path(__file__).as_uri()),
    layer("keras.src.utils.file_utils", "get_file", fname="canary", origin=Path(__file__).as_uri()),
    layer("keras.layers", "TorchModuleWrapper", module={"class_name": "__bytes__", "config": {"value": "x"}}),
    layer("keras.layers", "TFSMLayer", filepath="/etc"),
    layer("keras.layers", "Lambda", function={"class_name": "__lambda__", "config": {"value": ["4wEA", None, None]}}),
    layer("keras.src.layers.core.lambda_layer", "Lambda", "Lambda", function="os.system"),
    layer("keras.layers", "StringLookup", vocabulary="/etc/passwd"),
    layer("keras.layers", "TextVectorization", vocabulary="/etc/passwd"),
    layer("keras.layers", "Dense", "evil>Dense", units=3),
    layer("keras.layers", "dense", units=3),
    layer("keras.layers.Dense", "__init__"),
    layer("keras.models", "load_model", filepath="other.keras"),
    layer("keras.saving", "load_model", filepath="other.keras", safe_mode=False),
    layer("keras.config", "enable_unsafe_deserialization"),
    layer("keras.src.saving.serialization_lib", "enable_unsafe_deserialization"),
    layer("headstart.model.trusted", "expect_trusted_model", file="canary"),
    layer("headstart_evil_module", "Layer"),
    layer(None, "Lambda", function="x"),
    layer(None, "__lambda__", value=["4wEA", None, None]),
    layer(None, "__typespec__"),
    {"class_name": ["Dense"], "config": {}},
    {"class_name": None, "module": {"a": 1}, "config": {}},
    {"class_name": "function", "module": "os", "config": "system", "registered_name": "system"},
]


@pytest.mark.parametrize("prepared", PREPARED, ids=lambda value: f"{value.get('module')}.{value['class_name']}"[:60])
def test_only_layers_are_created_from_a_description(classifier: Path, prepared: dict[str, Any]) -> None:
    whole = (classifier / "model.keras").read_bytes()

    def as_a_layer(description: dict[str, Any]) -> None:
        description["config"]["layers"][1] |= prepared

    def as_a_value(description: dict[str, Any]) -> None:
        description["config"]["layers"][-1]["config"]["kernel_initializer"] = prepared

    def as_an_argument(description: dict[str, Any]) -> None:
        description["config"]["layers"][1]["inbound_nodes"][0]["kwargs"] = {"training": [prepared]}

    for change in (as_a_layer, as_a_value, as_an_argument, lambda _: prepared):
        (classifier / "model.keras").write_bytes(whole)
        edit(classifier / "model.keras", change)
        refused(classifier, "which is not a layer that headstart trusts")
        with pytest.raises(HeadstartError, match="not a layer that headstart trusts"):
            build_backbone("small_cnn", str(classifier / "model.keras"), 32)


def test_a_class_that_somebody_registered_is_refused(classifier: Path) -> None:
    ran = []

    @keras.saving.register_keras_serializable("somebody")
    class Shout(keras.layers.Layer):
        def call(self, values: Any) -> Any:
            ran.append(True)
            return values

    pixels = keras.Input((32, 32, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(Shout()(pixels))
    keras.Model(pixels, keras.layers.Softmax()(pooled)).save(classifier / "model.keras")
    ran.clear()
    refused(classifier, "Shout")
    assert not ran


def test_how_a_model_was_trained_is_not_loaded(classifier: Path) -> None:
    def compiled(description: dict[str, Any]) -> None:
        description["compile_config"] = {"optimizer": layer("os", "system", command="touch canary")}

    edit(classifier / "model.keras", compiled)
    assert load_classifier(classifier).class_names == ("a", "b", "c")
    assert list((classifier.parent / "elsewhere").iterdir()) == []


def test_a_description_of_any_depth_or_size_is_refused(classifier: Path) -> None:
    file = classifier / "model.keras"
    for content in (b"[" * 100_000, b'{"a":' * 100_000, b"3", b"null", b"{}", b"\xff", b" " * 60_000_000):
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("metadata.json", "{}")
            archive.writestr("config.json", content)
            archive.writestr("model.weights.h5", b"")
        refused(classifier)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    "name",
    ["../../canary", "/tmp/canary", "assets/vocabulary.txt", "config.json", "model.weights.h5/x", "canary.py", "a\nb"],
)
def test_other_members_of_the_archive_are_refused(classifier: Path, name: str) -> None:
    with zipfile.ZipFile(classifier / "model.keras", "a") as archive:
        archive.writestr(name, "touch canary")
    refused(classifier, "must contain exactly config.json, metadata.json, model.weights.h5")


REASONS = {
    "external link": "is a link, not numbers",
    "soft link": "is a link, not numbers",
    "external dataset": "are not in this file",
    "virtual dataset": "are not in this file",
    "bomb": "bytes of numbers, but has",
    "objects": "does not contain numbers",
}


@pytest.mark.parametrize("kind", REASONS)
@pytest.mark.parametrize("place", ["classifier", "weights", "legacy"])
def test_numbers_have_to_be_in_the_file(kind: str, place: str, classifier: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["numbers"] = np.full((3, 3, 3, 32), 42, np.float32)
    (tmp_path / "secret.bin").write_bytes(bytes(3 * 3 * 3 * 32 * 4))
    path = tmp_path / ("backbone.h5" if place == "legacy" else "backbone.weights.h5")
    backbone = build_backbone("small_cnn", "none", 32)
    if place == "legacy":
        backbone.save(path)
    elif place == "weights":
        backbone.save_weights(path)
    else:
        with zipfile.ZipFile(classifier / "model.keras") as archive:
            path.write_bytes(archive.read("model.weights.h5"))

    with h5py.File(path, "r+") as file:
        found: list[str] = []
        file.visititems(
            lambda name, item: found.append(name) if getattr(item, "shape", None) == (3, 3, 3, 32) else None
        )
        target, group = found[0], file[found[0]].parent
        name = target.rpartition("/")[2]
        del group[name]
        if kind == "external link":
            group[name] = h5py.ExternalLink(str(secret), "numbers")
        elif kind == "soft link":
            group[name] = h5py.SoftLink("/nowhere")
        elif kind == "external dataset":
            group.create_dataset(name, (3, 3, 3, 32), "f4", external=[(str(tmp_path / "secret.bin"), 0, 3456)])
        elif kind == "virtual dataset":
            layout = h5py.VirtualLayout((3, 3, 3, 32), "f4")
            layout[:] = h5py.VirtualSource(str(secret), "numbers", (3, 3, 3, 32))
            group.create_virtual_dataset(name, layout)
        elif kind == "bomb":
            group.create_dataset(name, (300_000, 300_000), "f4", chunks=(1000, 1000), compression="gzip")
        else:
            group.create_dataset(name, (3, 3, 3, 32), h5py.string_dtype())
    if place == "classifier":
        with zipfile.ZipFile(classifier / "model.keras") as archive:
            members = {member: archive.read(member) for member in archive.namelist()}
        with zipfile.ZipFile(classifier / "model.keras", "w") as archive:
            for member, content in (members | {"model.weights.h5": path.read_bytes()}).items():
                archive.writestr(member, content)
        assert REASONS[kind] in refused(classifier)
        return
    with pytest.raises(HeadstartError, match=r"weights that fit small_cnn .*backbone.* Received: ") as caught:
        build_backbone("small_cnn", str(path), 32)
    assert "\n" not in str(caught.value)
    assert REASONS[kind] in str(caught.value)


def test_groups_that_hold_themselves_end(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "circle.h5", "w") as file:
        file.create_group("a/b")
        file["a/b/again"] = file["a"]
    with pytest.raises(ValueError, match="contains itself"):
        expect_plain_numbers(tmp_path / "circle.h5")


@pytest.mark.parametrize(
    "labels",
    [
        "<html>",
        "[" * 100_000,
        '"text"',
        "null",
        '{"class_names": "abc", "image_size": 32, "resize": "stretch"}',
        '{"class_names": ["a", "b"], "image_size": 32, "resize": "stretch"}',
        '{"class_names": ["a", "b", 3], "image_size": 32, "resize": "stretch"}',
        '{"class_names": ["a", "b", "c"], "image_size": -32, "resize": "stretch"}',
        '{"class_names": ["a", "b", "c"], "image_size": 1e9, "resize": "stretch"}',
        '{"class_names": ["a", "b", "c"], "image_size": 1000000000, "resize": "stretch"}',
        '{"class_names": ["a", "b", "c"], "image_size": 32, "resize": ["stretch"]}',
        '{"class_names": {"a": 1, "b": 2, "c": 3}, "image_size": 32, "resize": "stretch"}',
    ],
    ids=lambda text: text[:50],
)
def test_edited_labels_are_refused(classifier: Path, labels: str) -> None:
    (classifier / "labels.json").write_text(labels)
    refused(classifier)


def test_names_of_classes_are_text_whatever_they_say(classifier: Path) -> None:
    names = ["<script>alert(1)</script>", "=HYPERLINK(1)", "\x1b[31m"]
    (classifier / "labels.json").write_text(json.dumps({"class_names": names, "image_size": 32, "resize": "stretch"}))
    assert load_classifier(classifier).class_names == tuple(names)


def header(shape: str, kind: str = "<f4") -> bytes:
    """Return an array file that claims a shape, and holds nothing."""
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


@pytest.mark.parametrize(
    "content",
    [
        header("(1000000000000,)"),
        header("(2, 32, 32, 300000000)"),
        header("(99999999999999999999, 9999999999)"),
        header("(-1, 32, 32, 3)"),
        header("(2, 32, 32, 3)", "|O"),
        header("__import__('os').mkdir('canary')"),
        header("(2,)", "<U10"),
        header("()"),
        header("(0, 32, 32, 3)"),
        b"\x93NUMPY\x03\x00\xff\xff\xff\x7f",
        pickle.dumps([1, 2]),
        bytes(300_000_000),
        b"",
    ],
    ids=lambda content: ascii(content[10:60]),
)
def test_edited_references_are_refused(classifier: Path, content: bytes) -> None:
    with np.load(classifier / "reference.npz") as reference:
        probabilities = io.BytesIO()
        np.save(probabilities, reference["probabilities"])
    with zipfile.ZipFile(classifier / "reference.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", content)
        archive.writestr("probabilities.npy", probabilities.getvalue())
    refused(classifier)


# Checkpoints


def expect_refused(content: bytes, tmp_path: Path) -> str:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(HeadstartError, match=r"weights\.pth") as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "canary").exists()
    return str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"cos\nsystem\n(S'touch canary'\ntR.",
        b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x0ctouch canary\x85R.",
        b"(S'touch canary'\nios\nsystem\n.",
        b"\x80\x02cbuiltins\neval\nX\x01\x00\x00\x001\x85R.",
        b"\x80\x02ctorch\n_dynamo\n.",
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x01\x00\x00\x00aK\x01sb.",
        b"\x80\x02ccollections\nOrderedDict\n)\x81}X\x0a\x00\x00\x00__reduce__K\x01sb.",
        b"\x80\x02\x82\x01.",  # an extension
        b"\x80\x02K\x01r\xff\xff\xff\xff.",  # a memory of four thousand million entries
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",  # bytes that no machine has
        b"\x80\x02Q.",
        b"\x80\x02Pname\n.",
        b"((((" * 10_000,
        b"\x80\xff.",
        b"]" + b"2" * 100_000,
    ],
    ids=lambda content: ascii(content[:40]),
)
def test_malicious_checkpoints_do_nothing(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    expect_refused(content, tmp_path)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("model/data.pkl", content)
    expect_refused(archive.getvalue(), tmp_path)


def test_a_compressed_pickle_is_refused(tmp_path: Path) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("model/data.pkl", b"]" + b"K\x01a" * 1_000_000 + b".")
    assert "Expected uncompressed tensors" in expect_refused(archive.getvalue(), tmp_path)


# Weights of another architecture


@pytest.mark.parametrize("suffix", [".h5", ".weights.h5", ".keras"])
def test_weights_of_other_layers_are_refused(suffix: str, tmp_path: Path) -> None:
    pixels = keras.Input((32, 32, 3))
    other = keras.Model(pixels, keras.layers.Conv2D(5, 3)(pixels))
    path = tmp_path / f"other{suffix}"
    (other.save_weights if suffix == ".weights.h5" else other.save)(path)
    with pytest.raises(HeadstartError, match=r"weights that fit small_cnn .*other.* Received: ") as caught:
        build_backbone("small_cnn", str(path), 32)
    assert "\n" not in str(caught.value)


def test_what_headstart_saves_is_trusted(saved: Path) -> None:
    expect_trusted_model(saved / "model.keras")
    assert load_classifier(saved).class_names == ("a", "b", "c")


def test_every_class_on_the_list_is_there() -> None:
    """A name that Keras does not have would let nothing in, but would not be the list that it seems to be."""
    import importlib

    missing = []
    for module, names in CLASSES.items():
        if module is not None and "ops" not in module:
            place = importlib.import_module(module)
            missing += [f"{module}.{name}" for name in names if not hasattr(place, name)]
    assert missing == ["keras.Functional"]  # as Keras calls it in files, not in Python


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        *(
            "vgg16",
            "resnet50",
            "resnet50v2",
            "inceptionv3",
            "inceptionresnetv2",
            "xception",
            "mobilenet",
            "mobilenetv2",
        ),
        *("mobilenetv3small", "densenet121", "nasnetmobile", "efficientnetb0", "efficientnetv2b0", "convnexttiny"),
        *("small_cnn", "efficientnet_lite0"),
    ],
)
def test_a_backbone_of_every_family_is_trusted(name: str, tmp_path: Path) -> None:
    from headstart.config import BackboneConfig, HeadConfig
    from headstart.model.backbones.registry import get_entry
    from headstart.model.network import build_network

    for head in (HeadConfig("head", units=4, batch_norm=True, dropout=0.1), HeadConfig("head", pooling="flatten")):
        size = max(32, get_entry(name).minimum_size)
        network = build_network(BackboneConfig(name, "none"), head, 2, size, seed=0)
        model = keras.Model(network.classifier.input, network.classifier.output)
        model.compile("sgd", "categorical_crossentropy")
        model.save(tmp_path / "model.keras")
        expect_trusted_model(tmp_path / "model.keras")
        keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
