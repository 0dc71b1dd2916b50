"""OpenVINO computes TensorFlow's outputs or does not run; without OpenVINO, TensorFlow runs everything."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from conftest import TINY
from tiny import SIZE, pictures, tiny_network

from headstart.classifier.saved import load_classifier
from headstart.config import BackboneConfig, HeadConfig, LastBlock, compose
from headstart.core.environment import Clock
from headstart.core.errors import HeadstartError
from headstart.features.boundary import frozen_boundary
from headstart.inference.backend import COMPARED, TOLERANCE, forward, resolve_inference_backend
from headstart.inference.openvino import import_openvino
from headstart.model.head_input import with_head_input
from headstart.model.network import Network, build_network
from headstart.results.codec import to_plain
from headstart.run.experiment import run
from headstart.run.setup import set_up_run


@pytest.fixture
def openvino() -> Any:
    """Skip where OpenVINO is not installed; it comes without its telemetry, as headstart imports it."""
    if not importlib.util.find_spec("openvino"):
        pytest.skip("pip install 'headstart[openvino]'")
    return import_openvino()


@pytest.fixture
def no_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Python find no OpenVINO."""
    monkeypatch.setitem(sys.modules, "openvino", None)


def network_of(backbone: str, size: int = SIZE) -> Network:
    """Return a classifier with random weights whose outputs differ from picture to picture."""
    keras.utils.set_random_seed(0)
    network = build_network(BackboneConfig(backbone, "none"), HeadConfig("head", units=16), 5, size, seed=0)
    for layer in network.backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0  # untrained statistics would let the signal fade; these are of the next batch
    network.backbone(np.random.default_rng(1).normal(size=(4, size, size, 3)), training=True)
    return network


def expect_close(received: np.ndarray, expected: np.ndarray) -> None:
    """Raise unless outputs are the same within the tolerance, and tell one row from another."""
    assert received.shape == expected.shape
    assert received.dtype == np.float32
    largest = max(1.0, np.abs(expected).max())
    assert np.abs(received - expected).max() <= TOLERANCE * largest
    assert np.ptp(expected, axis=0).max() > 30 * TOLERANCE * largest


@pytest.mark.usefixtures("no_openvino")
def test_a_missing_package_is_reported_before_any_work(finished_run: Path, tmp_path: Path) -> None:
    with pytest.raises(HeadstartError, match=r"openvino.*pip install 'headstart\[openvino\]'"):
        resolve_inference_backend("openvino")
    with pytest.raises(HeadstartError, match="pip install"):
        load_classifier(finished_run, inference_backend="openvino")
    config = compose(["inference_backend=openvino", "dataset=folder", f"dataset.root={tmp_path}/missing"])
    with pytest.raises(HeadstartError, match="pip install"):
        set_up_run(config, tmp_path, Clock(time.time()))


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(HeadstartError, match="auto, tensorflow, openvino"):
        resolve_inference_backend("torch")
    with pytest.raises(HeadstartError, match="inference_backend"):
        compose(["inference_backend=torch"])


@pytest.mark.usefixtures("no_openvino")
def test_auto_is_tensorflow_without_openvino(capfd: pytest.CaptureFixture[str]) -> None:
    assert resolve_inference_backend("auto") == resolve_inference_backend("tensorflow") == "tensorflow"
    network = tiny_network()
    images, _ = pictures(5)
    ready = forward(network.classifier, "auto")
    assert ready.backend == "tensorflow"
    np.testing.assert_allclose(ready(images), network.classifier(images, training=False), atol=1e-6)
    whole = images.astype(np.uint8)
    np.testing.assert_allclose(ready(whole), ready(whole.astype(np.float32)), atol=1e-6)
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("openvino")
def test_auto_is_openvino_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow as tf

    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [])
    assert resolve_inference_backend("auto") == "openvino"
    assert resolve_inference_backend("tensorflow") == "tensorflow"
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: ["a GPU"])
    assert resolve_inference_backend("auto") == "tensorflow"
    assert resolve_inference_backend("openvino") == "openvino"


@pytest.mark.usefixtures("openvino")
def test_both_backends_agree_on_several_outputs_of_one_pass() -> None:
    network = network_of("small_cnn")
    model = with_head_input(network.classifier)
    rows = np.random.default_rng(0).integers(0, 256, (41, SIZE, SIZE, 3), dtype=np.uint8)
    ready = forward(model, "openvino")
    found, expected = ready.outputs(rows), forward(model, "tensorflow").outputs(rows)
    assert ready.backend == "openvino"
    assert len(found) == len(expected) == 2
    for received, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(received, wanted, atol=TOLERANCE * max(1.0, np.abs(wanted).max()))
    np.testing.assert_array_equal(ready(rows), found[0])


