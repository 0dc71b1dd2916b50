"""Image formats that headstart reads, and advice on files of other formats."""

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

# Pillow recognises the format by content, whatever the name of a file. It may use only these formats, because some of
# its decoders start other programs.
FORMATS = tuple(EXTENSIONS)
IMAGE_EXTENSIONS = tuple(extension for extensions in EXTENSIONS.values() for extension in extensions)


class UnsupportedKind(NamedTuple):
    """A kind of files that contain images but are not supported."""

    name: str
    extensions: tuple[str, ...]
    tip: str


UNSUPPORTED_KINDS = (
    UnsupportedKind("HEIC", (".heic", ".heif", ".hif"), "pip install pillow-heif reads them"),
    UnsupportedKind("AVIF", (".avif",), "a Pillow that was built with AVIF reads them"),
    UnsupportedKind(
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
    UnsupportedKind(
        "JPEG 2000", (".jp2", ".j2k", ".jpf", ".jpx", ".j2c"), "convert them to PNG, for example with ImageMagick"
    ),
    UnsupportedKind("JPEG XL", (".jxl",), "djxl converts them to PNG"),
    UnsupportedKind("PDF or PostScript", (".pdf", ".eps", ".ps", ".ai"), "pdftoppm -png makes images of their pages"),
    UnsupportedKind("SVG", (".svg", ".svgz"), "rsvg-convert draws them as PNG"),
    UnsupportedKind("Photoshop", (".psd", ".psb"), "save them as PNG or TIFF"),
    UnsupportedKind("DICOM", (".dcm", ".dicom", ".ima"), "dcmj2pnm or pydicom converts them to PNG of 16 bits"),
    UnsupportedKind(
        "NIfTI, NumPy or HDF5",
        (".nii", ".nii.gz", ".npy", ".npz", ".h5", ".hdf5", ".mat"),
        "save each image as PNG of 8 or 16 bits",
    ),
    UnsupportedKind("icons, PNM or TGA", (".ico", ".ppm", ".pgm", ".pbm", ".pnm", ".tga"), "convert them to PNG"),
    UnsupportedKind(
        "video",
        (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".3gp", ".mts"),
        "ffmpeg -i FILE -vf fps=1 FILE_%04d.png makes images of them; keep those of one video in one split",
    ),
    UnsupportedKind("archives", (".zip", ".tar", ".tgz", ".gz", ".rar", ".7z"), "unpack them"),
)

# First bytes of some unsupported kinds (offset, bytes, kind), for files with a misleading name.
SIGNATURES = (
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


def is_unsupported_image(file: Path) -> bool:
    """Return whether a file has the suffix of an unsupported kind of images."""
    ending = file.suffix.lower()
    return ending not in IMAGE_EXTENSIONS and any(ending in kind.extensions for kind in UNSUPPORTED_KINDS)


def count_suffixes(files: Iterable[Path]) -> Counter[str]:
    """Return the number of files with each suffix."""
    return Counter(file.suffix.lower() or "no suffix" for file in files)


def describe_unsupported(counts: Mapping[str, int]) -> str:
    """Return one sentence about unsupported files and how to read or convert them; empty without such files.

    Args:
        counts: number of files by suffix, in any case, with or without the dot, or `no suffix`.
    """
    found = {f".{ending.lower().lstrip('.')}": count for ending, count in counts.items() if count}
    parts, tips = [], []
    for kind in UNSUPPORTED_KINDS:
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
    return f"Files other than {' '.join(IMAGE_EXTENSIONS)} were left out ({', '.join(parts)}){tip}"


def identify_content(data: bytes) -> str:
    """Describe the content of a file of an unsupported format, and what to do about it."""
    for offset, beginning, name in SIGNATURES:
        if data[offset : offset + len(beginning)] == beginning:
            [kind] = [kind for kind in UNSUPPORTED_KINDS if kind.name == name]
            return f"its content is {name}, which is not supported; {kind.tip}"
    if data[:1000].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "its content is a web page, perhaps a server's error page in place of the image"
    return f"its content is none of {', '.join(FORMATS)}"
