"""What everything that writes tables and figures shares."""

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
def letters_without_a_font() -> Iterator[None]:
    """Say nothing where no installed font has the letters of a name: the figure shows a box for each of them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield


def save_figure(figure: Figure, file: Path) -> None:
    """Write a figure as PNG, which is there when it is complete.

    Args:
        figure: of Matplotlib.
        file: where to.
    """
    with atomic_file(file) as opened:
        figure.savefig(opened, format="png")


def save_picture(picture: Image.Image, file: Path) -> None:
    """Write a picture as PNG, which is there when it is complete.

    Args:
        picture: of Pillow.
        file: where to.
    """
    with atomic_file(file) as opened:
        picture.save(opened, format="PNG")
