"""Heat maps laid over pictures."""

from __future__ import annotations

import numpy as np

COLOUR_MAP = "plasma"  # its brightness grows evenly, so that it can be read without telling colours apart
STRENGTH = 0.7  # share of the colour where the heat is greatest; the rest lets the picture through
BRIGHTNESS = (0.299, 0.587, 0.114)  # of red, green and blue (ITU-R BT.601)


def overlay(picture: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Return a picture in shades of grey that turns to colour where it is hot, uint8 (height, width, 3).

    Where the heat is 0 nothing is laid over the picture, and its own colours cannot be taken for heat.

    Args:
        picture: uint8 (height, width, 3).
        heat: float (rows, columns), 0 to 1; enlarged smoothly to the picture's size.
    """
    import matplotlib
    from PIL import Image

    height, width = picture.shape[:2]
    smooth = Image.fromarray(heat.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    share = np.asarray(smooth)[..., None]
    colours = 255 * matplotlib.colormaps[COLOUR_MAP](share[..., 0])[..., :3]
    grey = (picture @ np.array(BRIGHTNESS))[..., None]
    return np.rint(grey + STRENGTH * share * (colours - grey)).astype(np.uint8)
