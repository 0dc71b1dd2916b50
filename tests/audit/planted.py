"""Images with planted faults for an audit to find."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from headstart.config import SplitConfig
from headstart.data.files.checks import check_images
from headstart.data.index import ImageIndex
from headstart.data.sources.folder import list_folder
from headstart.data.splits import build_index


def scenes(count: int, seed: int = 0, size: int = 128) -> list[Image.Image]:
    """Return pictures of blobs, each different, with large shapes and small ones as photographs have."""
    generator = np.random.default_rng(seed)
    coarse = gaussian_filter(generator.normal(size=(count, size, size, 3)), (0, 12, 12, 0))
    fine = gaussian_filter(generator.normal(size=(count, size, size, 3)), (0, 0.7, 0.7, 0))
    levels = coarse / coarse.std() * 40 + fine / fine.std() * 25 + 120
    return [Image.fromarray(np.clip(one, 0, 255).astype(np.uint8)) for one in levels]


def write(directory: Path, pictures: dict[str, Image.Image]) -> Path:
    """Save pictures by their paths, and return the directory."""
    for path, picture in pictures.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        picture.save(directory / path)
    return directory


def named(pictures: list[Image.Image], folders: tuple[str, ...] = ("cat", "dog")) -> dict[str, Image.Image]:
    """Return pictures by path, dealt out to folders."""
    return {f"{folders[number % len(folders)]}/{number:03}.png": one for number, one in enumerate(pictures)}


def checked(root: Path, cache: Path) -> ImageIndex:
    """Return the index of a folder of pictures with their digests."""
    return check_images(build_index(list_folder(root), SplitConfig()), "fail", cache)[0]
