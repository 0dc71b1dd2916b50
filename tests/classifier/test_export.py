"""Exports are verified in their runtime, and written completely or not at all."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import check_exports
from headstart.classifier import export
from headstart.classifier.export import FORMATS, check_format, export_classifier
from headstart.classifier.saved import TOLERANCE, Classifier, load_classifier
from headstart.cli import export as command
from headstart.core.errors import HeadstartError
from headstart.model.heads import class_probabilities


def installed(name: str) -> bool:
    return all(importlib.util.find_spec(package) for package in FORMATS[name].packages)


def format_parameters(*names: str) -> list[Any]:
    """Return formats for `parametrize`, those whose packages are missing to be skipped."""
    return [
        pytest.param(
            name, marks=pytest.mark.skipif(not installed(name), reason=f"needs the extra {FORMATS[name].extra}")
        )
        for name in names
    ]


@pytest.fixture(scope="module")
def run_directory(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of its own to write into."""
    place = tmp_path_factory.mktemp("run") / "run"
    shutil.copytree(finished_run / "classifier", place / "classifier")
    return place


@pytest.fixture(scope="module")
def classifier(run_directory: Path) -> Classifier:
    return load_classifier(run_directory)


@pytest.mark.parametrize("name", format_parameters(*FORMATS))
def test_an_export_gives_the_probabilities_of_the_classifier(
    name: str, run_directory: Path, classifier: Classifier, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main([str(run_directory), "--format", name]) == 0
    place = run_directory / f"classifier_{name}"
    assert f"{place / FORMATS[name].file}\n" in capsys.readouterr().out
    run = FORMATS[name].read(place / FORMATS[name].file)
    pixels = np.random.default_rng(0).uniform(0, 255, (3, 32, 32, 3))  # not the reference pictures
    pixels = (pixels / np.array([1, 2, 5])[:, None, None, None]).astype(np.float32)
    expected = classifier.probabilities(pixels)
    assert np.ptp(expected, axis=0).max() > 1e-3
    np.testing.assert_allclose(class_probabilities(run(pixels)), expected, atol=1e-5)
    labels = json.loads((place / "labels.json").read_text())
    assert labels["class_names"] == ["blue", "green", "red"]
    assert labels["card"] == json.loads((run_directory / "classifier" / "labels.json").read_text())["card"]
    assert labels["card"]["run"].startswith("last_block linear s0 small_cnn")
    assert labels["export"]["largest_difference"] < 1e-5
    assert (labels["image_size"], labels["export"]["format"]) == (32, name)


@pytest.mark.parametrize("name", format_parameters("onnx"))
def test_onnx_has_the_labels_inside(name: str, run_directory: Path) -> None:
    import onnxruntime

    command.main([str(run_directory), "--format", name])
    session = onnxruntime.InferenceSession(run_directory / "classifier_onnx" / "model.onnx")
    properties = session.get_modelmeta().custom_metadata_map
    assert json.loads(properties["class_names"]) == ["blue", "green", "red"]
    assert properties["resize"] == "stretch"


@pytest.mark.parametrize("name", format_parameters("openvino"))
def test_openvino_has_the_labels_inside(name: str, run_directory: Path) -> None:
    from headstart.inference.openvino import import_openvino

    command.main([str(run_directory), "--format", name])
    model = import_openvino().Core().read_model(run_directory / "classifier_openvino" / "model.xml")
    assert json.loads(model.get_rt_info(["headstart", "class_names"]).astype(str)) == ["blue", "green", "red"]


@pytest.mark.slow
def test_an_export_replaces_an_earlier_one(classifier: Classifier, tmp_path: Path) -> None:
    place = tmp_path / "export"
    place.mkdir()  # an empty one will do
    export_classifier(classifier, "litert", place)
    export_classifier(classifier, "savedmodel", place)
    assert {file.name for file in place.iterdir()} == {"labels.json", "saved_model"}


@pytest.mark.parametrize("more", ["nothing of ours", "an export and a note"])
def test_other_files_are_not_deleted(more: str, classifier: Classifier, tmp_path: Path) -> None:
    place = tmp_path / "photos"
    if more == "an export and a note":
        export_classifier(classifier, "litert", place)
    place.mkdir(exist_ok=True)
    (place / "note.txt").write_text("mine")
    with pytest.raises(HeadstartError, match="which holds other files"):
        export_classifier(classifier, "litert", place)
    assert (place / "note.txt").read_text() == "mine"
    assert [file.name for file in tmp_path.iterdir()] == ["photos"]


def test_a_wrong_export_is_refused_and_leaves_nothing(
    run_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def write_another(model: keras.Model, place: Path, labels: dict[str, Any]) -> None:
        other = keras.models.clone_model(model)
        other.set_weights([weight * 1.05 for weight in model.get_weights()])
        other.export(place, format="tf_saved_model", verbose=False)

    wrong = export.Format("saved_model", (), None, write_another, FORMATS["savedmodel"].read)
    monkeypatch.setitem(FORMATS, "savedmodel", wrong)
    assert command.main([str(run_directory), "--format", "savedmodel", "--into", str(tmp_path / "export")]) == 1
    said = capsys.readouterr().err
    assert "within 0.0001" in said
    assert "; nothing was written" in said
    assert not list(tmp_path.iterdir())


def test_a_converter_that_fails_is_named(
    run_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(model: keras.Model, place: Path, labels: dict[str, Any]) -> None:
        place.write_text("half")
        raise RuntimeError("no such operation\nand more")

    monkeypatch.setitem(FORMATS, "litert", export.Format("model.tflite", (), None, fail, FORMATS["litert"].read))
    assert command.main([str(run_directory), "--format", "litert", "--into", str(tmp_path / "export")]) == 1
    assert "Received: no such operation" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [name for name, form in FORMATS.items() if form.packages])
def test_a_missing_package_error_names_the_extra(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    assert command.main([str(tmp_path), "--format", name]) == 1
    assert f"pip install 'headstart[{FORMATS[name].extra}]'" in capsys.readouterr().err.replace("\n", " ")


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(HeadstartError, match="did you mean onnx"):
        check_format("onx")


@pytest.fixture(scope="module", params=check_exports.NETWORKS, ids="-".join)
def network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, Path]:
    """Return a backbone, its head and the saved classifier, small enough for a test."""
    backbone, head = request.param
    directory = tmp_path_factory.mktemp("networks") / f"{backbone}_{head}"
    return backbone, head, check_exports.save_network(backbone, directory, image_size=96, head=head)


@pytest.mark.slow
@pytest.mark.parametrize("name", format_parameters(*FORMATS))
def test_every_network_in_every_format(network: tuple[str, str, Path], name: str) -> None:
    backbone, head, classifier = network
    measured = check_exports.measure(classifier, backbone, name, head)
    assert measured.exported.pictures == check_exports.PICTURES
    assert measured.exported.spread > 0.3
    assert measured.exported.difference <= TOLERANCE
