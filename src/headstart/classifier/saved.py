"""The saved classifier: a directory that plain Keras can load, and that headstart verifies when it loads it.

model.keras     RGB pixels 0-255 of its image size to probabilities; no custom code
labels.json     class names in the order of the outputs, image size, resize mode, range of values, and where it comes
                from: see description.py
config.yaml     the resolved configuration of the run
reference.npz   a few images with their probabilities at the time of saving
familiarity.npz what the training images look like to its head, if that was learned: see familiarity.py
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from headstart.classifier.description import LABELS, ClassifierDescription, read_description, write_description
from headstart.classifier.familiarity import Familiarity, expect_fitting, read_familiarity
from headstart.config import Config, to_yaml
from headstart.core.errors import HeadstartError
from headstart.core.files import atomic_directory, write_text
from headstart.core.tensorflow_import import import_tensorflow
from headstart.data.files.high_bit_depth import ValueRange
from headstart.data.files.images import load_image
from headstart.inference.backend import InferenceModel, check_inference_backend, forward, resolve_inference_backend
from headstart.model.backbones.weights import UNREADABLE
from headstart.model.head_input import with_head_input
from headstart.model.heads import class_probabilities
from headstart.model.trusted import expect_trusted_model
from headstart.results.model_card import ModelCard

if TYPE_CHECKING:
    import keras

TOLERANCE = 1e-4  # on a probability: far above what another batch size or processor changes, far below a real change
LARGEST_REFERENCE = 256_000_000  # bytes; a few images of the largest networks take a tenth of that
FILES = ("model.keras", LABELS, "config.yaml", "reference.npz")


@dataclass(frozen=True)
class Prediction:
    """What a classifier says of one image."""

    probabilities: np.ndarray  # float32 (classes,)
    distance: float | None  # from the training images, in units of the limit; None if the classifier has no measure

    @property
    def unfamiliar(self) -> bool | None:
        """Whether the image looks unlike the training images; None if the classifier has no measure."""
        return None if self.distance is None else self.distance > 1


@dataclass(frozen=True)
class Classifier:
    """A trained classifier that predicts from image files or pixels."""

    model: keras.Model
    class_names: tuple[str, ...]
    image_size: int
    resize: str
    directory: Path | None = None  # where it was saved; None if it was not
    inference_backend: str = "tensorflow"  # auto | tensorflow | openvino
    value_range: ValueRange | None = None  # values of files with more than 8 bits that become 0 and 255; 0 to 65535
    threshold: float | None = None  # advised, on the probability of the second of two classes
    card: ModelCard | None = None  # where it comes from; None if that was not saved
    familiarity: Familiarity | None = None  # what its training images look like; None if that was not learned

    @cached_property
    def forward(self) -> InferenceModel:
        """The network compiled for inference, once; its second output is what the head reads."""
        return forward(with_head_input(self.model), self.inference_backend)

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Return one row per image and one column per class, float32 (n, classes).

        Args:
            images: RGB pixels 0-255, (n, image_size, image_size, 3).
        """
        return class_probabilities(self.forward(images))

    def examine(self, images: np.ndarray) -> list[Prediction]:
        """Return the probabilities of each image, and how far it is from the training images, from one pass.

        Args:
            images: RGB pixels 0-255, (n, image_size, image_size, 3).
        """
        outputs, *features = self.forward.outputs(images)
        rows = class_probabilities(outputs)
        if self.familiarity is None:
            return [Prediction(row, None) for row in rows]
        distances = self.familiarity.distances(features[0])
        return [Prediction(row, float(distance)) for row, distance in zip(rows, distances, strict=True)]

    def load(self, file: Path | bytes, size: int | None = None) -> np.ndarray:
        """Return the pixels of an image file, resized as in training, uint8 (size, size, 3).

        Args:
            file: the file, or its bytes.
            size: side in pixels; None is the classifier's image size.

        Raises:
            HeadstartError: when the file cannot be read as an image.
        """
        return load_image(file, size or self.image_size, self.resize, value_range=self.value_range)

    def predict(
        self, files: Iterable[Path], batch_size: int = 32
    ) -> Iterator[tuple[Path, np.ndarray | HeadstartError]]:
        """Yield every file in order with its probabilities (classes,), or with the error if it cannot be read.

        Args:
            files: images of any size and format that headstart reads.
            batch_size: of the inference.
        """
        for file, found in self.examine_files(files, batch_size):
            yield file, found.probabilities if isinstance(found, Prediction) else found

    def examine_files(
        self, files: Iterable[Path], batch_size: int = 32
    ) -> Iterator[tuple[Path, Prediction | HeadstartError]]:
        """Yield every file in order with its prediction, or with the error if it cannot be read.

        Args:
            files: images of any size and format that headstart reads.
            batch_size: of the inference.
        """
        batch: list[tuple[Path, np.ndarray | HeadstartError]] = []

        def finish() -> Iterator[tuple[Path, Prediction | HeadstartError]]:
            readable = [pixels for _, pixels in batch if isinstance(pixels, np.ndarray)]
            rows = iter(self.examine(np.stack(readable)) if readable else [])
            for file, pixels in batch:
                yield file, next(rows) if isinstance(pixels, np.ndarray) else pixels
            batch.clear()

        for file in files:
            try:
                batch.append((file, self.load(file)))
            except HeadstartError as error:
                batch.append((file, error))
            if len(batch) == batch_size:
                yield from finish()
        yield from finish()


