"""What happens before Hydra writes anything of a single run: its directory must hold no run yet."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, open_dict, read_write

from headstart import config as configuration
from headstart.core.console import console
from headstart.core.errors import HeadstartError
from headstart.run.resume import expect_unused, find_interrupted


class RunDirectoryCallback(Callback):
    """Refuses a directory that holds a run, unless `resume=auto` resumes that one."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Look at `hydra.run.dir` before Hydra makes it.

        Raises:
            SystemExit: with code 1 after the reason, because any other exception would be a warning.
        """
        output = Path(str(config.hydra.run.dir)).absolute()
        if not output.is_dir():
            return
        try:
            if config.get("resume") != "auto" or find_interrupted(_resolve(config), output) != output:
                expect_unused(output)
        except HeadstartError as error:
            console.print(f"Error: {error}", markup=False, soft_wrap=True)
            sys.exit(1)


def _resolve(config: DictConfig) -> configuration.Config:
    """Return the configuration of the run, without Hydra's own part."""
    overrides = configuration.unresolved_overrides(config.hydra.overrides.task)
    own = copy.deepcopy(config)
    with read_write(own), open_dict(own):
        del own["hydra"]
    return configuration.resolve(own, overrides)
