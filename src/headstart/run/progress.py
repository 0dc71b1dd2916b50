"""The results of a run in progress, so that a failed run leaves everything it found."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from headstart.core.environment import Clock
from headstart.results.figures import SplitFigures
from headstart.results.file import RESULTS, write_results
from headstart.results.runs import RUNNING
from headstart.results.sections import seconds_of
from headstart.results.types import RunResults


class RunProgress:
    """Hold and write the results so far; only `headstart.run.experiment` adds sections."""

    def __init__(self, output: Path, results: RunResults, clock: Clock) -> None:
        """Start with the results known before the run.

        Args:
            output: directory of the run.
            results: initial results; their status is the run's unless it is replaced.
            clock: clock of the run.
        """
        self.output, self.results, self.clock = output, results, clock
        self.first_step: float | None = None  # seconds from the start of the process
        self.stage_seconds: dict[str, float] = {}

    def add_stage(self, stage: str, figures: dict[str, SplitFigures]) -> None:
        """Add the figures after a stage.

        Args:
            stage: name of the stage.
            figures: by split.
        """
        stages = {**(self.results.stages or {}), stage: figures}
        self.results = dataclasses.replace(self.results, stages=stages)

    def save_running(self) -> None:
        """Write running.json, the results that remain if the process is killed."""
        write_results(self.output, dataclasses.replace(self.results, status="RUNNING"), RUNNING)

    def save(self) -> None:
        """Write results.json, then remove running.json, which stays if results.json cannot be written."""
        seconds = seconds_of(self.clock.summary(), self.first_step, self.stage_seconds)
        self.results = dataclasses.replace(self.results, seconds=seconds)
        write_results(self.output, self.results)
        (self.output / RUNNING).unlink(missing_ok=True)

    def discard_earlier(self) -> None:
        """Remove the results.json of the interrupted run that this run resumes."""
        (self.output / RESULTS).unlink(missing_ok=True)
