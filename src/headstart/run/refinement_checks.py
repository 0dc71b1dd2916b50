"""Check, before any image is read, that a run can refine its classifier as its configuration says."""

from __future__ import annotations

from headstart.config import Config
from headstart.core.errors import HeadstartError
from headstart.training.interpolation import probe_stage


def check_refinements(config: Config) -> None:
    """Raise if a run cannot refine its classifier as its configuration says.

    Args:
        config: the resolved configuration.

    Raises:
        HeadstartError: names the key that has to change.
    """
    if config.tta == "flip" and config.head.output == "imagenet":
        raise HeadstartError(
            f"Expected tta=none with head={config.head.name}, which labels images with a pretrained network as it is. "
            f"Received: tta={config.tta}"
        )
    if config.interpolate == "wise_ft":
        _check_interpolation(config)
    if config.calibrate != "none" and config.head.output == "imagenet":
        raise HeadstartError(
            f"Expected calibrate=none with head={config.head.name}, which labels unlabelled images: there are no "
            f"labels to fit a temperature to. Received: calibrate={config.calibrate}"
        )


def _check_interpolation(config: Config) -> None:
    """Raise unless the schedule has a probe and fine-tuning whose weights can be averaged."""
    if config.head.output == "imagenet" or probe_stage(config.freeze.stages) is None:
        raise HeadstartError(
            "Expected interpolate=wise_ft with a schedule that starts with a stage that trains the head alone, and "
            f"then fine-tunes the backbone, such as freeze=last_two_blocks. Received: freeze={config.freeze.name}"
        )
    learning = [stage.name for stage in config.freeze.stages if stage.batch_norm == "train"]
    if learning or config.head.batch_norm:
        where = (
            f"batch_norm=train in stage {learning[0]}" if learning else f"head.batch_norm=true in {config.head.name}"
        )
        raise HeadstartError(
            "Expected interpolate=wise_ft without batch normalization that learns statistics: those between two "
            f"networks are not the statistics of the network between them. Received: {where}"
        )
