"""Whether a backbone has the blocks and layers that a stage trains, checked before an image is read.

What a stage may say is in `headstart.config.train_targets`.
"""

from __future__ import annotations

from collections.abc import Sequence

from headstart.config import Config, From, LastBlocks, LastLayers, TrainTarget
from headstart.config.train_targets import GRAMMAR, did_you_mean, write_target
from headstart.core.errors import HeadstartError
from headstart.model.backbones.registry import get_entry
from headstart.model.backbones.spec import BackboneEntry

FEWEST_LAYERS = 7  # of all backbones, the input counted


def check_target(
    target: TrainTarget, entry: BackboneEntry, key: str = "train", layers: Sequence[str] | None = None
) -> None:
    """Raise when a backbone does not have what a stage trains.

    Args:
        target: the stage's `train`.
        entry: of the backbone.
        key: for the message.
        layers: names of the backbone's layers, from input to output; None where it is not built, and a name that is
            no block's may be a layer's.

    Raises:
        HeadstartError: for more blocks or layers than there are, or a name that no block or layer has.
    """
    blocks = entry.blocks.blocks
    match target:
        case LastBlocks(count):
            is_there = count <= len(blocks)
        case LastLayers(count):
            is_there = layers is None or count <= len(layers)
        case From(name):
            is_there = layers is None or name in (*blocks, *layers)
        case _:
            is_there = True
    if not is_there:
        hint = did_you_mean(target.name, (*blocks, *(layers or ()))) if isinstance(target, From) else ""
        raise HeadstartError(
            f"Expected {key} to be one of {GRAMMAR}. Received: {write_target(target)}. "
            f"The blocks of {entry.name} are {', '.join(blocks)}{hint}"
        )


def check_targets(config: Config) -> None:
    """Raise for the first stage that trains what its backbone does not have, as far as is known without building it.

    Args:
        config: the resolved configuration.

    Raises:
        HeadstartError: naming the stage's key and the backbone's blocks.
    """
    entry = get_entry(config.backbone.name)
    for position, stage in enumerate(config.freeze.stages):
        check_target(stage.train, entry, f"freeze.stages.{position}.train")


def names_a_layer(config: Config) -> bool:
    """Return whether a stage names or counts layers, which only the built backbone can check.

    Args:
        config: the resolved configuration, see `check_targets`.
    """
    blocks = get_entry(config.backbone.name).blocks.blocks
    return any(
        (isinstance(stage.train, From) and stage.train.name not in blocks)
        or (isinstance(stage.train, LastLayers) and stage.train.count > FEWEST_LAYERS)
        for stage in config.freeze.stages
    )


def check_layer_names(config: Config, image_size: int) -> None:
    """Raise for the first stage that names or counts layers which the backbone does not have; builds it to look.

    Args:
        config: the resolved configuration, see `names_a_layer`.
        image_size: side of the square input in pixels.

    Raises:
        HeadstartError: naming the stage's key and the backbone's blocks.
    """
    import keras

    from headstart.model.backbones.registry import build_backbone

    entry = get_entry(config.backbone.name)
    layers = [layer.name for layer in build_backbone(entry.name, "none", image_size).layers]
    keras.backend.clear_session()  # so that the layers of the network itself get the same names
    for position, stage in enumerate(config.freeze.stages):
        check_target(stage.train, entry, f"freeze.stages.{position}.train", layers)
