"""A saved classifier as a model that `mlflow models serve` understands."""

from __future__ import annotations

import base64
import contextlib
import io
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.tracking.store import import_mlflow

if TYPE_CHECKING:
    import pandas

SERVED_WITH = ("keras", "tensorflow", "numpy", "pillow", "omegaconf", "rich", "pandas")
PACKAGE = Path(__file__).parents[1]


def save_served_model(classifier: Path, place: Path, identity: Any = None) -> None:
    """Write a classifier as an MLflow model, with the code that answers requests.

    Args:
        classifier: the classifier's directory.
        place: the new directory of the model.
        identity: the `mlflow.models.Model` that belongs to a logged model; None for one that no run logs.
    """
    import_mlflow("")  # of no store
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import AnyType, Map

    text, number = DataType.string, DataType.double
    answer = {"label": text, "confidence": number, "probabilities": Map(number)}
    measured = {"unfamiliar": DataType.boolean, "distance": number}  # null where that was not learned
    signature = ModelSignature(
        Schema([ColSpec(AnyType(), "image")]),  # base64 text or pixels, which `serving` distinguishes
        Schema([ColSpec(kind, name, name not in measured) for name, kind in {**answer, **measured}.items()]),
    )
    with without_requirement_check(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's, about pandas and about a model without reference images
        mlflow.pyfunc.save_model(
            path=str(place),
            mlflow_model=identity,
            python_model=str(PACKAGE / "classifier" / "serving.py"),
            artifacts={"classifier": classifier.absolute().as_uri()},  # a path with a ? would be cut there
            code_paths=[str(PACKAGE)],
            signature=signature,  # given, else MLflow would load the classifier and predict the example
            input_example=None if identity is None else input_example(classifier),
            pip_requirements=[f"{package}=={version(package)}" for package in SERVED_WITH],
        )


def input_example(classifier: Path) -> pandas.DataFrame | None:
    """Return a reference image of a classifier as a request for the served model; None without reference images.

    Args:
        classifier: the classifier's directory.
    """
    import numpy as np
    import pandas
    from PIL import Image

    file = classifier / "reference.npz"
    if not file.is_file():
        return None
    with np.load(file, allow_pickle=False) as reference:
        pixels = reference["images"][0]
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return pandas.DataFrame({"image": [base64.b64encode(buffer.getvalue()).decode()]})


@contextlib.contextmanager
def without_requirement_check() -> Iterator[None]:
    """Keep MLflow from comparing the requirements with this environment, whose versions they name.

    For that it would look up every file of every installed package, which takes a second.
    """
    from mlflow.utils import environment

    check = "warn_dependency_requirement_mismatches"
    original = getattr(environment, check, None)
    if original is None:  # in another version of MLflow
        yield
        return
    setattr(environment, check, lambda requirements: None)
    try:
        yield
    finally:
        setattr(environment, check, original)
