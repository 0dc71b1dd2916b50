"""A sheet of images, each in a line with the versions that an augmentation makes of it."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

TILE_SIDES = (112, 168)  # smaller pictures are enlarged, larger ones reduced, so that a sheet can be read
WIDTH = 1080  # pixels at most, where the versions of an image go on in the next line; readable when scaled to 900
FONT_SIZE = 13
CAPTION = 20  # pixels below each picture
GAP = 6  # pixels between pictures


def describe(label: np.ndarray, class_names: tuple[str, ...]) -> str:
    """Return the classes of a blended label with their shares, the largest first.

    Args:
        label: (classes,), sums to one.
        class_names: in the order of the label.
    """
    shares = [(share, class_names[position]) for position, share in enumerate(label) if round(share, 2) > 0]
    return ", ".join(f"{name} {share:.2f}" for share, name in sorted(shares, reverse=True))


def contact_sheet(rows: list[list[tuple[np.ndarray, str]]]) -> Image.Image:
    """Lay pictures and their captions out, the originals apart on the left, on as many lines as the versions need."""
    side = int(np.clip(rows[0][0][0].shape[0], *TILE_SIDES))
    versions = len(rows[0]) - 1
    columns = min(versions, (WIDTH - 3 * GAP - side) // (side + GAP))
    lines = -(-versions // columns)
    columns = -(-versions // lines)  # as few as that many lines need, so that the last one is nearly full
    size = (3 * GAP + side + columns * (side + GAP), GAP + len(rows) * lines * (side + CAPTION + GAP))
    sheet = Image.new("RGB", size, "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(FONT_SIZE)
    for row, tiles in enumerate(rows):
        for number, (pixels, caption) in enumerate(tiles):
            line, column = divmod(number - 1, columns) if number else (0, -1)
            left = GAP + (column + 1) * (side + GAP) + (GAP if number else 0)
            top = GAP + (row * lines + line) * (side + CAPTION + GAP)
            picture = Image.fromarray(pixels)
            if picture.width != side:
                picture = picture.resize((side, side), Image.Resampling.BICUBIC)
            sheet.paste(picture, (left, top))
            while len(caption) > 1 and font.getlength(caption) > side:
                caption = caption.removesuffix("…")[:-1] + "…"
            pen.text((left, top + side + 2), caption, fill="black", font=font)
    return sheet
