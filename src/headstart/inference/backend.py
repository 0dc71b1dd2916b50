"""The inference backend: TensorFlow, or OpenVINO, which is faster without a GPU.

OpenVINO (https://docs.openvino.ai) converts the network in memory, with its current weights. On the first batch its
outputs are compared with TensorFlow's; if they differ, TensorFlow takes over. Training always uses TensorFlow.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.core.console import print_to_stderr
from headstart.core.errors import HeadstartError, expect_one_of
from headstart.core.tensorflow_import import import_tensorflow
from headstart.inference.openvino import Requests, import_openvino

if TYPE_CHECKING:
    import keras

BACKENDS = ("auto", "tensorflow", "openvino")
TOLERANCE = 1e-4  # relative to the largest output, or to 1 if all outputs are smaller, as probabilities are
COMPARED = 8  # rows of the first batch that both backends compute


def check_inference_backend(backend: str) -> None:
    """Raise unless an inference backend is known and installed; imports nothing.

    Args:
        backend: `auto`, `tensorflow` or `openvino`.

    Raises:
        HeadstartError: when it is none of these, or OpenVINO is not installed.
    """
    expect_one_of("inference_backend", backend, BACKENDS)
    if backend == "openvino" and not _installed():
        raise HeadstartError(
            "Expected the package openvino for inference_backend=openvino. Received: none in this environment",
            "pip install 'headstart[openvino]', or inference_backend=auto, which does without it",
        )


def resolve_inference_backend(backend: str) -> str:
    """Return the inference backend to use on this machine, `tensorflow` or `openvino`.

    Args:
        backend: `auto`, `tensorflow` or `openvino`; `auto` is OpenVINO if it is installed and there is no GPU.

    Raises:
        HeadstartError: as `check_inference_backend`.
    """
    check_inference_backend(backend)
    if backend != "auto":
        return backend
    if not _installed():
        return "tensorflow"
    import_tensorflow()
    import tensorflow as tf

    return "tensorflow" if tf.config.get_visible_devices("GPU") else "openvino"


class InferenceModel:
    """A network that is ready for inference: call it with a batch to get its first output, or use `outputs` for all."""

    def __init__(self, model: keras.Model, backend: str) -> None:
        """Prepare a network; see `forward`."""
        import tensorflow as tf

        if len(model.inputs) != 1:
            raise ValueError(f"Expected a model with one input. Received: {len(model.inputs)}")
        self.backend = "tensorflow"  # the inference backend that runs
        self._shape = tuple(model.inputs[0].shape[1:])
        self._function = tf.function(
            lambda rows: tf.nest.flatten(model(tf.cast(rows, tf.float32), training=False)), autograph=False
        )
        self._requests: Requests | None = None
        self._compared = False
        if backend == "openvino":
            half = {layer.compute_dtype for layer in model._flatten_layers()} - {"float32"}
            if half:
                _report(f"OpenVINO runs no network in {' and '.join(sorted(half))}, so TensorFlow runs it")
            else:
                self._convert(model)

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Return the first output of a batch, float (n, ...); one thread at a time.

        Args:
            rows: inputs of the network, uint8 or float, (n, ...); n may differ from call to call.
        """
        return self.outputs(rows)[0]

    def outputs(self, rows: np.ndarray) -> list[np.ndarray]:
        """Return every output of a batch, float (n, ...) each, from one pass; one thread at a time.

        Args:
            rows: inputs of the network, uint8 or float, (n, ...); n may differ from call to call.
        """
        if self._requests is not None and not self._compared and len(rows):
            self._compare(self._requests, rows[:COMPARED])
        return self._by_tensorflow(rows) if self._requests is None else self._requests(rows)

    def _by_tensorflow(self, rows: np.ndarray) -> list[np.ndarray]:
        import tensorflow as tf

        return [values.numpy() for values in self._concrete(rows.dtype)(tf.constant(rows))]

    def _concrete(self, dtype: Any) -> Any:
        """Return the function for one type and any number of rows; it is traced once."""
        import tensorflow as tf

        return self._function.get_concrete_function(tf.TensorSpec((None, *self._shape), dtype))

    def _convert(self, model: keras.Model) -> None:
        openvino = import_openvino()
        failures = openvino.frontend
        try:
            shapes = [tuple(output.shape[1:]) for output in model.outputs]
            self._requests = Requests(self._concrete("float32"), self._shape, shapes)
            self.backend = "openvino"
        except (
            RuntimeError,
            failures.GeneralFailure,
            failures.NotImplementedFailure,
            failures.OpConversionFailure,
            failures.OpValidationFailure,
        ) as error:
            reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
            _report(f"OpenVINO cannot run this network ({reason}), so TensorFlow runs it")

    def _compare(self, requests: Requests, rows: np.ndarray) -> None:
        """Switch to TensorFlow if OpenVINO computes other outputs."""
        expected = self._by_tensorflow(rows.astype(np.float32))
        self._compared = True
        for found, wanted in zip(requests(rows), expected, strict=True):
            difference = float(np.abs(found - wanted).max())
            largest = max(1.0, float(np.abs(wanted).max()))
            if not difference <= TOLERANCE * largest:  # also true if one of them is not a number
                _report(
                    f"OpenVINO's outputs differ from TensorFlow's by {difference / largest:.2g} of the largest output, "
                    f"more than {TOLERANCE:g}, so TensorFlow runs the network"
                )
                self.backend, self._requests = "tensorflow", None
                return


def forward(model: keras.Model, backend: str) -> InferenceModel:
    """Prepare a network for inference.

    Args:
        model: a functional model of one input: a whole classifier, or its part before or after a split point.
            OpenVINO keeps the current weights.
        backend: `auto`, `tensorflow` or `openvino`. TensorFlow runs a network that OpenVINO cannot run, that is not
            float32, or whose outputs differ by more than TOLERANCE, and a message says so.

    Raises:
        HeadstartError: as `check_inference_backend`.
    """
    return InferenceModel(model, resolve_inference_backend(backend))


def _installed() -> bool:
    return importlib.util.find_spec("openvino") is not None


def _report(message: str) -> None:
    """Print a message to standard error: another program may read the output of this one."""
    print_to_stderr(f"Inference backend: {message}")
