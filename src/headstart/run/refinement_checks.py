"""Check, before any image is read, that a run can refine its classifier as its configuration says."""

from __future__ import annotations

from headstart.config import Config
from headstart.core.errors import HeadstartError


def check_refinements(config: Config) -> None:
    """Raise if a run cannot refine its classifier as its configuration says.

    Args:
        config: the resolved configuration.

    Raises:
        HeadstartError: names the key that has to change.
    """
    if config.calibrate != "none" and config.head.output == "imagenet":
        raise HeadstartError(
            f"Expected calibrate=none with head={config.head.name}, which labels unlabelled images: there are no "
            f"labels to fit a temperature to. Received: calibrate={config.calibrate}"
        )
