"""The saved classifier as an MLflow model: pictures in, labels and probabilities out.

MLflow stores and runs this file itself ("models from code"), so that nothing is pickled; that is why it imports MLflow
although `tracking.py` is where headstart does.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd

from headstart.artifact import load_classifier
from headstart.data.images import load_image


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
        files = [base64.b64decode(image) if isinstance(image, str) else bytes(image) for image in model_input["image"]]
        probabilities = self.classifier.probabilities(np.stack([load_image(file, size, resize) for file in files]))
        answer = pd.DataFrame(probabilities, columns=list(names))
        answer.insert(0, "label", [names[best] for best in probabilities.argmax(axis=1)])
        answer.insert(1, "confidence", probabilities.max(axis=1))
        return answer


mlflow.models.set_model(PictureClassifier())
