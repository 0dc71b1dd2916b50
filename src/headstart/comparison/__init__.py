"""Runs side by side: strategies with intervals, a paired test against the best, figures, one page.

Needs no TensorFlow. Data flows one way: collect (what runs left behind) -> strategies (which belong together) ->
verdicts (what the test images say) -> table, figures, page.
"""

from headstart.comparison.collect import Run, read_run, runs_below
from headstart.comparison.report import Comparison, compare

__all__ = ["Comparison", "Run", "compare", "read_run", "runs_below"]
