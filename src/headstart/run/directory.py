"""Hydra callback that refuses a run directory which already holds a run, before Hydra writes to it."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, open_dict, read_write

from headstart import config as configuration
from headstart.core.error_output import print_error
from headstart.core.errors import HeadstartError
from headstart.run.resume import expect_unused, find_interrupted


class RunDirectoryCallback(Callback):
    """Refuses a directory that holds a run, unless `resume=auto` resumes that run."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Check `hydra.run.dir` before Hydra creates it.

        Raises:
            SystemExit: with code 1; Hydra turns other exceptions of callbacks into warnings.
        """
        output = Path(str(config.hydra.run.dir)).absolute()
        if not output.is_dir():
            return
        try:
            if config.get("resume") != "auto" or find_interrupted(_resolve(config), output) != output:
                expect_unused(output)
        except HeadstartError as error:
            print_error(error)
            sys.exit(1)


def _resolve(config: DictConfig) -> configuration.Config:
    """Return the configuration of the run, without Hydra's own part."""
    overrides = configuration.unresolved_overrides(config.hydra.overrides.task)
    own = copy.deepcopy(config)
    with read_write(own), open_dict(own):
        del own["hydra"]
    return configuration.resolve(own, overrides)
