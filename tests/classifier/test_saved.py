"""The saved classifier: plain Keras loads it, headstart verifies it, a damaged one is refused."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY

from headstart.classifier.familiarity import FAMILIARITY
from headstart.classifier.saved import FILES, Classifier, load_classifier, save_classifier
from headstart.config import compose
from headstart.core.errors import HeadstartError

# How a user without headstart loads a classifier; prints a list of probabilities for each directory.
PLAIN_KERAS = """
import json, pathlib, sys
import keras, numpy, PIL.Image

answers = []
for directory, *pictures in json.loads(sys.argv[1]):
    labels = json.loads(pathlib.Path(directory, "labels.json").read_text())
    model = keras.saving.load_model(pathlib.Path(directory, "model.keras"), safe_mode=True)
    assert getattr(model, "optimizer", None) is None
    side = (labels["image_size"], labels["image_size"])
    images = [PIL.Image.open(file).convert("RGB").resize(side, PIL.Image.Resampling.BILINEAR) for file in pictures]
    answers.append(model.predict(numpy.stack(images).astype("float32"), verbose=0).tolist())
assert "headstart" not in sys.modules
print(json.dumps(answers))
"""


def ask_plain_keras(*questions: list[Path]) -> list[np.ndarray]:
    """Return what a process without headstart gets for pictures, from [classifier, picture, ...]."""
    command = [sys.executable, "-c", PLAIN_KERAS, json.dumps([[str(path) for path in paths] for paths in questions])]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    return [np.array(rows) for rows in json.loads(answer.stdout)]


@pytest.fixture
def classifier_directory(finished_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished_run / "classifier", tmp_path / "classifier"))


@pytest.fixture(scope="module")
def classifier(finished_run: Path) -> Classifier:
    return load_classifier(finished_run)


@pytest.mark.slow
def test_plain_keras_gives_the_same_probabilities(finished_run: Path, folder: Path) -> None:
    with (finished_run / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    [answer] = ask_plain_keras([finished_run / "classifier", *(folder / row["path"] for row in rows)])
    said = [[float(row[f"probability_{name}"]) for name in ("blue", "green", "red")] for row in rows]
    np.testing.assert_allclose(answer, said, atol=1e-5)


def layers_in(config: object) -> Iterator[dict]:
    """Yield everything in a saved model's description that names a class."""
    if isinstance(config, dict):
        if "class_name" in config:
            yield config
        for value in config.values():
            yield from layers_in(value)
    elif isinstance(config, list):
        for value in config:
            yield from layers_in(value)


def expect_plain_model(file: Path) -> None:
    """Raise unless a saved model is made of Keras' own layers in float32 and of nothing else."""
    with zipfile.ZipFile(file) as archive:
        assert set(archive.namelist()) == {"metadata.json", "config.json", "model.weights.h5"}
        described = list(layers_in(json.loads(archive.read("config.json"))))
    assert len(described) > 5
    modules = {(layer.get("module") or "keras").partition(".")[0] for layer in described}
    assert modules == {"keras"}
    assert not [layer for layer in described if ">" in (layer.get("registered_name") or "")]  # a package of somebody's
    assert "Lambda" not in {layer["class_name"] for layer in described}
    policies = {layer["config"]["name"] for layer in described if layer["class_name"] == "DTypePolicy"}
    assert policies == {"float32"}


def test_no_custom_code_no_optimizer_only_float32(finished_run: Path) -> None:
    assert "value_range" not in json.loads((finished_run / "classifier" / "labels.json").read_text())
    expect_plain_model(finished_run / "classifier" / "model.keras")
    assert {file.name for file in (finished_run / "classifier").iterdir()} == {*FILES, FAMILIARITY}


@pytest.mark.slow
def test_every_input_normalization_is_inside_the_saved_model(folder: Path, tmp_path: Path) -> None:
    from headstart.model.backbones.entries import ENTRIES
    from headstart.model.network import build_network

    one_of_each = {entry.preprocessing: entry for entry in sorted(ENTRIES, key=lambda entry: entry.image_size)}
    pictures = sorted(folder.glob("*/000.png"))
    expected, questions = [], []
    for entry in one_of_each.values():
        size = entry.minimum_size
        config = compose([*TINY, f"backbone={entry.name}", "backbone.weights=none"])
        network = build_network(config.backbone, config.head, 3, size, seed=0)
        directory = tmp_path / entry.name
        save_classifier(directory, network.classifier, ("a", "b", "c"), size, config, np.zeros((1, size, size, 3)))
        expect_plain_model(directory / "model.keras")
        saved = load_classifier(directory)
        expected.append(saved.probabilities(np.stack([saved.load(file) for file in pictures])))
        questions.append([directory, *pictures])
    assert len(questions) == 6
    for answer, wanted in zip(ask_plain_keras(*questions), expected, strict=True):
        np.testing.assert_allclose(answer, wanted, atol=1e-5)


