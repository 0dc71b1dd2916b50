"""Serves the saved classifier as an MLflow model: images in; labels, probabilities and what is unfamiliar out.

MLflow stores and runs this file itself ("models from code"), so that nothing is pickled. That is why this file imports
MLflow, besides the package `tracking`.
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

BATCH_SIZE = 32  # images in the network at once, however many a request holds
SHOWN = 40  # characters of an invalid text in an error message


class BadRequest(MlflowException):
    """An error that the client can fix: the scoring server answers with HTTP 400 and the reason as JSON."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, error_code=INVALID_PARAMETER_VALUE)

    @property
    def message(self) -> str:
        """The reason only; the scoring server would prepend the whole request."""
        return self._message

    @message.setter
    def message(self, text: str) -> None:
        self._message = text.rpartition("\nError: ")[2]


class PictureClassifier(mlflow.pyfunc.PythonModel):
    """Predicts the label, its confidence, the probability of every class and whether the image looks unfamiliar."""

    def load_context(self, context: Any) -> None:
        """Load the classifier's directory, which MLflow stores beside this file, and warm it up."""
        self.classifier = load_classifier(Path(context.artifacts["classifier"]))
        size = self.classifier.image_size
        self.classifier.probabilities(np.zeros((1, size, size, 3), np.float32))  # compiles before the first request

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Classify the column `image`.

        Args:
            context: unused, because the classifier is already loaded.
            model_input: one row per image: an image file as base64 text or bytes, or its RGB pixels 0-255, (height,
                width, 3) of the classifier's image size, as an array or nested lists. A row may hold a list of texts.
            params: unused.

        Raises:
            BadRequest: when there is no image, or for the first row that is not an image.
        """
        names = self.classifier.class_names
        images = list(self._pixels(_pictures(model_input["image"])))
        if not images:
            raise BadRequest("Expected at least one image in the column image. Received: none")
        batches = [np.stack(images[start : start + BATCH_SIZE]) for start in range(0, len(images), BATCH_SIZE)]
        found = [prediction for batch in batches for prediction in self.classifier.examine(batch)]
        answer = {
            "label": [names[one.probabilities.argmax()] for one in found],
            "confidence": [float(one.probabilities.max()) for one in found],
            "probabilities": [dict(zip(names, one.probabilities.tolist(), strict=True)) for one in found],
            "unfamiliar": [one.unfamiliar for one in found],
            "distance": [one.distance for one in found],
        }
        # As objects, so that None stays null in JSON.
        return pd.DataFrame(answer).astype({"unfamiliar": object, "distance": object})

    def _pixels(self, pictures: Iterable[Any]) -> Iterator[np.ndarray]:
        """Yield the pixels of each image, float32 (size, size, 3)."""
        size = self.classifier.image_size
        for number, picture in enumerate(pictures):
            try:
                if isinstance(picture, list | np.ndarray):
                    yield check_pixels(picture, size)
                else:
                    yield self.classifier.load(picture_bytes(picture)).astype(np.float32)
            except NoMemoryError:
                raise  # the client cannot fix it: HTTP 500
            except HeadstartError as error:
                raise BadRequest(f"{error} (image {number}, counted from 0)") from error


def _pictures(column: Iterable[Any]) -> Iterator[Any]:
    """Yield the images of a column; MLflow puts a list of texts, even an empty one, into one row."""
    for cell in column:
        if isinstance(cell, list | np.ndarray) and all(isinstance(member, str | bytes) for member in cell):
            yield from cell
        else:
            yield cell


def picture_bytes(image: object) -> bytes:
    """Return the bytes of an image file given as bytes or base64 text.

    Raises:
        HeadstartError: when it is neither.
    """
    if isinstance(image, bytes):
        return image
    if not isinstance(image, str):
        raise HeadstartError(
            "Expected an image file as base64 text, or RGB pixels as nested lists. "
            f"Received: {type(image).__name__} {str(image)[:SHOWN]}"
        )
    try:
        return base64.b64decode(image, validate=True)
    except ValueError as error:
        raise HeadstartError(
            f"Expected the bytes of an image file as base64 text. Received: {image[:SHOWN]} ({error})"
        ) from error


def check_pixels(image: list | np.ndarray, size: int) -> np.ndarray:
    """Return pixels given as numbers, float32 (size, size, 3).

    Args:
        image: nested lists or an array.
        size: side of the classifier's input in pixels.

    Raises:
        HeadstartError: when they are not numbers from 0 to 255, or have another shape.
    """
    wanted = f"RGB pixels as numbers from 0 to 255, of shape ({size}, {size}, 3)"
    try:
        pixels = np.asarray(image)
    except ValueError as error:  # lists of different lengths, or nested too deeply
        raise HeadstartError(f"Expected {wanted}. Received: lists of different lengths") from error
    if pixels.dtype.kind not in "iuf":
        raise HeadstartError(f"Expected {wanted}. Received: values that are not numbers")
    if pixels.shape != (size, size, 3):
        raise HeadstartError(f"Expected {wanted}. Received: shape {pixels.shape}")
    if not (pixels >= 0).all() or not (pixels <= 255).all():  # also NaN
        found = "NaN" if np.isnan(pixels).any() else f"values from {pixels.min():g} to {pixels.max():g}"
        raise HeadstartError(f"Expected {wanted}. Received: {found}")
    return pixels.astype(np.float32)


mlflow.models.set_model(PictureClassifier())
