"""Heat maps agree with a computation by hand for all kinds of backbones and heads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny import SIZE, tiny_network

from headstart.config import BackboneConfig, HeadConfig
from headstart.evaluation.gradcam import BATCH_SIZE, GradCam, choose_layer
from headstart.model.backbones.registry import build_backbone
from headstart.model.heads import build_head
from headstart.model.network import Network, build_network
from headstart.model.preprocessing import preprocess
from headstart.model.split_points import find_split_points, split_at

SIDE = 8  # of the pictures of `small_classifier`, and of its feature maps


def noise(count: int, side: int = SIZE, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def small_classifier(classes: int = 3, **head: object) -> keras.Model:
    """Return a classifier whose feature maps have the size of its pictures; its batch norm has seen data."""
    keras.utils.set_random_seed(0)
    images = keras.Input((SIDE, SIDE, 3))
    features = keras.layers.Conv2D(5, 3, padding="same", activation="relu", name="features")(images)
    top = build_head(HeadConfig("head", **head), (SIDE, SIDE, 5), classes, seed=0)
    for layer in top.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            generator = np.random.default_rng(1)
            layer.set_weights([generator.uniform(0.5, 2, weight.shape) for weight in layer.get_weights()])
    pixels = keras.Input((SIDE, SIDE, 3), name="pixels")
    values = keras.layers.Rescaling(1 / 255)(pixels)
    return keras.Model(pixels, top(keras.Model(images, features, name="backbone")(values)))


def feature_maps(model: keras.Model, images: np.ndarray) -> np.ndarray:
    return np.asarray(model.get_layer("backbone")(images.astype(np.float32) / 255))


def scaled(maps: np.ndarray) -> np.ndarray:
    maps = np.maximum(maps, 0)
    return maps / maps.max(axis=(1, 2), keepdims=True)


def test_a_linear_head_on_averages_gives_the_class_activation_map() -> None:
    model = small_classifier()
    images, classes = noise(6, SIDE), np.array([0, 1, 2, 2, 1, 0])
    kernel = model.get_layer("head").get_layer("output").get_weights()[0]
    by_hand = np.einsum("nhwk,kn->nhw", feature_maps(model, images), kernel[:, classes])
    heat = GradCam(model).heat_maps(images, classes)
    assert heat.dtype == np.float32
    np.testing.assert_allclose(heat, scaled(by_hand), atol=1e-5)


def test_one_sigmoid_supports_the_second_class_and_opposes_the_first() -> None:
    model = small_classifier(classes=2, output="sigmoid")
    images = noise(4, SIDE)
    kernel = model.get_layer("head").get_layer("output").get_weights()[0]
    by_hand = feature_maps(model, images) @ kernel[:, 0]
    grad_cam = GradCam(model)
    np.testing.assert_allclose(grad_cam.heat_maps(images, np.ones(4, int)), scaled(by_hand), atol=1e-5)
    np.testing.assert_allclose(grad_cam.heat_maps(images, np.zeros(4, int)), scaled(-by_hand), atol=1e-5)


def test_any_head_weighs_the_maps_by_the_gradient_of_the_logit() -> None:
    model = small_classifier(pooling="flatten", units=16, batch_norm=True, dropout=0.5)
    head = model.get_layer("head")
    hidden, bias = head.get_layer("hidden").get_weights()
    gamma, beta, mean, variance = head.get_layer("batch_norm").get_weights()
    kernel, last_bias = head.get_layer("output").get_weights()

    def logits(maps: np.ndarray) -> np.ndarray:
        x = np.maximum(maps.reshape(len(maps), -1) @ hidden + bias, 0)
        x = gamma * (x - mean) / np.sqrt(variance + head.get_layer("batch_norm").epsilon) + beta
        return x @ kernel + last_bias

    images, classes = noise(5, SIDE), np.array([0, 1, 2, 0, 1])
    maps = feature_maps(model, images).astype(np.float64)
    step = 1e-7 * np.eye(maps.shape[-1])
    slopes = np.stack([(logits(maps + channel) - logits(maps - channel)) / 2e-7 for channel in step])
    weights = slopes[:, np.arange(5), classes]
    by_hand = scaled(np.einsum("nhwk,kn->nhw", maps, weights))
    np.testing.assert_allclose(GradCam(model).heat_maps(images, classes), by_hand, atol=1e-3)


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_a_very_confident_classifier_is_explained_too(output: str) -> None:
    model = small_classifier(classes=2, output=output)
    images, classes = noise(4, SIDE), np.array([0, 1, 0, 1])
    before = GradCam(model).heat_maps(images, classes)
    layer = model.get_layer("head").get_layer("output")
    layer.set_weights([weight * 1e4 for weight in layer.get_weights()])
    probabilities = np.asarray(model(images.astype(np.float32)))
    assert set(probabilities.ravel()) <= {0.0, 1.0}
    np.testing.assert_allclose(GradCam(model).heat_maps(images, classes), before, atol=1e-5)


def test_the_map_is_empty_if_no_region_supports_the_class() -> None:
    model = small_classifier(classes=2)
    layer = model.get_layer("head").get_layer("output")
    layer.set_weights([np.stack([np.ones(5), -np.ones(5)], axis=1), np.zeros(2)])  # features are never negative
    heat = GradCam(model).heat_maps(noise(2, SIDE), np.array([1, 0]))
    np.testing.assert_array_equal(heat[0], 0)
    assert heat[1].max() == 1


def test_a_compiled_graph_gives_the_same_maps() -> None:
    model = small_classifier()
    images, classes = noise(3, SIDE), np.array([0, 1, 2])
    compiled = GradCam(model, compiled=True).heat_maps(images, classes)
    np.testing.assert_allclose(compiled, GradCam(model).heat_maps(images, classes), atol=1e-5)


def test_a_map_does_not_depend_on_the_other_pictures() -> None:
    network = tiny_network(pooling="flatten", units=8, batch_norm=True, dropout=0.5)
    grad_cam = GradCam(network.classifier)
    images = noise(BATCH_SIZE + 2)
    classes = np.arange(len(images)) % 3
    together = grad_cam.heat_maps(images, classes)
    assert together.shape == (BATCH_SIZE + 2, SIZE, SIZE)
    for position in (0, 3, BATCH_SIZE + 1):
        alone = grad_cam.heat_maps(images[position : position + 1], classes[position : position + 1])
        np.testing.assert_allclose(alone[0], together[position], atol=1e-5)


def random_network(backbone: str, size: int, **head: object) -> Network:
    keras.utils.set_random_seed(0)
    return build_network(BackboneConfig(backbone, "none"), HeadConfig("head", **head), 3, size, seed=0)


def planted(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return noise of 64 pixels, without a square or with one of a color, which of the three, and where it is."""
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 160, (count, 64, 64, 3)).astype(np.uint8)
    classes = np.arange(count) % 3
    inside = np.zeros(images.shape[:3], bool)
    for position, (row, column) in enumerate(generator.integers(0, 64 - 16, (count, 2))):
        inside[position, row : row + 16, column : column + 16] = classes[position] > 0
        images[position, inside[position], classes[position]] = 255
    return images, classes, inside


