"""Compares runs: strategies with confidence intervals, a paired test against the best one, figures, an HTML page.

Needs no TensorFlow. Data flows one way: collect (read runs) -> strategies (group them) -> significance (test them) ->
analysis (all that is found) -> table, figures (PNG), page (HTML with charts), paper (LaTeX, Markdown, CSV).
"""

from headstart.comparison.analysis import Analysis, analyse
from headstart.comparison.collect import Run, read_run, read_runs
from headstart.comparison.report import Comparison, compare

__all__ = ["Analysis", "Comparison", "Run", "analyse", "compare", "read_run", "read_runs"]
