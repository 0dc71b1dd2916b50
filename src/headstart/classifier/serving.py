"""The saved classifier as an MLflow model: pictures in, labels and probabilities out.

MLflow stores and runs this file itself ("models from code"), so that nothing is pickled; that is why it imports MLflow
although `tracking` is where headstart does.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

from headstart.classifier.saved import load_classifier
from headstart.core.errors import HeadstartError
from headstart.data.files.images import NoMemoryError

BATCH_SIZE = 32  # pictures in the network at once, however many a request brings
SHOWN = 40  # letters of a text that is no picture


class BadRequest(MlflowException):
    """What the sender of a request can mend: the scoring server answers HTTP 400 with it as JSON."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, error_code=INVALID_PARAMETER_VALUE)

    @property
    def message(self) -> str:
        """The reason alone; the scoring server would send the whole request back in front of it."""
        return self._message

    @message.setter
    def message(self, text: str) -> None:
        self._message = text.rpartition("\nError: ")[2]


class PictureClassifier(mlflow.pyfunc.PythonModel):
    """Answers with the label, its confidence and the probability of every class."""

    def load_context(self, context: Any) -> None:
        """Load the classifier's directory, which MLflow keeps beside this file, and get it ready for requests."""
        self.classifier = load_classifier(Path(context.artifacts["classifier"]))
        size = self.classifier.image_size
        self.classifier.probabilities(np.zeros((1, size, size, 3), np.float32))  # the first request need not wait

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Classify the column `image`.

        Args:
            context: unused; the classifier is loaded already.
            model_input: one row a picture: a picture file as base64 text or bytes, or its RGB pixels 0-255, (height,
                width, 3) of the classifier's image size, as an array or nested lists. A row may hold a list of texts.
            params: unused.

        Raises:
            BadRequest: when there is no picture, or for the first row that is none.
        """
        names = self.classifier.class_names
        images = list(self._pixels(_pictures(model_input["image"])))
        if not images:
            raise BadRequest("Expected one picture or more in image. Received: none")
        batches = [np.stack(images[start : start + BATCH_SIZE]) for start in range(0, len(images), BATCH_SIZE)]
        rows = np.concatenate([self.classifier.probabilities(batch) for batch in batches])
        return pd.DataFrame(
            {
                "label": [names[best] for best in rows.argmax(axis=1)],
                "confidence": rows.max(axis=1).astype(float),
                "probabilities": [dict(zip(names, row.tolist(), strict=True)) for row in rows],
            }
        )

    def _pixels(self, pictures: Iterable[Any]) -> Iterator[np.ndarray]:
        """Yield the pixels of each picture, float32 (size, size, 3)."""
        size = self.classifier.image_size
        for number, picture in enumerate(pictures):
            try:
                if isinstance(picture, list | np.ndarray):
                    yield check_pixels(picture, size)
                else:
                    yield self.classifier.load(picture_bytes(picture)).astype(np.float32)
            except NoMemoryError:
                raise  # which the sender cannot mend: HTTP 500
            except HeadstartError as error:
                raise BadRequest(f"{error} (picture {number}, counted from 0)") from error


def _pictures(column: Iterable[Any]) -> Iterator[Any]:
    """Yield the pictures of a column; MLflow puts a list of texts, and an empty one, into one row."""
    for cell in column:
        if isinstance(cell, list | np.ndarray) and all(isinstance(member, str | bytes) for member in cell):
            yield from cell
        else:
            yield cell


def picture_bytes(image: object) -> bytes:
    """Return the bytes of a picture file that came as they are or as base64 text.

    Raises:
        HeadstartError: when it is neither.
    """
    if isinstance(image, bytes):
        return image
    if not isinstance(image, str):
        raise HeadstartError(
            "Expected a picture file as base64 text, or RGB pixels as nested lists. "
            f"Received: {type(image).__name__} {str(image)[:SHOWN]}"
        )
    try:
        return base64.b64decode(image, validate=True)
    except ValueError as error:
        raise HeadstartError(
            f"Expected the bytes of a picture file as base64 text. Received: {image[:SHOWN]} ({error})"
        ) from error


def check_pixels(image: list | np.ndarray, size: int) -> np.ndarray:
    """Return pixels that came as numbers, float32 (size, size, 3).

    Args:
        image: nested lists or an array.
        size: side of the classifier's input in pixels.

    Raises:
        HeadstartError: when they are no numbers from 0 to 255, or of another shape.
    """
    wanted = f"RGB pixels as numbers from 0 to 255, of shape ({size}, {size}, 3)"
    try:
        pixels = np.asarray(image)
    except ValueError as error:  # lists of several lengths, or nested too deep
        raise HeadstartError(f"Expected {wanted}. Received: lists of several lengths") from error
    if pixels.dtype.kind not in "iuf":
        raise HeadstartError(f"Expected {wanted}. Received: something that is no number among them")
    if pixels.shape != (size, size, 3):
        raise HeadstartError(f"Expected {wanted}. Received: the shape {pixels.shape}")
    if not (pixels >= 0).all() or not (pixels <= 255).all():  # also what is not a number
        found = "NaN" if np.isnan(pixels).any() else f"values from {pixels.min():g} to {pixels.max():g}"
        raise HeadstartError(f"Expected {wanted}. Received: {found}")
    return pixels.astype(np.float32)


mlflow.models.set_model(PictureClassifier())