@pytest.mark.slow
def test_the_region_that_decides_the_class_is_hot() -> None:
    model = random_network("small_cnn", 64).classifier
    images, classes, _ = planted(96, seed=0)
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    model.fit(images.astype(np.float32), classes, batch_size=16, epochs=12, verbose=0)
    images, classes, inside = planted(45, seed=1)
    assert (np.asarray(model(images.astype(np.float32))).argmax(axis=1) == classes).mean() > 0.95

    square = classes > 0
    heat, inside = GradCam(model).heat_maps(images[square], classes[square]), inside[square]
    within = np.array([one[where].mean() for one, where in zip(heat, inside, strict=True)])
    elsewhere = np.array([one[~where].mean() for one, where in zip(heat, inside, strict=True)])
    assert (within > 4 * elsewhere).all()
    rows, columns = np.mgrid[:64, :64]
    centres = [(int(np.average(rows, weights=one)), int(np.average(columns, weights=one))) for one in heat]
    assert np.mean([where[centre] for where, centre in zip(inside, centres, strict=True)]) > 0.9


@pytest.mark.parametrize(
    ("name", "size", "layer", "cells"),
    [
        pytest.param("vgg16", 224, "block5_conv3", 14, marks=pytest.mark.slow),  # not its pooling to 7
        ("vgg16", 32, "block4_conv3", 4),
        ("small_cnn", 32, "block3_conv", 4),
        pytest.param("resnet50", 224, "conv5_block3_out", 7, marks=pytest.mark.slow),
        pytest.param("resnet50", 96, "conv4_block6_out", 6, marks=pytest.mark.slow),
        pytest.param("mobilenet", 128, "conv_pw_13_relu", 4, marks=pytest.mark.slow),
        ("mobilenet", 96, "conv_pw_11_relu", 6),  # not the padding behind it
        pytest.param("efficientnet_lite0", 128, "top_activation", 4, marks=pytest.mark.slow),
        ("efficientnet_lite0", 32, "block4a_expand_activation", 4),
        pytest.param("densenet121", 128, "relu", 4, marks=pytest.mark.slow),
        pytest.param("convnexttiny", 128, None, 4, marks=pytest.mark.slow),  # Keras numbers its layers
        pytest.param("convnexttiny", 64, None, 4, marks=pytest.mark.slow),
        pytest.param("nasnetmobile", 224, None, 7, marks=pytest.mark.slow),
        pytest.param("nasnetmobile", 64, None, 2, marks=pytest.mark.slow),  # its other split points are in the stem
    ],
)
def test_the_layer_that_is_explained(name: str, size: int, layer: str | None, cells: int) -> None:
    backbone = build_backbone(name, "none", size)
    chosen = choose_layer(backbone)
    assert layer in (chosen, None)
    assert split_at(backbone, chosen)[0].output.shape[1:3] == (cells, cells)