def save_classifier(
    directory: Path,
    model: keras.Model,
    class_names: tuple[str, ...],
    image_size: int,
    config: Config,
    images: np.ndarray,
    value_range: ValueRange | None = None,
) -> None:
    """Save a classifier as a directory, atomically.

    Args:
        directory: for the classifier; replaced if it exists.
        model: from RGB pixels to probabilities, float32 throughout.
        class_names: in the order of the outputs.
        image_size: side of the input in pixels.
        config: the run's resolved configuration.
        images: reference images, uint8 (n, image_size, image_size, 3).
        value_range: the values that became 0 and 255 in files with more than 8 bits; None if there were none.
    """
    import keras

    description = ClassifierDescription(
        class_names=class_names,
        image_size=image_size,
        resize=config.dataset.resize,
        backbone=config.backbone.name,
        output=config.head.output,
        value_range=value_range,
    )
    expected = _predict_eagerly(model, images)
    with atomic_directory(directory) as partial:
        # A model of the same layers that was never compiled: the optimizer has no place in an artifact.
        keras.Model(model.input, model.output, name="classifier").save(partial / "model.keras")
        write_description(partial, description)
        write_text(partial / "config.yaml", to_yaml(config))
        np.savez_compressed(partial / "reference.npz", images=images, probabilities=expected)


def load_classifier(directory: str | Path, inference_backend: str = "tensorflow") -> Classifier:
    """Load a saved classifier and verify that it reproduces its reference probabilities.

    Args:
        directory: of the classifier, or of the run that it belongs to.
        inference_backend: `auto`, `tensorflow` or `openvino`; it is used for the verification too.

    Raises:
        HeadstartError: when files or the inference backend are missing, files are damaged, or the probabilities of the
            reference images differ.
    """
    check_inference_backend(inference_backend)
    directory = Path(directory)
    if not (directory / "model.keras").exists() and (directory / "classifier").is_dir():
        directory = directory / "classifier"
    missing = [name for name in FILES if not (directory / name).is_file()]
    if missing:
        raise HeadstartError(
            f"Expected a classifier with {', '.join(FILES)} in {directory}. Received: no {', '.join(missing)}"
        )
    import_tensorflow()
    import keras
    import tensorflow as tf

    try:
        description = read_description(directory)
        images, expected = _read_reference(directory / "reference.npz", description.image_size)
        expect_trusted_model(directory / "model.keras")
        model = keras.saving.load_model(directory / "model.keras", compile=False, safe_mode=True)
        classifier = _assembled(directory, description, model, inference_backend)
        received = (
            classifier.probabilities(images)
            if resolve_inference_backend(inference_backend) == "openvino"
            else _predict_eagerly(model, images)
        )
        if received.shape != (len(images), len(description.class_names)):
            raise ValueError("labels.json belongs to another model.keras")
    except (*UNREADABLE, HeadstartError, tf.errors.OpError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise HeadstartError(f"Expected a classifier that loads in {directory}. Received: {reason}") from error
    if received.shape != expected.shape or not np.allclose(received, expected, rtol=0, atol=TOLERANCE):
        difference = np.abs(received - expected).max() if received.shape == expected.shape else float("nan")
        raise HeadstartError(
            f"Expected the classifier in {directory} to reproduce the saved probabilities of its reference images "
            f"within {TOLERANCE:g}. Received: differences of up to {difference:.3g}; its "
            "files have changed, or this version of Keras computes different values"
        )
    return classifier


def _assembled(
    directory: Path, description: ClassifierDescription, model: keras.Model, inference_backend: str
) -> Classifier:
    """Return the classifier of a directory, with what it knows of its training images.

    Raises:
        ValueError, OSError, HeadstartError: when familiarity.npz is damaged, or of another network.
    """
    familiarity = read_familiarity(directory)
    if familiarity is not None:
        expect_fitting(familiarity, with_head_input(model).outputs)
    return Classifier(
        model,
        description.class_names,
        description.image_size,
        description.resize,
        directory,
        inference_backend,
        description.value_range,
        description.threshold,
        description.card,
        familiarity,
    )


def _read_reference(file: Path, image_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the reference images and their probabilities.

    Raises:
        ValueError: when the file has another content than `save_classifier` writes, or is too large.
    """
    stored = io.BytesIO(file.read_bytes())  # NumPy leaves a damaged file open
    with zipfile.ZipFile(stored) as archive:
        if sum(member.file_size for member in archive.infolist()) > LARGEST_REFERENCE:
            raise ValueError(f"reference.npz holds more than {LARGEST_REFERENCE:,} bytes")
    with np.load(stored, allow_pickle=False) as reference:
        images, expected = reference["images"], reference["probabilities"]
    numbers = all(values.dtype.kind in "uif" for values in (images, expected))
    if not numbers or not len(images) or images.shape[1:] != (image_size, image_size, 3) or expected.ndim != 2:
        raise ValueError(
            f"reference.npz holds no images of {image_size} x {image_size} RGB pixels with their probabilities, but "
            f"{images.dtype} {images.shape} and {expected.dtype} {expected.shape}"
        )
    return images, expected


def _predict_eagerly(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Return the probabilities of a few images without compiling a graph, which would take longer."""
    return class_probabilities(model(images.astype(np.float32), training=False))
