"""Photographs that nobody has to download: drawn JPEGs that cost as much to decode as real ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from headstart.core.console import track
from headstart.core.files import atomic_directory

# Mean colours of the classes: enough of a difference for a frozen network to learn.
COLOURS = {"amber": (190, 140, 60), "green": (80, 150, 80), "blue": (70, 110, 180), "violet": (150, 90, 170)}
WIDTH, HEIGHT = 500, 400  # pixels, about what the photographs of common datasets have
SPREAD = 0.2  # each side is up to this share longer or shorter
FIELD = 5  # cells a side of the smooth field of colours
FIELD_DEPTH = 45.0  # grey levels of its standard deviation
TEXTURE_DEPTH = 28.0  # grey levels of the texture's standard deviation
TEXTURE_SIDE = 1024  # pixels of the texture that every picture gets a part of
QUALITY = 90  # of the JPEGs


def write_jpegs(directory: Path, count: int, width: int = WIDTH, height: int = HEIGHT, seed: int = 0) -> Path:
    """Draw pictures in a folder for each class, unless they are there, and return the directory that holds the folders.

    Args:
        directory: gets a directory whose name says what is in it.
        count: of all pictures.
        width: of a picture on average, pixels.
        height: likewise.
        seed: of everything that is drawn.
    """
    place = directory / f"jpegs_{count}_{width}x{height}_{seed}"
    if place.is_dir():
        return place
    generator = np.random.default_rng(seed)
    texture = draw_texture(generator)
    names = list(COLOURS)
    directory.mkdir(parents=True, exist_ok=True)
    with atomic_directory(place) as partial:
        for name in names:
            (partial / name).mkdir()
        for number in track(range(count), count, "drawing JPEGs"):
            name = names[number % len(names)]
            picture = draw_picture(COLOURS[name], width, height, texture, generator)
            picture.save(partial / name / f"{number:06}.jpg", quality=QUALITY)
    return place


def draw_texture(generator: np.random.Generator) -> np.ndarray:
    """Return a square of noise, float32 with mean 0 and deviation 1, in whose spectrum the amplitude falls as 1/f.

    Photographs of nature have such spectra (D. J. Field 1987, doi:10.1364/JOSAA.4.002379), which decide how many
    coefficients a JPEG keeps, and with them its size and the time that decoding takes.
    """
    rows, columns = np.meshgrid(np.fft.fftfreq(TEXTURE_SIDE), np.fft.rfftfreq(TEXTURE_SIDE), indexing="ij")
    frequency = np.maximum(np.hypot(rows, columns), 1 / TEXTURE_SIDE)
    spectrum = np.fft.rfft2(generator.standard_normal((TEXTURE_SIDE, TEXTURE_SIDE))) / frequency
    texture = np.fft.irfft2(spectrum, s=(TEXTURE_SIDE, TEXTURE_SIDE))
    return ((texture - texture.mean()) / texture.std()).astype(np.float32)


def draw_picture(
    colour: tuple[int, int, int], width: int, height: int, texture: np.ndarray, generator: np.random.Generator
) -> Image.Image:
    """Return one picture: a smooth field around a colour, with a part of the texture on it."""
    size = [round(side * generator.uniform(1 - SPREAD, 1 + SPREAD)) for side in (width, height)]
    field = generator.normal(colour, FIELD_DEPTH, (FIELD, FIELD, 3)).clip(0, 255).astype(np.uint8)
    pixels = np.asarray(Image.fromarray(field).resize((size[0], size[1]), Image.Resampling.BICUBIC), np.float32)
    x, y = (int(generator.integers(0, TEXTURE_SIDE)) for _ in range(2))
    part = np.take(
        np.take(texture, np.arange(y, y + size[1]), 0, mode="wrap"), np.arange(x, x + size[0]), 1, mode="wrap"
    )
    return Image.fromarray((pixels + TEXTURE_DEPTH * part[..., None]).clip(0, 255).astype(np.uint8))
