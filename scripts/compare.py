"""Compare runs side by side in one table and one page: `python scripts/compare.py`, the newest sweep."""

from __future__ import annotations

import argparse
import os
import tempfile
from datetime import datetime
from pathlib import Path

os.environ.setdefault("HEADSTART_OUTPUTS", str(Path(__file__).absolute().parents[1] / "outputs"))

from headstart.comparison import compare
from headstart.comparison.select import newest_sweep, select_experiment, select_runs
from headstart.core.console import console
from headstart.core.errors import HeadstartError
from headstart.core.paths import outputs_directory
from headstart.core.program import exit_with
from headstart.tracking import expect_address


def main(arguments: list[str] | None = None) -> int:
    """Read the command line, compare the runs it names, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="*", help="a sweep, or runs: directories or MLflow ids (the newest sweep)")
    parser.add_argument("--experiment", help="all runs of an MLflow experiment")
    parser.add_argument("--tracking-uri", help="the store of ids and experiments (that of the outputs)")
    parser.add_argument(
        "--output", type=Path, help="where to write (within the sweep, or outputs/comparisons/DATE_TIME)"
    )
    options = parser.parse_args(arguments)
    try:
        if options.runs and options.experiment:
            raise HeadstartError("Expected runs or --experiment. Received: both")
        if options.tracking_uri:
            expect_address(options.tracking_uri, "--tracking-uri")
        with tempfile.TemporaryDirectory() as fetched:
            if options.experiment:
                runs = select_experiment(options.experiment, options.tracking_uri, Path(fetched))
                title, place = f"Experiment {options.experiment}", None
            else:
                names = options.runs or [str(newest_sweep())]
                runs, place = select_runs(names, options.tracking_uri, Path(fetched))
                title = f"Sweep {place.name}" if place else f"{len(runs)} runs"
            stamp = f"{datetime.now():%Y-%m-%d_%H-%M-%S-%f}"
            output = options.output or (place / "comparison" if place else outputs_directory() / "comparisons" / stamp)
            compare(runs, output, title).print(console)
    except HeadstartError as error:
        console.print(f"Error: {error}", markup=False, soft_wrap=True)
        return 1
    return 0


if __name__ == "__main__":
    exit_with(main)
