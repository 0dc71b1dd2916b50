"""Every backbone builds, normalises its input as its source does, has its blocks and can be split."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pytest
import yaml
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins

from headstart.core.errors import HeadstartError
from headstart.model.backbones.blocks import find_blocks
from headstart.model.backbones.registry import BACKBONES, build_backbone, get_entry
from headstart.model.preprocessing import INPUT_NORMALIZATIONS, preprocess
from headstart.model.split_points import find_split_points, split_at
from headstart.model.targets import FEWEST_LAYERS

CONF = Path(__file__).parents[3] / "conf" / "backbone"
OWN_SCALE = {"lite": (127.0, 128.0), "unit": (0.0, 255.0)}  # subtracted, divided by


class Case(NamedTuple):
    name: str
    module: str  # of keras.applications, with its preprocess_input; "" for headstart's own
    split_points: int  # at least
    blocks: int
    last_block: str
    slow: bool = False  # some seconds to build


CASES = [
    Case("vgg16", "vgg16", 18, 5, "block5"),
    Case("vgg19", "vgg19", 21, 5, "block5", slow=True),
    Case("resnet50", "resnet", 30, 5, "conv5", slow=True),
    Case("resnet101", "resnet", 60, 5, "conv5", slow=True),
    Case("resnet152", "resnet", 90, 5, "conv5", slow=True),
    Case("resnet50v2", "resnet_v2", 25, 5, "conv5", slow=True),
    Case("resnet101v2", "resnet_v2", 40, 5, "conv5", slow=True),
    Case("resnet152v2", "resnet_v2", 60, 5, "conv5", slow=True),
    Case("inceptionv3", "inception_v3", 25, 12, "mixed10", slow=True),
    Case("inceptionresnetv2", "inception_resnet_v2", 90, 7, "block8", slow=True),
    Case("xception", "xception", 20, 14, "block14", slow=True),
    Case("densenet121", "densenet", 70, 5, "conv5", slow=True),
    Case("densenet169", "densenet", 90, 5, "conv5", slow=True),
    Case("densenet201", "densenet", 110, 5, "conv5", slow=True),
    Case("mobilenet", "mobilenet", 80, 14, "block_13"),
    Case("mobilenetv2", "mobilenet_v2", 70, 17, "block_16", slow=True),
    Case("mobilenetv3small", "mobilenet_v3", 50, 11, "expanded_conv_10", slow=True),
    Case("mobilenetv3large", "mobilenet_v3", 60, 15, "expanded_conv_14", slow=True),
    Case("nasnetmobile", "nasnet", 4, 17, "cell_12", slow=True),
    Case("nasnetlarge", "nasnet", 4, 23, "cell_18", slow=True),
    Case("efficientnetb0", "efficientnet", 80, 8, "block7", slow=True),
    *(Case(f"efficientnetb{size}", "efficientnet", 80, 8, "block7", slow=True) for size in range(1, 8)),
    Case("efficientnetv2b0", "efficientnet_v2", 60, 7, "block6", slow=True),
    *(Case(f"efficientnetv2b{size}", "efficientnet_v2", 60, 7, "block6", slow=True) for size in range(1, 4)),
    Case("efficientnetv2s", "efficientnet_v2", 70, 7, "block6", slow=True),
    Case("efficientnetv2m", "efficientnet_v2", 100, 8, "block7", slow=True),
    Case("efficientnetv2l", "efficientnet_v2", 120, 8, "block7", slow=True),
    Case("convnexttiny", "convnext", 24, 5, "stage3", slow=True),
    *(Case(f"convnext{size}", "convnext", 40, 5, "stage3", slow=True) for size in ("small", "base", "large", "xlarge")),
    Case("efficientnet_lite0", "", 60, 8, "block7"),
    Case("efficientnet_lite1", "", 70, 8, "block7", slow=True),
    Case("efficientnet_lite2", "", 70, 8, "block7", slow=True),
    Case("small_cnn", "", 6, 3, "block3"),
]
PARAMETERS = [pytest.param(case, id=case.name, marks=[pytest.mark.slow] if case.slow else []) for case in CASES]


@pytest.fixture
def clear() -> Iterator[None]:
    """Let go of a large model; not after every test, for it collects garbage for a second."""
    yield
    keras.backend.clear_session()


@pytest.mark.usefixtures("clear")
@pytest.mark.parametrize("case", PARAMETERS)
def test_backbone(case: Case) -> None:
    entry = get_entry(case.name)
    size = entry.minimum_size
    pixels = np.random.default_rng(0).uniform(0, 255, (2, size, size, 3)).astype("float32")
    inputs = keras.Input((size, size, 3))
    prepared = np.asarray(keras.Model(inputs, preprocess(entry.preprocessing, inputs))(pixels))
    if case.module:
        reference = getattr(keras.applications, case.module).preprocess_input(pixels.copy())
    else:
        shift, scale = OWN_SCALE[entry.preprocessing]
        reference = (pixels - shift) / scale
    np.testing.assert_allclose(prepared, reference, rtol=1e-5, atol=1e-4)

    backbone = build_backbone(case.name, "none", size)
    assert backbone.name == "backbone"
    assert backbone.input.shape == (None, size, size, 3)
    features = np.asarray(backbone(prepared, training=False))
    assert features.ndim == 4
    assert np.isfinite(features).all()

    blocks = find_blocks(backbone, entry)
    names = [block.name for block in blocks]
    assert tuple(names) == entry.blocks.blocks
    assert len(names) == len(set(names)) == case.blocks
    assert len(backbone.layers) >= FEWEST_LAYERS
    assert names[-1] == case.last_block
    weighted = [layer.name for layer in backbone.layers if layer.weights]
    assert sorted(layer.name for block in blocks for layer in block.layers) == sorted(weighted)
    assert sum(block.parameters for block in blocks) == backbone.count_params()
    # Training from a block on means training everything after it: blocks do not interleave.
    assert [layer.name for block in blocks for layer in block.layers] == weighted

    split_points = find_split_points(backbone)
    assert len(split_points) >= case.split_points
    prefix, suffix = split_at(backbone, split_points[len(split_points) // 2].name)
    np.testing.assert_allclose(np.asarray(suffix(prefix(prepared))), features, rtol=1e-4, atol=1e-5)


def test_every_backbone_has_a_case() -> None:
    assert sorted(case.name for case in CASES) == sorted(BACKBONES)


@pytest.fixture(scope="module")
def options() -> ConfigStore:
    """Return Hydra's store of options, once it has looked for plugins."""
    Plugins.instance()
    return ConfigStore.instance()


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_option_says_what_the_entry_has(name: str, options: ConfigStore) -> None:
    entry, file = get_entry(name), CONF / f"{name}.yaml"
    option = yaml.safe_load(file.read_text()) if file.exists() else options.load(f"backbone/{name}.yaml").node
    assert option == {"name": name, "weights": entry.weights[0] if entry.weights else "none"}
    assert f"; {entry.image_size} px; " in entry.description
    assert 20 < len(entry.description) < 130


