"""Exports a saved classifier to the formats of other runtimes, and verifies each export in its runtime.

savedmodel  TensorFlow Serving, TensorFlow.js converter, and other TensorFlow tools
litert      phones and small devices (formerly TensorFlow Lite)
onnx        ONNX Runtime and other ONNX runtimes, converted by tf2onnx
openvino    Intel CPUs and GPUs

All take RGB pixels 0-255, float32 (n, size, size, 3), for any n, and return the classifier's probabilities within its
TOLERANCE. Different summation orders change probabilities by up to about 1e-5 (docs/export.md), a wrong conversion or
bfloat16 by 1e-3 or more.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.classifier.description import LABELS, plain_description, read_description
from headstart.classifier.saved import TOLERANCE, Classifier
from headstart.core.errors import HeadstartError, expect_one_of, expect_writable
from headstart.core.files import atomic_directory, write_json
from headstart.inference.openvino import import_openvino
from headstart.model.heads import class_probabilities

if TYPE_CHECKING:
    import keras

Run = Callable[[np.ndarray], np.ndarray]  # pixels (n, size, size, 3) to outputs (n, ...)


@dataclass(frozen=True)
class Format:
    """An export format."""

    file: str  # name of the file or directory in the export's directory
    packages: tuple[str, ...]  # needed besides TensorFlow, to write and to run it
    extra: str | None  # headstart's extra that installs them
    write: Callable[[keras.Model, Path, dict[str, Any]], None]
    read: Callable[[Path], Run]


@dataclass(frozen=True)
class Exported:
    """An export, and its verification on the reference images."""

    directory: Path
    file: Path
    pictures: int  # number of reference images
    difference: float  # largest absolute difference from a stored probability
    spread: float  # of a class's probability over the reference images; without a spread the check means nothing


def check_format(name: str) -> None:
    """Check that a format exists and its packages are installed, without importing them.

    Args:
        name: of the format.

    Raises:
        HeadstartError: with the known formats, or the extra that installs the packages.
    """
    expect_one_of("format", name, tuple(FORMATS))
    form = FORMATS[name]
    missing = [package for package in form.packages if importlib.util.find_spec(package) is None]
    if missing:
        raise HeadstartError(
            f"Expected the packages {', '.join(form.packages)} for --format {name}. Received: no "
            f"{', '.join(missing)} in this environment",
            f"pip install 'headstart[{form.extra}]'",
        )


def export_classifier(classifier: Classifier, name: str, directory: Path) -> Exported:
    """Write a classifier in another format with its labels and verify it; write nothing if that fails.

    Args:
        classifier: loaded from a directory.
        name: `savedmodel`, `litert`, `onnx` or `openvino`.
        directory: for the export; replaced if it holds an earlier one.

    Raises:
        HeadstartError: when the format or its packages are missing, the directory holds other files, or the format's
            runtime returns other probabilities.
    """
    check_format(name)
    check_export_directory(directory)
    form = FORMATS[name]
    if classifier.directory is None:
        raise HeadstartError("Expected a saved classifier with reference images. Received: one that was not saved")
    labels = plain_description(read_description(classifier.directory))
    with np.load(classifier.directory / "reference.npz", allow_pickle=False) as reference:
        images, expected = reference["images"].astype(np.float32), reference["probabilities"]
    with expect_writable(directory, "directory"), atomic_directory(directory) as partial:
        with quiet(), naming_failures(name):
            form.write(classifier.model, partial / form.file, labels)
            run = form.read(partial / form.file)
            # All at once and one alone, because the batch size must be free.
            found = [class_probabilities(run(images)), class_probabilities(run(images[:1]))]
        difference = largest_difference(found, [expected, expected[:1]])
        if not difference <= TOLERANCE:  # also if it is NaN
            raise HeadstartError(
                f"Expected the exported {name} to reproduce the stored probabilities of the reference images "
                f"within {TOLERANCE:g}. Received: differences of up to {difference:.3g}; nothing was written"
            )
        exported = {"format": name, "file": form.file, "largest_difference": difference}
        write_json(partial / LABELS, {**labels, "export": exported})
    spread = float(np.ptp(expected, axis=0).max())
    return Exported(directory, directory / form.file, len(images), difference, spread)


def check_export_directory(directory: Path) -> None:
    """Check that a directory does not exist, is empty, or holds an earlier export.

    Args:
        directory: for an export.

    Raises:
        HeadstartError: when the directory holds other files, which the export would delete.
    """
    if directory.is_dir() and not any(directory.iterdir()):
        return
    if directory.exists() and not _is_export(directory):
        raise HeadstartError(
            f"Expected a new or empty directory, or an earlier export. Received: {directory}, which holds other files"
        )


def _is_export(directory: Path) -> bool:
    """Return whether a directory holds an export and nothing else."""
    try:
        file = json.loads((directory / LABELS).read_text(encoding="utf-8"))["export"]["file"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return {member.name for member in directory.iterdir()} <= {LABELS, file, Path(file).with_suffix(".bin").name}


def largest_difference(found: list[np.ndarray], expected: list[np.ndarray]) -> float:
    """Return the largest absolute difference of a probability; NaN if shapes differ."""
    pairs = list(zip(found, expected, strict=True))
    if any(one.shape != other.shape for one, other in pairs):
        return float("nan")
    return max(float(np.abs(one - other).max()) for one, other in pairs)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Suppress the output and the warnings of converters; errors are raised."""
    with warnings.catch_warnings(), open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        warnings.simplefilter("ignore")
        before = logging.root.manager.disable
        logging.disable(logging.CRITICAL)  # tf2onnx logs page-long tracebacks of errors that it recovers from
        try:
            yield
        finally:
            logging.disable(before)


