"""Precision, seeds and several devices. The machine of the tests has no GPU: two logical CPUs stand in for two."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import TINY

from headstart.config import compose
from headstart.core.errors import HeadstartError
from headstart.run.experiment import run
from headstart.training.hardware import choose_precision, choose_strategy, prepare_devices, seed_everything

without_gpu = pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="for machines without a GPU")


@without_gpu
def test_without_a_gpu_the_defaults_are_float32_and_one_device() -> None:
    assert prepare_devices() == []
    assert choose_precision("auto") == "float32"
    assert choose_strategy([]).num_replicas_in_sync == 1


@without_gpu
def test_a_configured_gpu_that_is_missing_ends_the_run_before_images_are_read(folder: Path, tmp_path: Path) -> None:
    config = compose([*TINY, f"dataset.root={folder}", "device=gpu"])
    with pytest.raises(HeadstartError, match="Expected a GPU for device=gpu"):
        run(config, tmp_path)
    assert not (tmp_path / "splits.csv").exists()


@pytest.mark.parametrize(("device", "visible"), [("cpu", []), ("auto", ["a GPU"]), ("gpu", ["a GPU"])])
def test_cpu_hides_the_gpus_and_the_others_show_them(
    device: str, visible: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = [["another one"]]
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["a GPU"])
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: seen[-1])
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda gpus, kind: seen.append(gpus))
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", lambda gpu, grow: None)
    prepare_devices(device)
    assert seen[-1] == visible


@pytest.mark.parametrize("precision", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_a_configured_precision_is_used(precision: str) -> None:
    assert choose_precision(precision) == precision


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ([], "float32"),
        ([(6, 1)], "float32"),
        ([(7, 5)], "mixed_float16"),
        ([(8, 0), (7, 0)], "mixed_float16"),
        ([(8, 0), (6, 1)], "float32"),
    ],
)
def test_auto_is_half_precision_if_every_gpu_has_tensor_cores(
    monkeypatch: pytest.MonkeyPatch, capabilities: list[tuple[int, int]], expected: str
) -> None:
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: capabilities)
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: {"compute_capability": gpu})
    assert choose_precision("auto") == expected


def test_one_device_uses_the_default_strategy() -> None:
    assert not isinstance(choose_strategy(["CPU:0"]), tf.distribute.MirroredStrategy)


def test_a_run_starts_from_a_known_state() -> None:
    def state(seed: int) -> tuple[str, list[float], float, float]:
        seed_everything(seed, deterministic=True, precision="mixed_bfloat16")
        layer = keras.layers.Dense(2)
        layer.build((None, 3))
        numbers = layer.kernel.numpy().ravel().tolist()
        return f"{layer.name} {layer.compute_dtype}", numbers, float(np.random.rand()), float(tf.random.uniform([]))

    try:
        first = state(3)
        keras.layers.Dense(1)
        assert state(3) == first
        assert first[0] == "dense bfloat16"
        assert state(4)[1:] != first[1:]
    finally:
        keras.config.set_dtype_policy("float32")


PROGRAM = """
import json, sys, warnings
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
warnings.simplefilter("error")
warnings.filterwarnings("default", module=r"(tensorflow|keras|google)\\.")

from dataclasses import asdict
from pathlib import Path
import numpy as np
from tiny import SIZE, index_of, pictures, stage, tiny_network, train, train_on
from headstart.config import AugmentationConfig
from headstart.data.augmentation import Augmentation
from headstart.data.pipeline import BatchPlan, evaluation_dataset, training_dataset
from headstart.data.pixel_cache import Files
from headstart.core.errors import HeadstartError
from headstart.training.hardware import choose_strategy, seed_everything

TWO = ["CPU:0", "CPU:1"]


def from_memory(devices, precision, stages, weights):
    images, targets = pictures(20)  # the last batch is smaller than the others
    seed_everything(0, True, precision)
    with choose_strategy(devices).scope():
        network = tiny_network()
        result = train(network, stages, images, targets, np.float32(weights), batch_size=8)
    finite = all(np.isfinite(value).all() for value in network.classifier.get_weights())
    return {"history": [asdict(record) for record in result.history], "finite": finite}