def test_a_file_is_kept_where_it_says_more_than_the_entry() -> None:
    assert {file.stem for file in CONF.glob("*.yaml")} == {"efficientnet_lite0", "small_cnn"}
    for file in CONF.glob("*.yaml"):
        first, second = file.read_text().splitlines()[:2]
        assert first.startswith("# ")
        assert get_entry(file.stem).about not in first
        assert second.startswith(f"# python run.py backbone={file.stem}")


def test_every_model_of_keras_is_there() -> None:
    constructors = {name for name in dir(keras.applications) if name[0].isupper()}
    assert constructors <= {entry.constructor for entry in BACKBONES.values()}


@pytest.mark.parametrize("name", [case.name for case in CASES if case.module])
def test_minimum_size_is_that_of_keras(name: str) -> None:
    entry = get_entry(name)
    size = entry.minimum_size - 1
    with pytest.raises(ValueError, match="at least"):
        getattr(keras.applications, entry.constructor)(include_top=False, weights=None, input_shape=(size, size, 3))


def test_image_size_below_the_minimum_is_refused() -> None:
    with pytest.raises(HeadstartError, match="image_size to be at least 75 for inceptionv3"):
        build_backbone("inceptionv3", "none", 64)


def test_unknown_name_gets_the_closest_as_a_tip() -> None:
    with pytest.raises(HeadstartError, match=r"unknown backbone 'ResNet-50'; did you mean backbone=resnet50\?"):
        get_entry("ResNet-50")


def test_blocks_that_recipes_rely_on() -> None:
    vgg = build_backbone("vgg16", "none", 32)
    block5 = find_blocks(vgg, get_entry("vgg16"))[-1]
    assert [layer.name for layer in block5.layers] == ["block5_conv1", "block5_conv2", "block5_conv3"]
    assert block5.parameters == 7_079_424


@pytest.mark.slow
def test_inception_blocks_do_not_depend_on_layer_numbers() -> None:
    keras.layers.Conv2D(1, 1)(keras.Input((8, 8, 3)))  # moves the counter that Keras names layers by
    inception = build_backbone("inceptionv3", "none", 75)
    mixed9, mixed10 = find_blocks(inception, get_entry("inceptionv3"))[-2:]
    after_249 = [layer for layer in inception.layers[249:] if layer.weights]
    assert [*mixed9.layers, *mixed10.layers] == after_249
    trainable = sum(np.prod(weight.shape) for layer in after_249 for weight in layer.trainable_weights)
    assert trainable == 11_114_880


@pytest.mark.parametrize("normalization", INPUT_NORMALIZATIONS)
def test_preprocessing_survives_safe_loading(normalization: str, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 4, 4, 3)).astype("float32")
    inputs = keras.Input((4, 4, 3))
    model = keras.Model(inputs, keras.layers.ReLU()(preprocess(normalization, inputs)))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(np.asarray(loaded(pixels)), np.asarray(model(pixels)))


def test_unknown_normalization_is_refused() -> None:
    with pytest.raises(HeadstartError, match="preprocessing to be one of caffe, tf"):
        preprocess("pytorch", keras.Input((4, 4, 3)))


# These have layers of their own class, in keras.applications or in a graph that was rebuilt.
@pytest.mark.parametrize(
    "name",
    [
        pytest.param("convnexttiny", marks=pytest.mark.slow),
        pytest.param("efficientnetb0", marks=pytest.mark.slow),
        "mobilenetv3small",
        pytest.param("inceptionresnetv2", marks=pytest.mark.slow),
    ],
)
def test_backbone_survives_safe_loading_after_a_split(name: str, tmp_path: Path) -> None:
    size = get_entry(name).minimum_size
    backbone = build_backbone(name, "none", size)
    split_at(backbone, find_split_points(backbone)[3].name)
    backbone.save(tmp_path / "backbone.keras")
    loaded = keras.models.load_model(tmp_path / "backbone.keras", safe_mode=True)
    images = np.random.default_rng(0).uniform(0, 255, (1, size, size, 3)).astype("float32")
    np.testing.assert_array_equal(np.asarray(loaded(images)), np.asarray(backbone(images)))
