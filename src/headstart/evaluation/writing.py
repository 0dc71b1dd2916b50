"""Writes figures and images atomically."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from headstart.core.files import atomic_file
from headstart.core.workers import REPORTS, begin, finish, has_worker

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COMPRESSION = 3  # of PNGs, 0 to 9: a third faster than the default of 6, and 3 % larger where photographs are shown


@contextlib.contextmanager
def ignore_missing_glyphs() -> Iterator[None]:
    """Suppress Matplotlib's warnings about missing glyphs: the figure shows a box for each of them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield


def prepare_figures() -> None:
    """Let the command's worker, if it has one, import what figures need."""
    if has_worker(REPORTS):
        begin(REPORTS, import_matplotlib)


def begin_figure(draw: Callable[[], Figure], file: Path) -> None:
    """Draw a figure and write it as PNG, in the command's worker if it has one; see `finish_figures`.

    Args:
        draw: returns the figure; a partial of a function that is importable by name.
        file: the PNG.
    """
    begin(REPORTS, _draw, draw, file)


def finish_figures() -> None:
    """Wait until all figures are written that have begun, and raise the first error."""
    finish(REPORTS)


@ignore_missing_glyphs()
def _draw(draw: Callable[[], Figure], file: Path) -> None:
    save_figure(draw(), file)


def import_matplotlib() -> None:
    """Import what figures need."""
    import matplotlib.backends.backend_agg
    import matplotlib.figure  # noqa: F401


def save_figure(figure: Figure, file: Path) -> None:
    """Write a Matplotlib figure as PNG, atomically.

    Args:
        figure: to write, on an opaque background.
        file: the PNG.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    # Written by Pillow from the drawn canvas: savefig would lay the figure out twice, and compress as hard as it can.
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
    with atomic_file(file) as opened:
        picture.save(opened, format="PNG", compress_level=COMPRESSION, dpi=(figure.dpi, figure.dpi))


def save_picture(picture: Image.Image, file: Path) -> None:
    """Write a Pillow image as PNG, atomically.

    Args:
        picture: to write.
        file: the PNG.
    """
    with atomic_file(file) as opened:
        picture.save(opened, format="PNG")
