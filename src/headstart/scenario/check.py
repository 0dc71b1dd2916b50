"""Checks whether the scenario of a data set can be measured, before any time is spent on it."""

from __future__ import annotations

from headstart.config import Config
from headstart.core.errors import HeadstartError
from headstart.model.backbones.registry import get_entry


def check_measurable(config: Config) -> None:
    """Raise unless the similarity of the images to ImageNet can be measured.

    Args:
        config: the resolved configuration.

    Raises:
        HeadstartError: naming the key that has to change.
    """
    entry, weights = get_entry(config.backbone.name), config.backbone.weights
    if config.dataset.source == "unlabelled" or config.head.output == "imagenet":
        raise HeadstartError(
            "Expected labelled images to measure their scenario. Received: "
            f"dataset={config.dataset.name} head={config.head.name}, which train nothing",
            "leave out scenario=auto",
        )
    if weights == "none" or not entry.weights:
        raise HeadstartError(
            "Expected a backbone with ImageNet weights to measure how similar the images are to ImageNet. Received: "
            f"backbone={config.backbone.name} backbone.weights={weights}",
            "choose backbone=efficientnet_lite0, or set the scenario yourself, for example scenario=small_different",
        )


def check_rankable(names: list[str]) -> None:
    """Check that all named backbones have ImageNet weights.

    Args:
        names: of backbones.

    Raises:
        HeadstartError: naming the first one without.
    """
    for name in names:
        if not get_entry(name).weights:
            raise HeadstartError(f"Expected --backbones to have ImageNet weights. Received: {name}, which has none")
