"""Whether a backbone has the blocks and layers that a stage trains, checked before an image is read.

What a stage may say is in `headstart.config.train_targets`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headstart.config import Biases, Blocks, Config, FirstBlocks, From, LastBlocks, LastLayers, Norms, TrainTarget
from headstart.config.train_targets import GRAMMAR, write_target
from headstart.core.errors import HeadstartError, did_you_mean
from headstart.model.backbones.registry import get_entry
from headstart.model.backbones.spec import BackboneEntry
from headstart.model.parameter_kinds import has_bias, is_norm

if TYPE_CHECKING:
    import keras

FEWEST_LAYERS = 7  # of all backbones, the input counted


def check_target(
    target: TrainTarget, entry: BackboneEntry, key: str = "train", backbone: keras.Model | None = None
) -> None:
    """Raise when a backbone does not have what a stage trains.

    Args:
        target: the stage's `train`.
        entry: of the backbone.
        key: for the message.
        backbone: the built backbone; None where it is not built, and what only the layers tell is not checked.

    Raises:
        HeadstartError: for more blocks or layers than there are, a name that no block or layer has, norms or biases
            where there are none.
    """
    missing = _missing_block(target, entry)
    if missing is None and backbone is not None:
        missing = _missing_layer(target, entry, backbone)
    if missing is not None:
        raise HeadstartError(f"Expected {key} to be one of {GRAMMAR}. Received: {write_target(target)}", missing)


def _missing_block(target: TrainTarget, entry: BackboneEntry) -> str | None:
    """Return the blocks of a backbone if a target names or counts others; None otherwise."""
    blocks = entry.blocks.blocks
    listed = f"the blocks of {entry.name} are {', '.join(blocks)}"
    match target:
        case LastBlocks(count) | FirstBlocks(count) if count > len(blocks):
            return listed
        case Blocks(names):
            unknown = [name for name in names if name not in blocks]
            return "; ".join(filter(None, [listed, did_you_mean(unknown[0], blocks)])) if unknown else None
    return None


def _missing_layer(target: TrainTarget, entry: BackboneEntry, backbone: keras.Model) -> str | None:
    """Return why a built backbone does not have what a target trains, None if it has."""
    blocks, layers = entry.blocks.blocks, [layer.name for layer in backbone.layers]
    listed = f"the blocks of {entry.name} are {', '.join(blocks)}"
    match target:
        case LastLayers(count) if count > len(layers):
            return listed
        case From(name) if name not in (*blocks, *layers):
            return "; ".join(filter(None, [listed, did_you_mean(name, (*blocks, *layers))]))
        case Norms() if not any(map(is_norm, backbone.layers)):
            return f"{entry.name} has no batch norm and no layer norm; {{biases: true}} trains its biases"
        case Biases() if not any(map(has_bias, backbone.layers)):
            return f"{entry.name} has no bias; {{blocks: [BLOCK]}} trains whole blocks"
    return None


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


def needs_layers(config: Config) -> bool:
    """Return whether a stage trains something that only the layers of the built backbone tell.

    Args:
        config: the resolved configuration, see `check_targets`.
    """
    blocks = get_entry(config.backbone.name).blocks.blocks
    return any(
        (isinstance(stage.train, From) and stage.train.name not in blocks)
        or (isinstance(stage.train, LastLayers) and stage.train.count > FEWEST_LAYERS)
        or isinstance(stage.train, Norms | Biases)
        for stage in config.freeze.stages
    )


def check_layers(config: Config, image_size: int) -> None:
    """Raise for the first stage that trains layers which the backbone does not have; builds it to look.

    Args:
        config: the resolved configuration, see `needs_layers`.
        image_size: side of the square input in pixels.

    Raises:
        HeadstartError: naming the stage's key and the backbone's blocks.
    """
    import keras

    from headstart.model.backbones.registry import build_backbone

    entry = get_entry(config.backbone.name)
    backbone = build_backbone(entry.name, "none", image_size)
    keras.backend.clear_session()  # so that the layers of the network itself get the same names
    for position, stage in enumerate(config.freeze.stages):
        check_target(stage.train, entry, f"freeze.stages.{position}.train", backbone)
