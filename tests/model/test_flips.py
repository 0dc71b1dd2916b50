"""A classifier with flips averages an image and its mirror image, in every format, and its parts are found."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from tiny import SIZE, tiny_network

from headstart.classifier.saved import Classifier
from headstart.evaluation.gradcam import GradCam
from headstart.model.flips import has_flips, with_flips, without_flips
from headstart.model.network import parts_of
from headstart.model.trusted import expect_trusted_model


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (5, SIZE, SIZE, 3)).astype(np.float32)


@pytest.mark.parametrize(("classes", "head"), [(3, {}), (2, {"output": "sigmoid"})])
def test_flips_average_the_probabilities_of_the_image_and_its_mirror_image(
    classes: int, head: dict, images: np.ndarray, tmp_path: Path
) -> None:
    network = tiny_network(classes=classes, **head)
    flipped = with_flips(network.classifier)
    flipped.save(tmp_path / "model.keras")
    expect_trusted_model(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    plain = Classifier(network.classifier, ("a", "b", "c")[:classes], SIZE, "stretch")
    by_hand = (plain.probabilities(images) + plain.probabilities(images[:, :, ::-1])) / 2
    assert np.abs(by_hand - plain.probabilities(images)).max() > 1e-3
    for model in (flipped, loaded):
        found = Classifier(model, plain.class_names, SIZE, "stretch").probabilities(images)
        np.testing.assert_allclose(found, by_hand, atol=1e-6)
        assert has_flips(model)
        parts = parts_of(model, network.entry)
        np.testing.assert_allclose(
            np.asarray(parts.classifier(images)), np.asarray(network.classifier(images)), atol=1e-6
        )
        assert parts.backbone.count_params() == network.backbone.count_params()


def test_grad_cam_explains_the_image_as_it_is(images: np.ndarray) -> None:
    network = tiny_network()
    classes = np.array([0, 1, 2, 0, 1])
    expected = GradCam(network.classifier).heat_maps(images, classes)
    np.testing.assert_allclose(GradCam(with_flips(network.classifier)).heat_maps(images, classes), expected, atol=1e-5)


def test_a_classifier_without_flips_is_its_own_plain_part() -> None:
    model = tiny_network().classifier
    assert not has_flips(model)
    assert without_flips(model) is model
