"""Train, evaluate, save and track one classifier: `python run.py backbone=inceptionv3 freeze=last_block`."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

STARTED = time.time()
# Set before Hydra composes and before TensorFlow is imported.
os.environ.setdefault("HEADSTART_OUTPUTS", str(Path(__file__).parent.absolute() / "outputs"))
os.environ.setdefault("HEADSTART_DATA", str(Path(__file__).parent.absolute() / "data"))
os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # Hydra raises, so that the text is ours

import hydra  # noqa: E402
from omegaconf import DictConfig  # noqa: E402

from headstart.cli.train import call, run_job  # noqa: E402


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(composed: DictConfig) -> float | tuple[float, float] | None:
    """Run one configuration and return what `objective` says, for sweepers."""
    return run_job(composed)


if __name__ == "__main__":
    sys.exit(call(main, STARTED))
