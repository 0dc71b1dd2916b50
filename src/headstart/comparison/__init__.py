"""Compares runs: strategies with confidence intervals, a paired test against the best one, figures, an HTML page.

Needs no TensorFlow. Data flows one way: collect (read runs) -> strategies (group them) -> significance (test them) ->
table, figures, page.
"""

from headstart.comparison.collect import Run, read_run, read_runs
from headstart.comparison.report import Comparison, compare

__all__ = ["Comparison", "Run", "compare", "read_run", "read_runs"]
