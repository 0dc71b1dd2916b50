"""A run with a head that scikit-learn fitted writes and reads no pickle, and what it saved says what was evaluated."""

from __future__ import annotations

import csv
import io
import json
import pickle
import pickletools
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import joblib
import keras
import mlflow
import numpy as np
import pytest
from conftest import TINY

from headstart.classifier.saved import load_classifier
from headstart.config import compose
from headstart.data.files.images import load_image
from headstart.run.experiment import run

WRITERS_AND_READERS = [
    *((pickle, name) for name in ("dump", "dumps", "load", "loads")),
    *((cloudpickle, name) for name in ("dump", "dumps", "load", "loads")),
    *((joblib, name) for name in ("dump", "load")),
]


@pytest.fixture(scope="module")
def outputs_and_calls(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Return the outputs of a run with a support vector machine, and the pickle functions that were called in it."""
    outputs = tmp_path_factory.mktemp("no_pickle")
    calls: list[str] = []

    def observed(module: Any, name: str) -> Any:
        plain = getattr(module, name)

        def call(*arguments: Any, **named: Any) -> Any:
            calls.append(f"{module.__name__}.{name}")
            return plain(*arguments, **named)

        return call

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_OUTPUTS", str(outputs))
        for module, name in WRITERS_AND_READERS:
            patch.setattr(module, name, observed(module, name))
        (outputs / "runs" / "svm").mkdir(parents=True)
        run(compose([*TINY, f"dataset.root={folder}", "head=svm", "freeze=all"]), outputs / "runs" / "svm")
        load_classifier(outputs / "runs" / "svm")
    return outputs, calls


def members(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield a file, and whatever lies in it if it is an archive."""
    yield name, content
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.namelist():
                yield from members(f"{name}:{member}", archive.read(member))


def is_pickle(content: bytes) -> bool:
    """Tell by its content whether a file would be read as a pickle of any protocol, NumPy's arrays of objects too."""
    if content.startswith(b"\x93NUMPY"):
        try:
            np.load(io.BytesIO(content), allow_pickle=False)
        except ValueError:
            return True
        return False
    if content[:1] == b"\x80" and content[1:2] in b"\x02\x03\x04\x05":
        return True
    try:
        with warnings.catch_warnings(action="ignore"):  # about what looks like an escape in other files
            for _ in pickletools.genops(content):
                pass
    except (ValueError, IndexError, OverflowError, UnicodeDecodeError):
        return False
    return True


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_the_scan_would_find_one(protocol: int) -> None:
    content = pickle.dumps({"weights": [1.0, 2.0], "of": LookupError}, protocol)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("inner.txt", content)
    assert [is_pickle(part) for _, part in members("model.zip", archive.getvalue())] == [False, True]
    objects, numbers = io.BytesIO(), io.BytesIO()
    np.savez(objects, values=np.array([{}], dtype=object))
    np.savez(numbers, values=np.ones(3))
    assert any(is_pickle(part) for _, part in members("objects.npz", objects.getvalue()))
    assert not any(is_pickle(part) for _, part in members("numbers.npz", numbers.getvalue()))


def test_nothing_pickles_or_reads_a_pickle_in_a_run(outputs_and_calls: tuple[Path, list[str]]) -> None:
    assert outputs_and_calls[1] == []


def test_no_file_of_a_run_is_a_pickle(outputs_and_calls: tuple[Path, list[str]]) -> None:
    outputs = outputs_and_calls[0]
    files = [file for file in outputs.rglob("*") if file.is_file()]
    names = {file.name for file in files}
    assert {"model.keras", "reference.npz", "MLmodel", "mlflow.db", "results.json"} <= names
    assert [file for file in files if file.suffix == ".rows"]  # decoded images and activations
    scanned = [part for file in files for part in members(str(file.relative_to(outputs)), file.read_bytes())]
    assert any(name.endswith("model.keras:model.weights.h5") for name, _ in scanned)
    assert [name for name, content in scanned if is_pickle(content)] == []


def test_what_was_saved_says_what_was_evaluated(outputs_and_calls: tuple[Path, list[str]], folder: Path) -> None:
    output = outputs_and_calls[0] / "runs" / "svm"
    results = json.loads((output / "results.json").read_text())
    with (output / "predictions.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    classifier = load_classifier(output)
    said = np.array([[float(row[f"probability_{name}"]) for name in classifier.class_names] for row in rows])
    images = np.stack([load_image(folder / row["path"], 32, "stretch") for row in rows]).astype(np.float32)
    np.testing.assert_allclose(classifier.probabilities(images), said, atol=1e-5)
    right = [row["label"] == row["predicted"] for row in rows if row["split"] == "test"]
    assert np.mean(right) == pytest.approx(results["splits"]["test"]["accuracy"])

    client = mlflow.MlflowClient(results["tracking_uri"])
    [model] = client.search_logged_models(experiment_ids=[results["experiment_id"]])
    [tracked] = Path(model.artifact_location.removeprefix("file://")).rglob("model.keras")
    plain = keras.models.load_model(tracked, safe_mode=True)
    np.testing.assert_allclose(plain.predict(images, verbose=0), said, atol=1e-5)
