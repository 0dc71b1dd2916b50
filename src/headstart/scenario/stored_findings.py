"""What trials found, on disk: the next command with the same question gets the same answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from headstart.config import Config
from headstart.config.fields import Decides
from headstart.config.keys import values_that_decide
from headstart.core.files import write_json
from headstart.core.paths import TRIALS, cache_directory
from headstart.data.files.check_cache import READER
from headstart.data.index import ImageIndex
from headstart.results.codec import from_plain, to_plain
from headstart.results.scenario import StrategyChoice
from headstart.scenario.square import Placement

FORMAT = 2  # increase it when what is measured or tried changes
VERSIONS = ("headstart", "tensorflow", "keras", "numpy")


@dataclass(frozen=True)
class StoredFindings:
    """What a data set's measurement and its trials found."""

    placement: Placement
    choice: StrategyChoice


class FindingsFile:
    """The file with the findings about a data set and its strategies."""

    def __init__(self, config: Config, strategies: Mapping[str, Config], index: ImageIndex, image_size: int) -> None:
        """Name the file by everything that decides what is found.

        Args:
            config: of a run with `scenario=auto`.
            strategies: the configurations to choose from.
            index: all images, with their digests.
            image_size: side in pixels.
        """
        described = {
            "format": FORMAT,
            "versions": [version(package) for package in VERSIONS],
            "reader": READER,
            "images": index.fingerprint,
            "values": list(index.value_range or ()),
            "image_size": image_size,
            "split_seed": config.dataset.split.seed,
            "seconds": config.scenario.seconds,
            "strategies": {
                name: sorted((key, repr(value)) for key, value in values_that_decide(one, (Decides.RESULT,)).items())
                for name, one in strategies.items()
            },
            "resize": config.dataset.resize,
        }
        digest = hashlib.sha256(json.dumps(described).encode()).hexdigest()[:32]
        self.path: Path = cache_directory() / TRIALS / f"{digest}.json"

    def read(self) -> StoredFindings | None:
        """Return the findings; None if there are none or they cannot be read."""
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            return from_plain(StoredFindings, content)
        except (OSError, ValueError, TypeError):
            return None

    def write(self, placement: Placement, choice: StrategyChoice) -> None:
        """Store the findings."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_json(self.path, to_plain(StoredFindings(placement, choice)))
