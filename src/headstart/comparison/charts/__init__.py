"""The figures of the page: SVG that follows its theme, with tooltips, drawn once for a desktop and once for a phone."""

from headstart.comparison.charts.curves import epochs_chart, learning_curve_chart
from headstart.comparison.charts.drawing import NAMED, Drawing, swatch
from headstart.comparison.charts.matrix import matrix_chart
from headstart.comparison.charts.rows import MAX_ROWS, classes_chart, seeds_chart
from headstart.comparison.charts.scatter import cost_chart

__all__ = [
    "MAX_ROWS",
    "NAMED",
    "Drawing",
    "classes_chart",
    "cost_chart",
    "epochs_chart",
    "learning_curve_chart",
    "matrix_chart",
    "seeds_chart",
    "swatch",
]
