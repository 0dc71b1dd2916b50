"""Writes figures and images atomically."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from headstart.config import Config
from headstart.config.identity import data_name
from headstart.core.files import atomic_file, write_text
from headstart.core.workers import REPORTS, begin, finish, has_worker
from headstart.data.index import ImageIndex

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COMPRESSION = 3  # of PNGs, 0 to 9: a third faster than the default of 6, and 3 % larger where photographs are shown


@contextlib.contextmanager
def ignore_missing_glyphs() -> Iterator[None]:
    """Suppress Matplotlib's warnings about missing glyphs: the figure shows a box for each of them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield


def figure_source(name: str, config: Config, index: ImageIndex) -> str:
    """Return the line of a run's figures that names the run and its data.

    Args:
        name: of the run.
        config: of the run.
        index: all images of the run.
    """
    classes = f"{len(index.class_names):,} classes, " if config.head.output != "imagenet" else ""
    return f"run: {name}  ·  data: {data_name(config)}, {classes}{len(index):,} images"


def prepare_figures() -> None:
    """Let the command's worker, if it has one, import what figures need."""
    if has_worker(REPORTS):
        begin(REPORTS, import_matplotlib)


def begin_figure(draw: Callable[[], Figure], file: Path, vector: bool = True) -> None:
    """Draw a figure of a run and write it, in the command's worker if it has one; see `finish_figures`.

    Args:
        draw: returns the figure; a partial of a function that is importable by name.
        file: the PNG.
        vector: see `write_figure`.
    """
    begin(REPORTS, _draw, draw, file, vector)


def finish_figures() -> None:
    """Wait until all figures are written that have begun, and raise the first error."""
    finish(REPORTS)


@ignore_missing_glyphs()
def _draw(draw: Callable[[], Figure], file: Path, vector: bool) -> None:
    write_figure(draw(), file, vector)


def write_figure(figure: Figure, file: Path, vector: bool = True) -> None:
    """Write a figure of a run as PNG of 200 dots per inch, and as SVG beside it.

    Args:
        figure: to write, on an opaque background.
        file: the PNG; its directory is made.
        vector: whether to write the SVG; sheets of photographs, which are pixels anyway, have none.
    """
    from headstart.evaluation.plots.style import RUN_DOTS_PER_INCH

    file.parent.mkdir(parents=True, exist_ok=True)
    figure.set_dpi(RUN_DOTS_PER_INCH)
    save_figure(figure, file)
    if vector:
        _save_vector(figure, file.with_suffix(".svg"))


def _save_vector(figure: Figure, file: Path) -> None:
    """Write a figure that has been drawn as SVG, atomically; the same figure gives the same bytes."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    figure.set_layout_engine("none")  # keeps the layout, which takes a third of the time
    text = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "headstart"}):
        FigureCanvasSVG(figure).print_svg(text, metadata={"Date": None})
    write_text(file, text.getvalue())


def import_matplotlib() -> None:
    """Import what figures need."""
    import matplotlib.backends.backend_agg
    import matplotlib.backends.backend_svg
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
