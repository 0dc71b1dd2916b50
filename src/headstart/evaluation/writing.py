"""Writes figures and images atomically."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.core.files import atomic_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL import Image


@contextlib.contextmanager
def ignore_missing_glyphs() -> Iterator[None]:
    """Suppress Matplotlib's warnings about missing glyphs: the figure shows a box for each of them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield


def save_figure(figure: Figure, file: Path) -> None:
    """Write a Matplotlib figure as PNG, atomically.

    Args:
        figure: to write.
        file: the PNG.
    """
    with atomic_file(file) as opened:
        figure.savefig(opened, format="png")


def save_picture(picture: Image.Image, file: Path) -> None:
    """Write a Pillow image as PNG, atomically.

    Args:
        picture: to write.
        file: the PNG.
    """
    with atomic_file(file) as opened:
        picture.save(opened, format="PNG")