def test_predict_keeps_the_order_and_names_what_cannot_be_read(
    classifier: Classifier, folder: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    good = sorted(folder.glob("*/*.png"))[:4]
    files = [good[0], broken, good[1], good[2], tmp_path / "missing.png", good[3]]
    answers = list(classifier.predict(files, batch_size=2))
    assert [file for file, _ in answers] == files
    assert [isinstance(answer, HeadstartError) for _, answer in answers] == [False, True, False, False, True, False]
    assert "broken.png" in str(answers[1][1])
    one_by_one = [classifier.probabilities(classifier.load(file)[None])[0] for file in good]
    np.testing.assert_allclose([row for _, row in answers if isinstance(row, np.ndarray)], one_by_one, atol=1e-6)


def test_a_sigmoid_answers_with_both_classes(tmp_path: Path) -> None:
    from headstart.model.network import build_network

    config = compose([*TINY, "head.output=sigmoid"])
    network = build_network(config.backbone, config.head, 2, 32, seed=0)
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    save_classifier(tmp_path / "classifier", network.classifier, ("cat", "dog"), 32, config, images)
    probabilities = load_classifier(tmp_path).probabilities(images)
    assert probabilities.shape == (3, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(probabilities[:, 1:], network.classifier.predict(images * 1.0, verbose=0), atol=1e-6)


def test_changed_weights_are_found(classifier_directory: Path) -> None:
    import keras

    model = keras.saving.load_model(classifier_directory / "model.keras")
    model.set_weights([weight * 1.05 for weight in model.get_weights()])
    model.save(classifier_directory / "model.keras")
    with pytest.raises(HeadstartError, match=r"reference images .* differences of up to"):
        load_classifier(classifier_directory)


def test_a_changed_reference_is_found(classifier_directory: Path) -> None:
    with np.load(classifier_directory / "reference.npz") as reference:
        images, probabilities = reference["images"], reference["probabilities"]
    np.savez(classifier_directory / "reference.npz", images=images, probabilities=probabilities[:, ::-1])
    with pytest.raises(HeadstartError, match="reference images"):
        load_classifier(classifier_directory)
    np.savez(classifier_directory / "reference.npz", images=255 - images, probabilities=probabilities)
    with pytest.raises(HeadstartError, match="reference images"):
        load_classifier(classifier_directory)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(classifier_directory: Path, name: str) -> None:
    (classifier_directory / name).unlink()
    with pytest.raises(HeadstartError, match=f"no {name}"):
        load_classifier(classifier_directory)


@pytest.mark.parametrize("name", ["model.keras", "labels.json", "reference.npz"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_file_is_refused(classifier_directory: Path, name: str, share: float) -> None:
    whole = (classifier_directory / name).read_bytes()
    (classifier_directory / name).write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(HeadstartError, match="Expected a classifier that loads"):
        load_classifier(classifier_directory)


@pytest.mark.parametrize("name", ["model.keras", "reference.npz"])
def test_flipped_bytes_never_end_in_a_traceback(classifier_directory: Path, name: str) -> None:
    whole = (classifier_directory / name).read_bytes()
    refused = 0
    for position in np.random.default_rng(0).integers(0, len(whole), 12):
        damaged = bytearray(whole)
        damaged[position : position + 20] = bytes(255 - byte for byte in damaged[position : position + 20])
        (classifier_directory / name).write_bytes(damaged)
        try:
            load_classifier(classifier_directory)
        except HeadstartError:
            refused += 1
    assert refused > 6  # a byte that nothing reads does no harm


@pytest.mark.parametrize(
    "labels",
    [
        [],
        {"class_names": ["blue", "green", "red"]},
        {"class_names": ["blue", "green"], "image_size": 32, "resize": "stretch"},
        {"class_names": ["blue", "green", "red"], "image_size": 64, "resize": "stretch"},
        {"class_names": ["blue", "green", "red"], "image_size": "32", "resize": "stretch"},
        {"class_names": ["blue", "green", "red"], "image_size": 32, "resize": "squeeze"},
        {"class_names": 3, "image_size": 32, "resize": "stretch"},
    ],
)
def test_labels_that_do_not_match_are_refused(classifier_directory: Path, labels: object) -> None:
    (classifier_directory / "labels.json").write_text(json.dumps(labels))
    with pytest.raises(HeadstartError, match=str(classifier_directory)):
        load_classifier(classifier_directory)


def test_a_reference_is_never_unpickled(classifier_directory: Path, tmp_path: Path) -> None:
    class Touch:
        def __reduce__(self) -> tuple:
            return (os.mkdir, (str(tmp_path / "unpickled"),))

    np.savez(classifier_directory / "reference.npz", images=np.array([Touch()]), probabilities=np.zeros((1, 3)))
    with pytest.raises(HeadstartError, match="Expected a classifier that loads"):
        load_classifier(classifier_directory)
    assert not (tmp_path / "unpickled").exists()


def test_a_model_with_code_is_refused(classifier_directory: Path) -> None:
    import keras

    inputs = keras.Input((32, 32, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Lambda(lambda pixels: pixels / 255)(inputs))
    keras.Model(inputs, keras.layers.Softmax()(pooled)).save(classifier_directory / "model.keras")
    with pytest.raises(HeadstartError, match="Expected a classifier that loads"):
        load_classifier(classifier_directory)


def test_a_failure_while_saving_keeps_the_old_classifier(
    classifier: Classifier, classifier_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {file.name: file.read_bytes() for file in classifier_directory.iterdir()}

    def full_disk(*arguments: object, **more: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_classifier(
            classifier_directory, classifier.model, ("a", "b", "c"), 32, compose([*TINY]), np.zeros((1, 32, 32, 3))
        )
    assert {file.name: file.read_bytes() for file in classifier_directory.iterdir()} == before
    assert os.listdir(classifier_directory.parent) == ["classifier"]
