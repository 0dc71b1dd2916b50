"""Check a configuration before reading any image; sweeps check every job this way before the first one starts."""

from __future__ import annotations

from headstart.config import Config, scenario_strategies
from headstart.core.errors import HeadstartError
from headstart.core.signals import parse_duration
from headstart.inference.backend import check_inference_backend
from headstart.model.backbones.registry import check_image_size, get_entry
from headstart.model.backbones.weights import check_weights
from headstart.model.image_size import choose_image_size
from headstart.model.include_top import check_include_top
from headstart.model.targets import check_targets
from headstart.run.refinement_checks import check_refinements
from headstart.scenario.check import check_measurable
from headstart.tracking import expect_registered_name
from headstart.training.linear_head import check_linear_head


def possible_configurations(config: Config) -> list[Config]:
    """Return the configurations that a run may train with: those of the strategies of `scenario=auto`, else one.

    Args:
        config: the resolved configuration.

    Raises:
        HeadstartError: naming the key to change, when none can be trained.
    """
    if config.scenario.name != "auto" or not config.scenario.strategies:  # an earlier version has chosen
        return [config]
    return list(fitting_strategies(config)[0].values())


def fitting_strategies(config: Config) -> tuple[dict[str, Config], dict[str, str]]:
    """Return the strategies that a run with `scenario=auto` can train, and the reasons why it cannot train others.

    What the command sets may exclude some: features that are computed once cannot be augmented.

    Args:
        config: the resolved configuration.

    Raises:
        HeadstartError: naming the key to change, when no strategy can be trained.
    """
    left_out: dict[str, str] = {}
    fitting: dict[str, Config] = {}
    for name, possible in scenario_strategies(config).items():
        try:
            _check_training(possible)
            fitting[name] = possible
        except HeadstartError as error:
            left_out[name] = str(error)
    if not fitting:
        raise HeadstartError(next(iter(left_out.values())))
    return fitting, left_out


def check_configuration(config: Config) -> int:
    """Raise if the run would fail with any images; return the image size in pixels.

    Args:
        config: the resolved configuration.

    Raises:
        HeadstartError: naming the key to change.
    """
    if config.scenario.name == "auto":
        check_measurable(config)
    possible = possible_configurations(config)
    for one in possible:
        _check_training(one)
    check_inference_backend(config.inference_backend)
    expect_registered_name(config.tracking)
    if config.time_limit is not None:
        parse_duration(config.time_limit)
    entry = get_entry(config.backbone.name)
    check_weights(entry, config.backbone.weights)
    image_size = choose_image_size(config, entry)
    check_image_size(entry, image_size)
    for one in possible:
        check_include_top(one, entry, image_size)
    return image_size


def _check_training(config: Config) -> None:
    """Raise if a configuration cannot be trained, as far as that does not depend on the images."""
    check_targets(config)
    check_linear_head(config)
    check_refinements(config)