@pytest.mark.usefixtures("openvino")
@pytest.mark.parametrize(
    ("backbone", "size"), [("small_cnn", 32), ("efficientnet_lite0", 64), ("mobilenetv2", 64), ("vgg16", 32)]
)
def test_both_backends_agree(backbone: str, size: int, capfd: pytest.CaptureFixture[str]) -> None:
    network = network_of(backbone, size)
    boundary = frozen_boundary(network, LastBlock())
    assert boundary is not None
    rows: np.ndarray = np.random.default_rng(0).integers(0, 256, (7, size, size, 3), dtype=np.uint8)
    rows[:3] //= 8  # dark ones
    for model in (boundary.prefix, boundary.suffix, network.classifier):
        given = boundary.prefix(rows, training=False).numpy() if model is boundary.suffix else rows
        ready, expected = forward(model, "openvino"), forward(model, "tensorflow")(given)
        received = ready(given)
        assert ready.backend == "openvino"
        expect_close(received, expected)
        np.testing.assert_array_equal(ready(given), received)
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("openvino")
@pytest.mark.parametrize("size", [32, 64, 160])  # several pictures a request, and one
def test_batches_may_have_any_size(size: int) -> None:
    inputs = keras.Input((size, size, 3))
    outputs = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, activation="relu")(inputs[..., ::-1] + 1))
    model = keras.Model(inputs, outputs)
    rows = np.random.default_rng(0).uniform(0, 255, (37, size, size, 3)).astype(np.float32)
    rows *= np.linspace(0, 1, 37, dtype=np.float32)[:, None, None, None]
    expected = model(rows, training=False).numpy()
    ready = forward(model, "openvino")
    for count in (0, 37, 1, 16, 5, 33):
        received = ready(rows[:count])
        assert received.shape == (count, 4)
        np.testing.assert_allclose(received, expected[:count], rtol=1e-4, atol=1e-4)
    assert ready.backend == "openvino"


@pytest.fixture
def fault(openvino: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let OpenVINO's outputs be a little too large."""
    convert = openvino.convert_model

    def convert_with_a_fault(function: Any) -> Any:
        converted = convert(function)
        last = converted.outputs[0].get_node().input_value(0)
        return openvino.Model([openvino.opset13.multiply(last, np.float32(1.01))], converted.get_parameters())

    monkeypatch.setattr(openvino, "convert_model", convert_with_a_fault)


@pytest.mark.usefixtures("fault")
def test_tensorflow_runs_if_the_outputs_differ(capsys: pytest.CaptureFixture[str]) -> None:
    network = network_of("small_cnn")
    images, _ = pictures(COMPARED + 3)
    ready = forward(network.classifier, "openvino")
    assert ready.backend == "openvino"
    np.testing.assert_array_equal(ready(images), forward(network.classifier, "tensorflow")(images))
    assert ready.backend == "tensorflow"
    ready(images)
    printed = capsys.readouterr()
    assert printed.out == ""  # where another program may read the answer
    assert printed.err.count("\n") == 1
    assert "differ from TensorFlow's" in printed.err


@pytest.mark.parametrize(("prepared", "ran"), [("openvino", "openvino"), ("fault", "tensorflow")])
def test_a_run_records_which_backend_ran(
    prepared: str, ran: str, folder: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(prepared)
    overrides = [f"dataset.root={folder}", "freeze=scratch", "epochs=1", "inference_backend=openvino"]
    environment = run(compose([*TINY, *overrides]), tmp_path).environment
    assert environment is not None
    assert environment.inference_backend == ran
    assert "openvino" in environment.packages
    assert json.loads((tmp_path / "results.json").read_text())["environment"] == to_plain(environment)


@pytest.mark.usefixtures("openvino")
def test_tensorflow_runs_an_operation_that_openvino_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    inputs = keras.Input((4, 4))
    model = keras.Model(inputs, keras.ops.linalg.det(inputs))
    rows = np.random.default_rng(0).normal(size=(3, 4, 4)).astype(np.float32)
    ready = forward(model, "openvino")
    assert ready.backend == "tensorflow"
    np.testing.assert_allclose(ready(rows), np.linalg.det(rows), rtol=1e-3)
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "OpenVINO cannot run this network" in error


@pytest.mark.usefixtures("openvino")
def test_tensorflow_runs_half_precision(capsys: pytest.CaptureFixture[str]) -> None:
    inputs = keras.Input((8,))
    model = keras.Model(inputs, keras.layers.Dense(3, dtype="mixed_bfloat16")(inputs))
    assert forward(model, "openvino").backend == "tensorflow"
    assert "bfloat16" in capsys.readouterr().err


@pytest.mark.usefixtures("openvino")
def test_a_loaded_classifier_predicts_the_same(finished_run: Path, folder: Path) -> None:
    files = sorted(folder.glob("*/*.png"))[:11]
    answers = {}
    for backend in ("tensorflow", "openvino"):
        classifier = load_classifier(finished_run, inference_backend=backend)
        assert classifier.forward.backend == backend
        answers[backend] = np.stack([row for _, row in classifier.predict(files, batch_size=4)])
    expect_close(answers["openvino"], answers["tensorflow"])


@pytest.mark.usefixtures("openvino")
def test_openvino_sends_no_telemetry(tmp_path: Path) -> None:
    program = (
        "from headstart.inference.openvino import import_openvino\n"
        "import_openvino()\n"
        "import openvino.tools.ovc as converter\n"
        "print(type(converter.telemetry).__module__)"
    )
    found = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == "openvino.tools.ovc.telemetry_stub"
    assert found.stderr == ""
    assert not list(tmp_path.iterdir())  # nor an identity to send
