"""The saved classifier as an MLflow model: pictures in, labels and probabilities out.

MLflow stores and runs this file itself ("models from code"), so that nothing is pickled; that is why it imports MLflow
although `tracking` is where headstart does.
"""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd

from headstart.artifact import load_classifier
from headstart.data.images import load_image
from headstart.errors import HeadstartError


class PictureClassifier(mlflow.pyfunc.PythonModel):
    """Answers with the label, its confidence and the probability of every class."""

    def load_context(self, context: Any) -> None:
        """Load the classifier's directory, which MLflow keeps beside this file."""
        self.classifier = load_classifier(Path(context.artifacts["classifier"]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Classify the column `image`: the bytes of picture files, or the same as base64 text.

        Args:
            context: unused; the classifier is loaded already.
            model_input: one row a picture.
            params: unused.

        Raises:
            HeadstartError: for a row that is not a picture.
        """
        size, resize, names = self.classifier.image_size, self.classifier.resize, self.classifier.class_names
        images = [load_image(picture_bytes(image), size, resize) for image in model_input["image"]]
        probabilities = self.classifier.probabilities(np.stack(images))
        answer = pd.DataFrame(probabilities, columns=list(names))
        answer.insert(0, "label", [names[best] for best in probabilities.argmax(axis=1)])
        answer.insert(1, "confidence", probabilities.max(axis=1))
        return answer


def picture_bytes(image: str | bytes) -> bytes:
    """Return the bytes of a picture file that came as they are or as base64 text."""
    if not isinstance(image, str):
        return bytes(image)
    try:
        return base64.b64decode(image, validate=True)
    except binascii.Error as error:
        raise HeadstartError(
            f"Expected the bytes of a picture file as base64 text. Received: {image[:40]} ({error})"
        ) from error


mlflow.models.set_model(PictureClassifier())
