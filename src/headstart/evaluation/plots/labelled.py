"""A picture with its label on a band below it, alone or beside the heat map that explains the label."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from headstart.core.console import format_percent
from headstart.core.files import MAX_FILE_NAME_BYTES, truncate_to_bytes
from headstart.data.files.high_bit_depth import ValueRange
from headstart.data.files.images import load_image
from headstart.evaluation.plots import overlay

SIDE = 480  # pixels, of the pictures that are drawn
FONT_SIZE = SIDE // 20  # of the band below them, which is twice as high


def draw(file: Path, label: str, confidence: float, value_range: ValueRange | None = None) -> Image.Image:
    """Return a picture in a square of SIDE pixels, the label on a band below it."""
    return captioned(load_image(file, SIDE, "pad", value_range=value_range), label, f"  {format_percent(confidence)}")


def explain(picture: np.ndarray, heat: np.ndarray, label: str, confidence: float) -> Image.Image:
    """Return an image of SIDE pixels with its label, beside the regions that support the prediction."""
    meaning = "yellow supports the prediction" if heat.any() else "no region supports the prediction"
    sheet = Image.new("RGB", (2 * SIDE, SIDE + 2 * FONT_SIZE))
    sheet.paste(captioned(picture, label, f"  {format_percent(confidence)}"))
    sheet.paste(captioned(overlay(picture, heat), meaning), (SIDE, 0))
    return sheet


def captioned(picture: np.ndarray, text: str, ending: str = "") -> Image.Image:
    """Return a picture of SIDE pixels, a text on a band below it, shortened before its ending where it is too long."""
    import matplotlib

    # Pillow's own font has no letters beyond ASCII.
    font = ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), FONT_SIZE)
    shown = text
    while len(shown) > 1 and font.getlength(shown + ending) > SIDE - FONT_SIZE:
        shown = shown.removesuffix("…")[:-1] + "…"
    sheet = Image.new("RGB", (SIDE, SIDE + 2 * FONT_SIZE))
    sheet.paste(Image.fromarray(picture))
    position = FONT_SIZE // 2, SIDE + FONT_SIZE // 3
    ImageDraw.Draw(sheet).text(position, shown + ending, fill="white", font=font)
    return sheet


def unique_files(sources: Iterable[Path], directory: Path) -> Iterator[Path]:
    """Yield a PNG file in a directory for each picture; of the same name in several folders, with a number.

    Names are cut where the file system would refuse them. They differ in more than capital and small letters, which
    some file systems do not distinguish.

    Args:
        sources: the picture files.
        directory: that the PNG files will be written to.
    """
    used: set[str] = set()
    for source in sources:
        endings = itertools.chain([".png"], (f"_{number}.png" for number in itertools.count(2)))
        names = (f"{truncate_to_bytes(source.stem, MAX_FILE_NAME_BYTES - len(ending))}{ending}" for ending in endings)
        name = next(name for name in names if name.casefold() not in used)
        used.add(name.casefold())
        yield directory / name
