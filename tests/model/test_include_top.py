"""A network in the two parts that it is published as: together they compute its numbers, with any weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
from tiny import SIZE, pictures, stage, tiny_network, train

from headstart.config import BackboneConfig, HeadConfig, HeadOnly, compose
from headstart.core.errors import HeadstartError
from headstart.features.boundary import frozen_boundary
from headstart.model.backbones.blocks import find_blocks
from headstart.model.backbones.efficientnet_lite import build_efficientnet_lite
from headstart.model.backbones.keras_applications import build_application, imagenet_file
from headstart.model.backbones.registry import BACKBONES, build_backbone, get_entry
from headstart.model.backbones.torch_checkpoint import read_checkpoint
from headstart.model.backbones.weights import packaged_checkpoint
from headstart.model.include_top import build_with_top, check_include_top, layers_below_output, split_off_top
from headstart.model.network import build_network

PUBLISHED = [entry for entry in BACKBONES.values() if entry.weights]
# Ways to end: with a pooling, with convolutions after it; the slow ones also with flattening and with a norm.
FAST = ("mobilenet", "efficientnet_lite0")
# What a new output stands on, where that is more than a pooling.
BELOW = {
    "vgg16": ["flatten", "fc1", "fc2"],
    "vgg19": ["flatten", "fc1", "fc2"],
    "mobilenetv3small": ["global_average_pooling2d", "conv_2", "activation"],
    "mobilenetv3large": ["global_average_pooling2d", "conv_2", "activation"],
    **{f"convnext{size}": ["gap", "layernorm"] for size in ("tiny", "small", "base", "large", "xlarge")},
}
IMAGENET = HeadConfig("imagenet", pooling="include_top", output="imagenet")


@pytest.fixture
def clear() -> Iterator[None]:
    yield
    keras.backend.clear_session()


def whole_of(name: str, size: int) -> keras.Model:
    entry = get_entry(name)
    if entry.package:
        return build_efficientnet_lite(name, size, with_top=True)
    return build_application(entry, False, size, with_top=True)


def images_of(size: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (2, size, size, 3)).astype("float32")


@pytest.mark.usefixtures("clear")
@pytest.mark.parametrize(
    "name",
    [pytest.param(entry.name, marks=[] if entry.name in FAST else [pytest.mark.slow]) for entry in PUBLISHED],
)
def test_the_parts_compute_the_numbers_of_the_whole(name: str) -> None:
    entry = get_entry(name)
    whole = whole_of(name, entry.minimum_size)
    images = images_of(entry.minimum_size)
    expected = np.asarray(whole(images, training=False))
    assert expected.shape == (2, 1000)

    backbone, layers = split_off_top(whole)
    assert backbone.name == "backbone"
    outputs = backbone(images, training=False)
    assert len(outputs.shape) == 4
    for layer in layers:
        outputs = layer(outputs)
    np.testing.assert_allclose(np.asarray(outputs), expected, rtol=1e-4, atol=1e-7)

    # The backbone is the same network as without a classifier, to its last block.
    plain = build_backbone(name, "none", entry.minimum_size)
    blocks, others = find_blocks(backbone, entry), find_blocks(plain, entry)
    assert [block.name for block in blocks] == [block.name for block in others]
    assert [block.parameters for block in blocks[:-1]] == [block.parameters for block in others[:-1]]
    assert isinstance(layers[0], keras.layers.Flatten) == entry.flattens
    below = layers_below_output(layers)
    kept = BELOW.get(name, [layers[0].name])
    assert len(below) == len(kept)
    assert all(part in layer.name for part, layer in zip(kept, below, strict=True))


@pytest.mark.parametrize(
    "name", ["mobilenetv3small", *(pytest.param(n, marks=pytest.mark.slow) for n in ("mobilenetv2", "vgg16"))]
)
@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_a_new_output_on_the_network_s_own_layers(name: str, output: str) -> None:
    head = HeadConfig("x", pooling="include_top", output=output, dropout=0.5)
    network = build_network(BackboneConfig(name, "none"), head, 2, SIZE, seed=0)
    names = [layer.name for layer in network.head.layers]
    assert (names[0], names[-2], names[-1]) == ("features", "dropout", "output")
    assert network.head.name == "head"
    assert sum(isinstance(layer, keras.layers.Dropout) for layer in network.head.layers) == 1
    units = 1 if output == "sigmoid" else 2
    assert network.classifier.output.shape == (None, units)
    if name == "vgg16":
        assert names == ["features", "flatten", "fc1", "fc2", "dropout", "output"]
        assert network.head.get_layer("fc1").kernel.shape == (512, 4096)
    keras.backend.clear_session()


@pytest.mark.slow
def test_such_a_head_trains_on_a_frozen_backbone_and_from_its_activations() -> None:
    network, (images, targets) = tiny_network("vgg16", pooling="include_top", dropout=0.2), pictures(6)
    boundary = frozen_boundary(network, HeadOnly())
    assert boundary is not None
    assert boundary.split_point == "flatten"
    activations = boundary.prefix(images, training=False)
    np.testing.assert_allclose(
        boundary.suffix(activations, training=False), network.classifier(images, training=False), rtol=1e-4, atol=1e-6
    )
    own = network.head.get_layer("fc1")
    before = own.get_weights()[0].copy(), network.backbone.get_weights()
    train(network, [stage("head", learning_rate=0.1), stage("last_block", name="block")], images, targets)
    assert not np.array_equal(own.get_weights()[0], before[0])
    backbone = network.backbone.get_weights()
    np.testing.assert_array_equal(backbone[0], before[1][0])
    assert any(not np.array_equal(*pair) for pair in zip(backbone, before[1], strict=True))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["efficientnet_lite0", "mobilenet", pytest.param("convnexttiny", marks=pytest.mark.slow)]
)
def test_the_whole_survives_safe_loading_and_gives_its_weights_back(name: str, tmp_path: Path) -> None:
    network = build_network(BackboneConfig(name, "none"), IMAGENET, 1000, SIZE, seed=0)
    images, _ = pictures(2)
    expected = np.asarray(network.classifier(images, training=False))
    network.classifier.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_allclose(np.asarray(loaded(images, training=False)), expected, rtol=1e-5, atol=1e-8)

    again = build_network(BackboneConfig(name, str(tmp_path / "model.keras")), IMAGENET, 1000, SIZE, seed=1)
    np.testing.assert_array_equal(np.asarray(again.classifier(images, training=False)), expected)
    keras.backend.clear_session()


@pytest.mark.parametrize("suffix", [".weights.h5", pytest.param(".h5", marks=pytest.mark.slow)])
def test_weights_return_from_a_file_into_another_size(suffix: str, tmp_path: Path) -> None:
    whole = whole_of("mobilenet", 64)
    path = tmp_path / f"whole{suffix}"
    whole.save_weights(path) if suffix == ".weights.h5" else whole.save(path)
    backbone, layers = build_with_top(get_entry("mobilenet"), str(path), SIZE)
    np.testing.assert_array_equal(backbone.get_weights()[0], whole.get_weights()[0])
    np.testing.assert_array_equal(layers[2].get_weights()[0], whole.get_weights()[-2])


@pytest.mark.parametrize(
    "suffix", [".weights.h5", *(pytest.param(suffix, marks=pytest.mark.slow) for suffix in (".h5", ".keras"))]
)
def test_weights_without_the_classifier_are_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"notop{suffix}"
    backbone = build_backbone("mobilenet", "none", SIZE)
    backbone.save_weights(path) if suffix == ".weights.h5" else backbone.save(path)
    with pytest.raises(HeadstartError, match=r"that fit mobilenet with its classifier in .*notop"):
        build_with_top(get_entry("mobilenet"), str(path), SIZE)


@pytest.mark.parametrize("name", ["efficientnet_lite0", pytest.param("efficientnet_lite2", marks=pytest.mark.slow)])
def test_the_packaged_classifier_computes_what_its_tensors_say(name: str) -> None:
    backbone, layers = build_with_top(get_entry(name), "packaged", 64)
    features = np.asarray(backbone(images_of(64), training=False))
    tensors = read_checkpoint(packaged_checkpoint(get_entry(name)))
    scores = features.mean(axis=(1, 2)) @ tensors["_fc.weight"].T + tensors["_fc.bias"]
    expected = np.exp(scores - scores.max(axis=1, keepdims=True))
    outputs = keras.ops.convert_to_tensor(features)
    for layer in layers:
        outputs = layer(outputs)
    np.testing.assert_allclose(
        np.asarray(outputs), expected / expected.sum(axis=1, keepdims=True), rtol=1e-3, atol=1e-6
    )
    plain = build_backbone(name, "packaged", 64)
    np.testing.assert_allclose(np.asarray(plain(images_of(64), training=False)), features, rtol=1e-4, atol=1e-5)


def no_download(*_: object) -> None:
    raise AssertionError("no download expected")


@pytest.mark.parametrize("image_size", [pytest.param(96, marks=pytest.mark.slow), 128])
def test_imagenet_weights_go_into_any_size(image_size: int, keras_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", no_download)
    entry = get_entry("mobilenet")  # Keras has no checksum for this one
    file = imagenet_file(entry, image_size, with_top=True)
    assert file.name == f"mobilenet_1_0_{128 if image_size == 128 else 224}_tf.h5"
    file.parent.mkdir()
    published = whole_of("mobilenet", 128)
    published.save(file)
    backbone, layers = build_with_top(entry, "imagenet", image_size)
    assert backbone.input.shape == (None, image_size, image_size, 3)
    np.testing.assert_array_equal(backbone.get_weights()[0], published.get_weights()[0])
    np.testing.assert_array_equal(layers[2].get_weights()[0], published.get_weights()[-2])


# The name of the file is what people without a network are told, so it must be the one that Keras asks for.
@pytest.mark.parametrize(
    ("name", "image_size"),
    [
        ("mobilenet", 128),
        ("mobilenetv2", 100),
        *(
            pytest.param(entry.name, entry.image_size, marks=[] if entry.name in FAST[1:] else [pytest.mark.slow])
            for entry in PUBLISHED
            if entry.imagenet_file
        ),
    ],
)
def test_missing_file_has_the_name_that_keras_uses(
    name: str, image_size: int, keras_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def get_file(fname: str, *_: object, **__: object) -> None:
        asked.append(fname)
        raise Exception("URL fetch failure")

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", get_file)
    with pytest.raises(HeadstartError) as caught:
        build_with_top(get_entry(name), "imagenet", image_size)
    file = imagenet_file(get_entry(name), image_size, with_top=True)
    assert asked == [file.name]
    assert str(file) in str(caught.value)
    assert "top" not in file.name
    keras.backend.clear_session()


PICTURES = ("dataset=unlabelled", "head=imagenet")


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["dataset=unlabelled", "head=linear"], "Expected head=imagenet for images without labels"),
        (["dataset=digits", "head=imagenet"], "Expected dataset=unlabelled for head.output=imagenet"),
        (["dataset=unlabelled", "head=linear", "head.output=imagenet"], "choose head=imagenet"),
        ([*PICTURES, "head.units=5"], "choose head=imagenet"),
        ([*PICTURES, "find_lr=true"], "Expected find_lr=false"),
        ([*PICTURES, "backbone=small_cnn"], "Received: small_cnn; choose another backbone"),
        (["head=include_top", "backbone=small_cnn"], "Received: small_cnn; choose another backbone"),
        ([*PICTURES, "backbone=vgg16", "image_size=96"], "Expected image_size=224 for .* of vgg16.*Received: 96"),
        (["head=include_top", "backbone=vgg19", "image_size=256"], "Expected image_size=224 for .* of vgg19"),
    ],
)
def test_impossible_combinations_are_refused_with_what_to_change(overrides: list[str], says: str) -> None:
    config = compose(overrides)
    entry = get_entry(config.backbone.name)
    with pytest.raises(HeadstartError, match=says) as caught:
        check_include_top(config, entry, config.image_size or entry.image_size)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "overrides",
    [
        [*PICTURES],
        [*PICTURES, "backbone=vgg16"],
        [*PICTURES, "backbone=resnet50", "image_size=96"],
        ["head=include_top", "backbone=vgg16", "backbone.weights=none", "image_size=64"],
        ["head=linear", "backbone=small_cnn", "image_size=64"],
    ],
)
def test_possible_combinations_are_not_refused(overrides: list[str]) -> None:
    config = compose(overrides)
    entry = get_entry(config.backbone.name)
    check_include_top(config, entry, config.image_size or entry.image_size)
