"""The source `digits`: scikit-learn's 1,797 handwritten digits, which need no download."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from headstart.data.sources.extracted import write_once
from headstart.data.sources.folder import list_folder
from headstart.data.sources.listing import Listing


def list_digits(cache_directory: Path) -> Listing:
    """Return the digits; the first call writes them to image files.

    Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, https://doi.org/10.24432/C50P49;
    8 x 8 pixels, 17 levels of grey.

    Args:
        cache_directory: directory for the images.
    """
    return list_folder(write_once(cache_directory / "datasets" / "digits", _write_digits))


def _write_digits(directory: Path) -> None:
    """Write the digits as <class>/<number>.png."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    for label in range(10):
        (directory / str(label)).mkdir()
    for number, (levels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        grey = (levels * 255 / 16).round().astype("uint8")
        # Without compression, the bytes and so the fingerprint are the same with every build of zlib.
        Image.fromarray(grey).save(directory / str(label) / f"{number:04}.png", compress_level=0)
