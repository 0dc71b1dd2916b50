"""Heat maps on top of images."""

from __future__ import annotations

import numpy as np

COLOUR_MAP = "plasma"  # perceptually uniform, so it works for colour-blind people
STRENGTH = 0.7  # opacity of the colour at the greatest heat
BRIGHTNESS = (0.299, 0.587, 0.114)  # of red, green and blue (ITU-R BT.601)


def overlay(picture: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Return the image in grey with the heat map as colour on top, uint8 (height, width, 3).

    The image is grey so that its own colours are not mistaken for heat.

    Args:
        picture: uint8 (height, width, 3).
        heat: float (rows, columns), 0 to 1; interpolated to the image's size.
    """
    import matplotlib
    from PIL import Image

    height, width = picture.shape[:2]
    smooth = Image.fromarray(heat.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    share = np.asarray(smooth)[..., None]
    colours = 255 * matplotlib.colormaps[COLOUR_MAP](share[..., 0])[..., :3]
    grey = (picture @ np.array(BRIGHTNESS))[..., None]
    return np.rint(grey + STRENGTH * share * (colours - grey)).astype(np.uint8)