def from_files(devices, count, batch_size, stages):
    index = index_of(Path(sys.argv[1]))
    index = index.take(np.arange(count) * 7 % len(index))
    seed_everything(0, True, "float32")
    with choose_strategy(devices).scope():
        network = tiny_network()
        augmentation = Augmentation(AugmentationConfig("none"))
        ones = np.ones(3, np.float32)
        files = Files(index, SIZE, "stretch")
        training = training_dataset(index, files, BatchPlan(batch_size, 0), ones, False, augmentation)
        validation = evaluation_dataset(index, files, batch_size, False)
        result = train_on(network, stages, training, validation, -(-count // batch_size))
    images, targets = map(np.concatenate, zip(*validation.as_numpy_iterator()))
    entropies = -np.log(network.classifier(images)[targets > 0])
    return {"recorded": result.best.validation_loss, "evaluated": float(np.mean(entropies))}


values = {"learning_rate": 0.3, "ema": 0.5, "weight_decay": 0.1, "layer_decay": 0.5}
stages = [stage("head", "head", learning_rate=0.05), stage("last_block", "block", epochs=3, **values)]
found = {
    precision: [from_memory(devices, precision, stages, np.linspace(0.5, 2, 20)) for devices in (["CPU:0"], TWO)]
    for precision in ("float32", "mixed_float16")
}
second_half = np.tile([1, 1, 1, 1, 1e7, 1e7, 1e7, 1e7], 3)[:20]  # too much for half precision, on the second device
found["overflow"] = from_memory(TWO, "mixed_float16", [stage("all", learning_rate=1e-9)], second_half)
found["odd"] = from_files(TWO, 19, 8, [stage("all")])
found["refused"] = []
for refused, batch_size in ((stage("head", accumulate=2), 8), (stage("head"), 7)):
    try:
        from_files(TWO, 20, batch_size, [refused])
    except HeadstartError as error:
        found["refused"].append(str(error))
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def distributed(folder: Path) -> dict:
    """Return what the program above found in a process of its own: devices are fixed when TensorFlow starts."""
    tests = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder)],
        # oneDNN's graph changes mix two logical CPUs up (TensorFlow 2.21: "input depth must be evenly divisible by
        # filter depth"); it has no part in training on GPUs, which these stand for.
        env={
            **os.environ,
            "PYTHONPATH": str(tests),
            "TF_CPP_MIN_LOG_LEVEL": "2",
            "TF_ENABLE_ONEDNN_OPTS": "0",
        },
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-4), ("mixed_float16", 1e-2)])
def test_two_devices_train_as_one_does(distributed: dict, precision: str, tolerance: float) -> None:
    one, two = (run["history"] for run in distributed[precision])
    assert len(one) == len(two) == 4
    assert one[3]["validation_loss"] < 0.9 * one[0]["validation_loss"]  # something was learned that could differ
    for alone, together in zip(one, two, strict=True):
        for figure in ("train_loss", "validation_loss", "learning_rate"):
            assert together[figure] == pytest.approx(alone[figure], rel=tolerance), figure


@pytest.mark.slow
def test_an_overflow_on_any_device_never_reaches_the_weights(distributed: dict) -> None:
    assert distributed["overflow"]["finite"]


@pytest.mark.slow
def test_an_image_that_devices_cannot_share_counts_once_in_validation(distributed: dict) -> None:
    assert distributed["odd"]["recorded"] == pytest.approx(distributed["odd"]["evaluated"], rel=1e-4)


@pytest.mark.slow
def test_settings_that_several_devices_cannot_use_are_refused(distributed: dict) -> None:
    accumulate, batch_size = distributed["refused"]
    assert "Expected optimizer.accumulate to be 1 with 2 GPUs" in accumulate
    assert "Expected batch_size to be a multiple of 2, the number of GPUs. Received: 7" in batch_size
