"""Whether the scenario of a data set can be measured, said before any time is spent on it."""

from __future__ import annotations

from headstart.config import Config
from headstart.core.errors import HeadstartError
from headstart.model.backbones.registry import get_entry


def check_measurable(config: Config) -> None:
    """Raise when it cannot be measured how similar images are to ImageNet.

    Args:
        config: the resolved configuration.

    Raises:
        HeadstartError: naming the key that has to change.
    """
    entry, weights = get_entry(config.backbone.name), config.backbone.weights
    if config.dataset.source == "unlabelled" or config.head.output == "imagenet":
        raise HeadstartError(
            "Expected images with labels to measure which scenario they are in. Received: "
            f"dataset={config.dataset.name} head={config.head.name}, from which nothing is learned; leave scenario out"
        )
    if weights == "none" or not entry.weights:
        raise HeadstartError(
            "Expected a backbone with ImageNet weights to measure how similar the images are to ImageNet. Received: "
            f"backbone={config.backbone.name} backbone.weights={weights}; choose backbone=efficientnet_lite0, or name "
            "the scenario yourself: scenario=small_different"
        )


def check_rankable(names: list[str]) -> None:
    """Raise for a name that no backbone with ImageNet weights has.

    Args:
        names: of backbones.

    Raises:
        HeadstartError: naming the first one.
    """
    for name in names:
        if not get_entry(name).weights:
            raise HeadstartError(f"Expected --backbones to have ImageNet weights. Received: {name}, which has none")
