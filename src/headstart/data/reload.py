"""Loads the images of an earlier run again."""

from __future__ import annotations

from headstart.config import Config
from headstart.core.errors import HeadstartError
from headstart.core.paths import cache_directory
from headstart.data.files.checks import check_images
from headstart.data.index import ImageIndex
from headstart.data.load import load_index


def reload_images(config: Config, fingerprint: str, run: str) -> ImageIndex:
    """Return the images of a finished run, in the order that the run had them.

    Args:
        config: of the run.
        fingerprint: of the images that the run had.
        run: its directory, for the message.

    Raises:
        HeadstartError: when they are no longer those that the run was trained on.
    """
    dataset = config.dataset
    index, _ = check_images(
        load_index(dataset, cache_directory(), config.cv), dataset.bad_images, cache_directory(), dataset.value_range
    )
    if index.fingerprint != fingerprint:
        raise HeadstartError(
            f"Expected the images in {index.root} to be those that the runs were trained on. Received: images, labels "
            "or splits that have changed since",
            f"train again, for example with reproduce={run}",
        )
    return index
