"""Train, evaluate, save and track one classifier: `python run.py backbone=inceptionv3 freeze=last_block`."""

from __future__ import annotations

import gc
import os
import sys
import time
from pathlib import Path

STARTS = [time.time()]  # of the process, which is when its first job began
# Set before Hydra composes and before TensorFlow is imported.
os.environ.setdefault("HEADSTART_OUTPUTS", str(Path(__file__).parent.absolute() / "outputs"))
os.environ.setdefault("HEADSTART_DATA", str(Path(__file__).parent.absolute() / "data"))
os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # Hydra raises, so that the text is ours

import hydra  # noqa: E402
from hydra.errors import HydraException  # noqa: E402
from omegaconf import DictConfig  # noqa: E402
from omegaconf.errors import OmegaConfBaseException  # noqa: E402

from headstart import config as configuration  # noqa: E402
from headstart.console import console  # noqa: E402
from headstart.errors import HeadstartError  # noqa: E402

FAILURES: list[HeadstartError] = []  # of the jobs of this process


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(composed: DictConfig) -> float | None:
    """Run one configuration and return the validation accuracy, where there is one, for sweepers."""
    from hydra.core.hydra_config import HydraConfig

    from headstart.experiment import run

    try:
        started = STARTS.pop() if STARTS else None
        results = run(configuration.resolve(composed), Path(HydraConfig.get().runtime.output_dir), started)
    except HeadstartError as error:  # the other jobs of a sweep go on
        FAILURES.append(error)
        console.print(f"Error: {error}", markup=False, soft_wrap=True)
        return None
    return results.get("splits", {}).get("validation", {}).get("accuracy")


if __name__ == "__main__":
    if {"--help", "-h"} & set(sys.argv[1:]):
        from headstart.help import print_help

        print_help()
        sys.exit(0)
    configuration.register_schema()
    sys.argv[1:] = configuration.expand_home(sys.argv[1:])
    try:
        main()
    except (HydraException, OmegaConfBaseException) as error:
        console.print(f"Error: {configuration.explain(error)}", markup=False, soft_wrap=True)
        sys.exit(1)
    except OSError as error:
        if error.filename is None:
            raise
        # A directory that cannot be written, a full disk.
        console.print(f"Error: {error.strerror}: {error.filename}", markup=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        console.print("Interrupted.")
        sys.exit(130)
    gc.freeze()  # else a second goes by in which what is left is searched for garbage
    sys.exit(1 if FAILURES else 0)
