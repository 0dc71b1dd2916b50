"""Formats are recognised by content, and unsupported files are reported with advice."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from conftest import write_pictures
from PIL import Image

from headstart.config import DatasetConfig
from headstart.core.errors import HeadstartError
from headstart.data.files.formats import FORMATS, IMAGE_EXTENSIONS, UNSUPPORTED_KINDS, describe_unsupported
from headstart.data.files.images import load_image, verify_image
from headstart.data.load import load_index

UNREAD = {"HEIC": ".heic", "camera raw": ".CR2", "PDF or PostScript": ".pdf", "video": ".mp4", "DICOM": ".dcm"}


def picture() -> Image.Image:
    return Image.fromarray((np.indices((60, 80)).sum(0)[..., None] * np.array([1, 0.5, 0.3])).astype(np.uint8))


@pytest.mark.parametrize("form", ["AVIF", "HEIF"])
def test_phone_formats_are_read_if_supported(form: str, tmp_path: Path) -> None:
    if form not in FORMATS:
        pytest.skip(f"{form} is not read here")
    for extension in {"AVIF": (".avif",), "HEIF": (".heic", ".heif")}[form]:
        assert extension in IMAGE_EXTENSIONS
    coded, plain = io.BytesIO(), io.BytesIO()
    picture().save(coded, form, quality=95)
    picture().save(plain, "PNG")
    assert verify_image(coded.getvalue()) is None
    shown = load_image(coded.getvalue(), 16, "stretch").astype(int)
    assert np.abs(shown - load_image(plain.getvalue(), 16, "stretch")).mean() < 2
    with pytest.raises(HeadstartError, match=r"decode|cannot be decoded"):
        load_image(coded.getvalue()[:300], 16, "stretch")


def test_unsupported_files_are_counted_with_advice() -> None:
    said = describe_unsupported({".cr2": 2, ".NEF": 1, ".mp4": 3, ".txt": 5, "no suffix": 1, ".xyz": 0})
    assert said.startswith(f"Files other than {' '.join(IMAGE_EXTENSIONS)} were left out (")
    assert "(camera raw: 3, video: 3, .txt: 5, no suffix: 1); camera raw: develop them" in said
    assert "ffmpeg" in said
    assert describe_unsupported({}) == ""
    assert "(.a: 1, .b: 1, .c: 1, .d: 1, .e: 1, 2 more kinds)" in describe_unsupported(
        {f".{name}": 1 for name in "abcdefg"}
    )


def test_kinds_have_distinct_suffixes() -> None:
    extensions = [extension for kind in UNSUPPORTED_KINDS for extension in kind.extensions]
    assert len(set(extensions)) == len(extensions)
    assert set(extensions) & set(IMAGE_EXTENSIONS) <= {".heic", ".heif", ".hif", ".avif"}


@pytest.mark.parametrize("source", ["folder", "flat", "unlabelled"])
def test_every_source_notes_unsupported_files(source: str, tmp_path: Path) -> None:
    if source == "folder":
        root = write_pictures(tmp_path / "root", {"cat": 5, "dog": 5})
        place = root / "cat"
    else:
        root = place = tmp_path / "root"
        root.mkdir()
        for number in range(10):
            Image.new("RGB", (4, 4)).save(root / f"{number % 2}_{number}.png")
    for extension in UNREAD.values():
        (place / f"0_file{extension}").write_bytes(b"content")
    config = DatasetConfig(name=source, source=source, root=str(root), label_names=["cat", "dog"])
    [note] = [
        note for note in load_index(config, tmp_path).notes if "Files other than" in note
    ]  # nothing is decoded yet
    for name, extension in UNREAD.items():
        if extension not in IMAGE_EXTENSIONS:
            assert f"{name}: 1" in note


def test_a_folder_of_unsupported_files_is_explained(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "photo.cr2").write_bytes(b"content")
    for source in ("folder", "unlabelled"):
        with pytest.raises(HeadstartError, match=r"camera raw: 2\); camera raw: develop them"):
            load_index(DatasetConfig(name=source, source=source, root=str(tmp_path)), tmp_path)
