"""What runs a network that only goes forward: TensorFlow, or OpenVINO, which is faster where there is no GPU.

OpenVINO (https://docs.openvino.ai) gets the network from memory with its weights as they are then. Its numbers are held
against TensorFlow's on the first batch; where they are apart TensorFlow goes on. Gradients are always TensorFlow's.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from headstart.core.errors import HeadstartError, expect_one_of
from headstart.core.tensorflow_import import import_tensorflow
from headstart.inference.openvino import Requests, import_openvino

if TYPE_CHECKING:
    import keras

ENGINES = ("auto", "tensorflow", "openvino")
TOLERANCE = 1e-4  # of the largest output; of 1 where outputs are smaller, as probabilities are
COMPARED = 8  # rows of the first batch


def check_inference_backend(engine: str) -> None:
    """Raise when an engine is asked for by name and missing; imports nothing.

    Args:
        engine: `auto`, `tensorflow` or `openvino`.

    Raises:
        HeadstartError: when it is none of these, or OpenVINO is not installed.
    """
    expect_one_of("inference_backend", engine, ENGINES)
    if engine == "openvino" and not _installed():
        raise HeadstartError(
            "Expected the package openvino for inference_backend=openvino. Received: none in this environment; "
            "pip install 'headstart[openvino]', or inference_backend=auto, which does without it"
        )


def resolve_inference_backend(engine: str) -> str:
    """Return which engine a configured one stands for here, `tensorflow` or `openvino`.

    Args:
        engine: `auto`, `tensorflow` or `openvino`; `auto` is OpenVINO where it is installed and there is no GPU.

    Raises:
        HeadstartError: as `check_inference_backend` does.
    """
    check_inference_backend(engine)
    if engine != "auto":
        return engine
    if not _installed():
        return "tensorflow"
    import_tensorflow()
    import tensorflow as tf

    return "tensorflow" if tf.config.get_visible_devices("GPU") else "openvino"


class InferenceModel:
    """A network made ready to run in inference mode: a batch in, its outputs out."""

    def __init__(self, model: keras.Model, engine: str) -> None:
        """Get a network ready; see `forward`."""
        import tensorflow as tf

        if len(model.inputs) != 1 or len(model.outputs) != 1:
            raise ValueError("Expected a model with one input and one output")
        self.engine = "tensorflow"  # what runs
        self._shape = tuple(model.inputs[0].shape[1:])
        self._function = tf.function(lambda rows: model(tf.cast(rows, tf.float32), training=False), autograph=False)
        self._requests: Requests | None = None
        self._compared = False
        if engine == "openvino":
            half = {layer.compute_dtype for layer in model._flatten_layers()} - {"float32"}
            if half:
                _say(f"a network in {' and '.join(sorted(half))} is not for OpenVINO, so TensorFlow runs it")
            else:
                self._convert(model)

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Return the outputs of a batch, float (n, ...); one thread at a time.

        Args:
            rows: what the network takes, uint8 or float, (n, ...); n may differ from call to call.
        """
        if self._requests is not None and not self._compared and len(rows):
            self._compare(self._requests, rows[:COMPARED])
        return self._by_tensorflow(rows) if self._requests is None else self._requests(rows)

    def _by_tensorflow(self, rows: np.ndarray) -> np.ndarray:
        import tensorflow as tf

        return self._concrete(rows.dtype)(tf.constant(rows)).numpy()

    def _concrete(self, dtype: Any) -> Any:
        """Return the function for batches of a type and of any number of rows; it is traced once."""
        import tensorflow as tf

        return self._function.get_concrete_function(tf.TensorSpec((None, *self._shape), dtype))

    def _convert(self, model: keras.Model) -> None:
        openvino = import_openvino()
        failures = openvino.frontend
        try:
            self._requests = Requests(self._concrete("float32"), self._shape, tuple(model.outputs[0].shape[1:]))
            self.engine = "openvino"
        except (
            RuntimeError,
            failures.GeneralFailure,
            failures.NotImplementedFailure,
            failures.OpConversionFailure,
            failures.OpValidationFailure,
        ) as error:
            reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
            _say(f"OpenVINO cannot run this network ({reason}), so TensorFlow runs it")

    def _compare(self, requests: Requests, rows: np.ndarray) -> None:
        """Let TensorFlow go on where OpenVINO gives other numbers."""
        expected = self._by_tensorflow(rows.astype(np.float32))
        apart = float(np.abs(requests(rows) - expected).max())
        largest = max(1.0, float(np.abs(expected).max()))
        self._compared = True
        if not apart <= TOLERANCE * largest:  # also where either is not a number
            _say(
                f"OpenVINO's outputs are {apart / largest:.2g} of the largest apart from TensorFlow's, more than "
                f"{TOLERANCE:g}, so TensorFlow runs the network"
            )
            self.engine, self._requests = "tensorflow", None


def forward(model: keras.Model, engine: str) -> InferenceModel:
    """Return a network made ready to run in inference mode.

    Args:
        model: a functional model of one input and one output: a whole classifier, what lies before a cut, or after it.
            OpenVINO keeps its weights of this moment.
        engine: `auto`, `tensorflow` or `openvino`. A network that OpenVINO cannot run, that is not float32, or whose
            outputs it changes by more than TOLERANCE, is run by TensorFlow, and that is said.

    Raises:
        HeadstartError: as `check_inference_backend` does.
    """
    return InferenceModel(model, resolve_inference_backend(engine))


def _installed() -> bool:
    return importlib.util.find_spec("openvino") is not None


def _say(what: str) -> None:
    """Say it beside the answer of a program, which another program may read."""
    Console(stderr=True).print(f"Engine: {what}", markup=False, highlight=False, soft_wrap=True)
