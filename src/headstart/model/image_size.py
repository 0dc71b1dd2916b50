"""The side of the square images that a network takes."""

from __future__ import annotations

from headstart.config import Config
from headstart.model.backbones.spec import BackboneEntry


def choose_image_size(config: Config, entry: BackboneEntry) -> int:
    """Return the side of the input: the configured one, what suits the dataset, or the backbone's own.

    Args:
        config: `image_size` and the dataset's suggestion.
        entry: the backbone's registry entry.
    """
    if config.image_size is not None:
        return config.image_size
    if config.dataset.suggested_image_size is not None:
        return max(config.dataset.suggested_image_size, entry.minimum_size)
    return entry.image_size
