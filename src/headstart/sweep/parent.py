"""Logs the result of a sweep to its parent run: the best job, the table and the figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.run.logged import split_metrics
from headstart.sweep.record import FINISHED, Sweep
from headstart.tracking import Tracker, run_path

if TYPE_CHECKING:
    from headstart.comparison import Comparison, Run

BEST = ("accuracy", "accuracy_low", "accuracy_high")  # figures of the best job that the parent run shows as its own


def track_sweep(sweep: Sweep, parent: Tracker, ended: dict[int, dict[str, Any]], comparison: Comparison | None) -> None:
    """Log the comparison, the best job and the number of jobs by outcome to the parent run.

    Args:
        sweep: that has ended.
        parent: its run.
        ended: the last entry of each job, see `Sweep.ended`.
        comparison: of the jobs; None if no job was evaluated.
    """
    if comparison is not None:
        best = _best(comparison)
        parent.log_files([comparison.page, *comparison.files], "comparison")
        parent.log_metrics(_figures(best))
        text = [_sentence(sweep, best), comparison.markdown, f"`{sweep.command}`"]
        parent.describe("\n\n".join(text), {"best_run": str(best.results.run_id)})
    parent.log_metrics(
        {
            "jobs": float(len(ended)),
            "jobs_finished": float(sum(entry["event"] in FINISHED for entry in ended.values())),
            "jobs_failed": float(sum(entry["event"] in ("failed", "killed") for entry in ended.values())),
        }
    )


def _best(comparison: Comparison) -> Run:
    """Return the run of the best strategy that is best on validation."""

    def accuracy(run: Run) -> float:
        return run.results.validation.accuracy if run.results.validation else -1.0

    return max(comparison.strategies[0].runs, key=accuracy)


def _figures(best: Run) -> dict[str, float]:
    """Return the accuracy and interval of each split of the best job, under the names that the job has itself."""
    figures: dict[str, float] = {}
    for split, found in (best.results.splits or {}).items():
        figures.update(split_metrics(split, {key: getattr(found, key) for key in BEST}))
    return figures


def _sentence(sweep: Sweep, best: Run) -> str:
    """Return the best job with a link to its page, as Markdown."""
    results = best.results
    name = best.name
    if results.experiment_id and results.run_id:
        name = f"[{name}](#{run_path(results.experiment_id, results.run_id)})"
    return f"Best job by validation: {name}"
