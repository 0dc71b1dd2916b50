"""familiarity.npz: distances from the nearest training image, written as they are read, refused where damaged."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.classifier.familiarity import (
    FAMILIARITY,
    Familiarity,
    directions_of,
    read_familiarity,
    write_familiarity,
)
from headstart.classifier.saved import load_classifier
from headstart.core.errors import HeadstartError

TRAINING = np.array([[1, 0, 0], [0, 1, 0]], np.float16)


def test_the_distance_is_that_of_the_nearest_training_image_by_its_direction() -> None:
    features = np.array([[5, 0, 0], [0, 0.1, 0], [1, 1, 0], [0, 0, 3], [0, 0, 0], [-1, 0, 0]])
    distances = Familiarity(TRAINING, limit=0.5).distances(features)
    np.testing.assert_allclose(distances, [0, 0, 2 * (1 - np.sqrt(0.5)), 2, 2, 2], atol=1e-6)


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read_familiarity(tmp_path) is None
    features = np.random.default_rng(0).normal(size=(20, 8))
    written = Familiarity(directions_of(features).astype(np.float16), limit=0.25)
    write_familiarity(tmp_path, written)
    found = read_familiarity(tmp_path)
    assert found is not None
    assert found.limit == 0.25
    np.testing.assert_array_equal(found.distances(features), written.distances(features))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"training": TRAINING[0]}, "holds no features of images"),
        ({"training": TRAINING[:0]}, "holds no features of images"),
        ({"training": TRAINING * np.float16("nan")}, "holds no features of images"),
        ({"training": TRAINING.astype(int)}, "holds no features of images"),
        ({"limit": np.float64(0)}, "holds no features of images"),
        ({"limit": None}, "does not hold limit"),
    ],
)
def test_a_damaged_file_is_refused(change: dict[str, Any], says: str, finished_run: Path, tmp_path: Path) -> None:
    shutil.copytree(finished_run / "classifier", tmp_path / "classifier")
    values = {"version": np.int64(1), "training": TRAINING, "limit": np.float64(0.5), **change}
    np.savez(
        tmp_path / "classifier" / FAMILIARITY, **{key: value for key, value in values.items() if value is not None}
    )
    with pytest.raises(HeadstartError, match=says):
        load_classifier(tmp_path)


def test_features_of_another_network_are_refused(finished_run: Path, tmp_path: Path) -> None:
    shutil.copytree(finished_run / "classifier", tmp_path / "classifier")
    write_familiarity(tmp_path / "classifier", Familiarity(TRAINING, 0.5))
    with pytest.raises(HeadstartError, match=rf"{FAMILIARITY} holds 3 features of each image"):
        load_classifier(tmp_path)


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / FAMILIARITY, version=np.int64(9), training=TRAINING, limit=np.float64(1))
    with pytest.raises(HeadstartError, match="written by a newer headstart"):
        read_familiarity(tmp_path)
