"""Figures of one run. They are returned, not saved, and do not change pyplot or Matplotlib's global state."""

from headstart.evaluation.plots.calibration import calibration_figure, temperature_figure
from headstart.evaluation.plots.confusion import confusion_figure
from headstart.evaluation.plots.curves import curves_figure
from headstart.evaluation.plots.depth import depth_figure
from headstart.evaluation.plots.heat import overlay
from headstart.evaluation.plots.history import history_figure
from headstart.evaluation.plots.learning_rate import learning_rate_figure
from headstart.evaluation.plots.pictures import explained_figure, grid_figure, labels_figure, mistakes_figure
from headstart.evaluation.plots.samples import samples_figure

__all__ = [
    "calibration_figure",
    "confusion_figure",
    "curves_figure",
    "depth_figure",
    "explained_figure",
    "grid_figure",
    "history_figure",
    "labels_figure",
    "learning_rate_figure",
    "mistakes_figure",
    "overlay",
    "samples_figure",
    "temperature_figure",
]