BACKBONES = [
    "efficientnet_lite0",
    *(
        pytest.param(name, marks=pytest.mark.slow)
        for name in (
            "mobilenetv3small",
            "mobilenetv2",
            "resnet50",
            "convnexttiny",
            "nasnetmobile",
            "densenet121",
            "xception",
        )
    ),
]


@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_gives_its_class_activation_map(name: str) -> None:
    network = random_network(name, 128)
    images, classes = noise(2, 128), np.array([2, 0])
    features = network.backbone(preprocess(network.entry.preprocessing, images.astype(np.float32)), training=False)
    kernel = network.head.get_layer("output").get_weights()[0]
    coarse = np.maximum(np.einsum("nhwk,kn->nhw", np.asarray(features), kernel[:, classes]), 0)
    fine = tf.image.resize(coarse[..., None], (128, 128)).numpy()[..., 0]
    highest = fine.max(axis=(1, 2), keepdims=True)
    assert highest.any()
    by_hand = np.divide(fine, highest, out=np.zeros_like(fine), where=highest > 0)
    np.testing.assert_allclose(GradCam(network.classifier).heat_maps(images, classes), by_hand, atol=1e-3)


@pytest.mark.parametrize(
    "name", ["small_cnn", *(pytest.param(name, marks=pytest.mark.slow) for name in ("vgg16", "convnexttiny"))]
)
def test_a_loaded_classifier_gives_the_same_maps(name: str, tmp_path: Path) -> None:
    model = random_network(name, 64, pooling="flatten", units=8, batch_norm=True).classifier
    images, classes = noise(3, 64), np.array([0, 1, 2])
    expected = GradCam(model).heat_maps(images, classes)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    before = np.asarray(loaded(images.astype(np.float32)))
    np.testing.assert_allclose(GradCam(loaded).heat_maps(images, classes), expected, atol=1e-5)
    np.testing.assert_array_equal(np.asarray(loaded(images.astype(np.float32))), before)
    assert [point.name for point in find_split_points(loaded)] == [point.name for point in find_split_points(model)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("constructor", "boundary"),
    [
        (keras.applications.MobileNet, "conv_pw_13_relu"),  # convolution, reshape, a softmax of its own
        (keras.applications.MobileNetV3Small, None),  # two convolutions on averages, flatten, a softmax of its own
        (keras.applications.ResNet50V2, "post_relu"),  # one dense layer with its softmax
        pytest.param(keras.applications.VGG16, "block5_pool", marks=pytest.mark.slow),  # three dense layers
    ],
)
def test_original_heads(constructor: Callable[..., keras.Model], boundary: str | None) -> None:
    keras.utils.set_random_seed(0)
    arguments = {"weights": None, "include_top": True, "input_shape": (128, 128, 3), "classes": 5}
    whole = constructor(**arguments)
    boundary = boundary or last_map(whole)
    parts = zip(split_at(whole, boundary), ("backbone", "head"), strict=True)
    backbone, head = (keras.Model(part.input, part.output, name=name) for part, name in parts)
    pixels = keras.Input((128, 128, 3), name="pixels")
    model = keras.Model(pixels, head(backbone(preprocess("tf", pixels))))

    logits = constructor(**arguments, classifier_activation=None)
    logits.set_weights(whole.get_weights())
    # The layers of both have the same order, those without a name of their own are numbered on.
    position = [layer.name for layer in whole.layers].index(choose_layer(backbone))
    below, above = split_at(logits, logits.layers[position].name)
    images, classes = noise(2, 128), np.array([4, 1])
    maps = below(preprocess("tf", tf.constant(images, tf.float32)), training=False)
    with tf.GradientTape() as tape:
        tape.watch(maps)
        score = tf.gather(above(maps, training=False), classes, batch_dims=1)
    weights = tf.reduce_mean(tape.gradient(score, maps), axis=(1, 2), keepdims=True)
    coarse = tf.nn.relu(tf.reduce_sum(weights * maps, axis=-1, keepdims=True))
    by_hand = tf.image.resize(coarse, (128, 128)).numpy()[..., 0]
    assert (by_hand.max(axis=(1, 2)) > 0).any()
    by_hand = by_hand / np.maximum(by_hand.max(axis=(1, 2), keepdims=True), 1e-30)
    np.testing.assert_allclose(GradCam(model).heat_maps(images, classes), by_hand, atol=1e-3)


def last_map(whole: keras.Model) -> str:
    """Return the last layer before the averages over a map."""
    names = [layer.name for layer in whole.layers]
    pooling = [isinstance(layer, keras.layers.GlobalAveragePooling2D) for layer in whole.layers]
    return names[len(names) - 1 - pooling[::-1].index(True) - 1]
