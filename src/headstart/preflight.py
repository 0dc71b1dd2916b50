"""What can be checked of a configuration before an image is read, by a run and by a sweep for each of its jobs."""

from __future__ import annotations

from headstart.config import Config, scenario_cells
from headstart.interruption import parse_duration
from headstart.model.backbones import BackboneEntry, check_image_size, get_entry
from headstart.model.engine import check_engine
from headstart.model.original import check_original
from headstart.model.targets import check_targets
from headstart.model.weights import check_weights
from headstart.scenario.check import check_measurable
from headstart.training.fitted import check_fit


def check_configuration(config: Config) -> int:
    """Raise when a run cannot work whatever its images are; return the side of its input in pixels.

    Args:
        config: the resolved configuration.

    Raises:
        HeadstartError: naming the key that has to change.
    """
    measured = config.scenario.name == "auto"
    if measured:
        check_measurable(config)
    for possible in scenario_cells(config).values() if measured else [config]:
        check_targets(possible)
        check_fit(possible)
    check_engine(config.engine)
    if config.time_limit is not None:
        parse_duration(config.time_limit)
    entry = get_entry(config.backbone.name)
    check_weights(entry, config.backbone.weights)
    image_size = choose_image_size(config, entry)
    check_image_size(entry, image_size)
    check_original(config, entry, image_size)
    return image_size


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
