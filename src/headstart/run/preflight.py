"""Check a configuration before reading any image; sweeps check every job this way before the first one starts."""

from __future__ import annotations

from headstart.config import Config, scenario_cells
from headstart.core.signals import parse_duration
from headstart.inference.backend import check_inference_backend
from headstart.model.backbones.registry import check_image_size, get_entry
from headstart.model.backbones.weights import check_weights
from headstart.model.image_size import choose_image_size
from headstart.model.include_top import check_include_top
from headstart.model.targets import check_targets
from headstart.run.refinement_checks import check_refinements
from headstart.scenario.check import check_measurable
from headstart.training.linear_head import check_linear_head


def possible_configurations(config: Config) -> list[Config]:
    """Return the configurations that a run may train with: four for `scenario=auto`, else one.

    Args:
        config: the resolved configuration.
    """
    return list(scenario_cells(config).values()) if config.scenario.name == "auto" else [config]


def check_configuration(config: Config) -> int:
    """Raise if the run would fail with any images; return the image size in pixels.

    Args:
        config: the resolved configuration.

    Raises:
        HeadstartError: naming the key to change.
    """
    if config.scenario.name == "auto":
        check_measurable(config)
    for possible in possible_configurations(config):
        check_targets(possible)
        check_linear_head(possible)
        check_refinements(possible)
    check_inference_backend(config.inference_backend)
    if config.time_limit is not None:
        parse_duration(config.time_limit)
    entry = get_entry(config.backbone.name)
    check_weights(entry, config.backbone.weights)
    image_size = choose_image_size(config, entry)
    check_image_size(entry, image_size)
    check_include_top(config, entry, image_size)
    return image_size
