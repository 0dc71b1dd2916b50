"""Which formats are read here, and what can be done about files of others."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from PIL import features

EXTENSIONS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
}
if features.check("avif"):  # Pillow can be built without it
    EXTENSIONS["AVIF"] = (".avif",)
with contextlib.suppress(ImportError):  # the extra `heif`
    from pillow_heif import register_heif_opener

    register_heif_opener(thumbnails=False)
    EXTENSIONS["HEIF"] = (".heic", ".heif", ".hif")

# The content decides which of these a file is, whatever its name says. All others are refused: some of Pillow's
# readers start other programs.
FORMATS = tuple(EXTENSIONS)
IMAGE_EXTENSIONS = tuple(extension for extensions in EXTENSIONS.values() for extension in extensions)


class Kind(NamedTuple):
    """Files that hold images, but are not read."""

    name: str
    extensions: tuple[str, ...]
    tip: str


OTHER_KINDS = (
    Kind("HEIC", (".heic", ".heif", ".hif"), "pip install pillow-heif reads them"),
    Kind("AVIF", (".avif",), "a Pillow that was built with AVIF reads them"),
    Kind(
        "camera raw",
        (
            ".cr2",
            ".cr3",
            ".crw",
            ".nef",
            ".nrw",
            ".arw",
            ".srf",
            ".sr2",
            ".dng",
            ".orf",
            ".rw2",
            ".raf",
            ".pef",
            ".srw",
            ".x3f",
            ".3fr",
            ".iiq",
            ".raw",
        ),
        "develop them to JPEG, PNG or TIFF, for example with darktable-cli or dcraw",
    ),
    Kind("JPEG 2000", (".jp2", ".j2k", ".jpf", ".jpx", ".j2c"), "convert them to PNG, for example with ImageMagick"),
    Kind("JPEG XL", (".jxl",), "djxl converts them to PNG"),
    Kind("PDF or PostScript", (".pdf", ".eps", ".ps", ".ai"), "pdftoppm -png makes images of their pages"),
    Kind("SVG", (".svg", ".svgz"), "rsvg-convert draws them as PNG"),
    Kind("Photoshop", (".psd", ".psb"), "save them as PNG or TIFF"),
    Kind("DICOM", (".dcm", ".dicom", ".ima"), "dcmj2pnm or pydicom converts them to PNG of 16 bits"),
    Kind(
        "NIfTI, NumPy or HDF5",
        (".nii", ".nii.gz", ".npy", ".npz", ".h5", ".hdf5", ".mat"),
        "save each image as PNG of 8 or 16 bits",
    ),
    Kind("icons, PNM or TGA", (".ico", ".ppm", ".pgm", ".pbm", ".pnm", ".tga"), "convert them to PNG"),
    Kind(
        "video",
        (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".3gp", ".mts"),
        "ffmpeg -i FILE -vf fps=1 FILE_%04d.png makes images of them; keep those of one video in one split",
    ),
    Kind("archives", (".zip", ".tar", ".tgz", ".gz", ".rar", ".7z"), "unpack them"),
)

# What some of them begin with, for files whose name says something else.
BEGINNINGS = (
    (4, b"ftypheic", "HEIC"),
    (4, b"ftypheix", "HEIC"),
    (4, b"ftypmif1", "HEIC"),
    (4, b"ftypavif", "AVIF"),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (0, b"%PDF", "PDF or PostScript"),
    (0, b"%!PS", "PDF or PostScript"),
    (0, b"8BPS", "Photoshop"),
    (128, b"DICM", "DICOM"),
    (0, b"\x93NUMPY", "NIfTI, NumPy or HDF5"),
    (0, b"PK\x03\x04", "archives"),
)


def is_other_image(file: Path) -> bool:
    """Return whether a file's name ends as that of a kind that holds images, but is not read."""
    ending = file.suffix.lower()
    return ending not in IMAGE_EXTENSIONS and any(ending in kind.extensions for kind in OTHER_KINDS)


def endings(files: Iterable[Path]) -> Counter[str]:
    """Return how many files there are of each ending."""
    return Counter(file.suffix.lower() or "no suffix" for file in files)


def describe_others(counts: Mapping[str, int]) -> str:
    """Return one sentence about files that are not read, with what reads or converts them; empty where there are none.

    Args:
        counts: of files by the ending of their name, in any case, `.heic` or `heic`, or `no suffix`.
    """
    found = {f".{ending.lower().lstrip('.')}": count for ending, count in counts.items() if count}
    parts, tips = [], []
    for kind in OTHER_KINDS:
        count = sum(found.pop(extension, 0) for extension in kind.extensions if extension not in IMAGE_EXTENSIONS)
        if count:
            parts.append(f"{kind.name}: {count}")
            tips.append(f"{kind.name}: {kind.tip}")
    if not parts and not found:
        return ""
    others = sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))
    named = [f"{ending.replace('.no suffix', 'no suffix')}: {count}" for ending, count in others]
    parts += named[:5] + ([f"{len(named) - 5} more kinds"] if len(named) > 5 else [])
    tip = f"; {'; '.join(tips)}" if tips else ""
    return f"Files of other kinds than {' '.join(IMAGE_EXTENSIONS)} were left out ({', '.join(parts)}){tip}"


def name_content(data: bytes) -> str:
    """Return what the bytes of a file seem to be when they are no format that is read, with what to do about it."""
    for offset, beginning, name in BEGINNINGS:
        if data[offset : offset + len(beginning)] == beginning:
            [kind] = [kind for kind in OTHER_KINDS if kind.name == name]
            return f"its content is {name}, which is not read; {kind.tip}"
    if data[:1000].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "its content is a web page, perhaps the answer of a server that did not have the image"
    return f"its content is none of {', '.join(FORMATS)}"