@contextlib.contextmanager
def naming_failures(name: str) -> Iterator[None]:
    """Raise errors of a converter or runtime as HeadstartError.

    Args:
        name: of the format.
    """
    from tensorflow.lite.python.convert_phase import ConverterError

    try:
        yield
    except (RuntimeError, ValueError, TypeError, NotImplementedError, ConverterError) as error:
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise HeadstartError(f"Expected a network that can be exported as {name}. Received: {reason}") from error


def _write_savedmodel(model: keras.Model, place: Path, labels: dict[str, Any]) -> None:
    model.export(place, format="tf_saved_model", verbose=False)


def _read_savedmodel(place: Path) -> Run:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(place))
    return lambda pixels: loaded.serve(pixels).numpy()


def _write_litert(model: keras.Model, place: Path, labels: dict[str, Any]) -> None:
    import tensorflow as tf

    # Builtin operations only: devices may lack TensorFlow's operations, which Keras allows by default.
    own = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}
    model.export(place, format="litert", verbose=False, target_spec=own)


def _read_litert(place: Path) -> Run:
    import tensorflow as tf

    # TensorFlow 2.21 still includes the runtime; its successor ai-edge-litert returns the same numbers.
    interpreter = tf.lite.Interpreter(model_content=place.read_bytes())

    def run(pixels: np.ndarray) -> np.ndarray:
        [inputs], [outputs] = interpreter.get_input_details(), interpreter.get_output_details()
        interpreter.resize_tensor_input(inputs["index"], pixels.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(inputs["index"], pixels)
        interpreter.invoke()
        return interpreter.get_tensor(outputs["index"])

    return run


def _write_onnx(model: keras.Model, place: Path, labels: dict[str, Any]) -> None:
    import onnx

    model.export(place, format="onnx", verbose=False)
    written = onnx.load(place)
    onnx.helper.set_model_props(written, {name: _text(value) for name, value in labels.items()})
    onnx.save(written, place)


def _read_onnx(place: Path) -> Run:
    import onnxruntime
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph, NotImplemented

    try:
        session = onnxruntime.InferenceSession(place, providers=["CPUExecutionProvider"])
    except (Fail, InvalidGraph, NotImplemented) as error:  # tf2onnx keeps operations that it cannot convert
        raise ValueError(str(error).replace(str(place), place.name)) from error
    return lambda pixels: session.run(None, {session.get_inputs()[0].name: pixels})[0]


def _write_openvino(model: keras.Model, place: Path, labels: dict[str, Any]) -> None:
    openvino = import_openvino()
    without_labels = place.with_name("without_labels.xml")
    model.export(str(without_labels), format="openvino", verbose=False)
    written = openvino.Core().read_model(without_labels)
    for name, value in labels.items():
        written.set_rt_info(_text(value), ["headstart", name])
    openvino.save_model(written, place, compress_to_fp16=False)
    del written  # closes the file
    for suffix in (".xml", ".bin"):
        without_labels.with_suffix(suffix).unlink()


def _read_openvino(place: Path) -> Run:
    openvino = import_openvino()
    # By default OpenVINO computes in bfloat16 if the CPU supports it, which changes probabilities by some thousandths.
    compiled = openvino.Core().compile_model(place, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda pixels: np.array(compiled(pixels)[0])


def _text(value: object) -> str:
    """Return a value for the metadata: text unchanged, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


FORMATS = {
    "savedmodel": Format("saved_model", (), None, _write_savedmodel, _read_savedmodel),
    "litert": Format("model.tflite", (), None, _write_litert, _read_litert),
    "onnx": Format("model.onnx", ("tf2onnx", "onnx", "onnxruntime"), "onnx", _write_onnx, _read_onnx),
    "openvino": Format("model.xml", ("openvino",), "openvino", _write_openvino, _read_openvino),
}
