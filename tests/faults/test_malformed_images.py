"""Malformed images, bombs and files that are not images: no crash, no hang, no gigabyte of memory; each is named."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import zlib
from pathlib import Path
from typing import Any

import malformed
import numpy as np
import pytest
from conftest import write_pictures
from image_files import png16
from malformed import bombs, bombs_beside_the_pixels, png, write_malformed
from mutated import write_mutated
from PIL import Image

from headstart.config import DatasetConfig
from headstart.core.errors import HeadstartError
from headstart.data.files.checks import DataReport, check_images
from headstart.data.files.images import UnreadableImageError, load_image
from headstart.data.files.limits import Limits
from headstart.data.index import ImageIndex
from headstart.data.load import load_index


def read_in_a_process(root: Path, cache: Path) -> dict[str, Any]:
    answer = subprocess.run(
        [sys.executable, malformed.__file__, str(root), str(cache)], capture_output=True, text=True, timeout=600
    )
    assert answer.returncode == 0, answer.stderr[-2000:]
    return json.loads(answer.stdout)


@pytest.mark.parametrize("count", [40, pytest.param(1500, marks=pytest.mark.slow)])
def test_malformed_images_are_named_and_valid_ones_read(count: int, tmp_path: Path) -> None:
    root = tmp_path / "root"
    written = {file.relative_to(root).as_posix() for file in write_malformed(root, count)}
    found = read_in_a_process(root, tmp_path / "cache")
    assert len(written) >= count
    kept, named = set(found["kept"]), {path for path, _ in found["unreadable"]}
    assert kept | named == written | {f"{name}/sound_{number}.png" for name in ("cat", "dog") for number in range(6)}
    assert not kept & named
    assert named <= written
    assert named == {path for path, _ in found["refused"]}
    refused = bombs()
    assert {path for path in written if Path(path).name in refused} <= named
    assert len(named) > count / 3
    assert all(reason and "\n" not in reason for _, reason in found["unreadable"])
    slowest = max(found["seconds"], key=found["seconds"].get)
    assert found["seconds"][slowest] < 10, slowest
    assert found["peak_mb"] < 1000


@pytest.mark.slow
def test_png_chunks_and_tiff_samples_cost_no_image_and_no_traceback(tmp_path: Path) -> None:
    root = tmp_path / "root"
    written = write_mutated(root, 1300)
    found = read_in_a_process(root, tmp_path / "cache")
    kept, named = set(found["kept"]), dict(found["unreadable"])
    assert kept | named.keys() == written.keys()
    assert set(named) == {path for path, _ in found["refused"]}
    beside_the_pixels = {path for path in written if path.endswith(("_ancillary.png", "_metadata.png"))}
    assert not beside_the_pixels & named.keys()
    assert len(kept - beside_the_pixels) > 250
    assert len(named) > 250
    assert not [reason for reason in named.values() if "none of" in reason or "\n" in reason]
    assert max(found["seconds"].values()) < 10
    assert found["peak_mb"] < 1000


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # as when headstart is imported by itself
def test_every_bomb_is_refused_with_the_reason() -> None:
    reasons = {}
    for name, data in bombs().items():
        with pytest.raises(UnreadableImageError) as caught:
            load_image(data, 32, "stretch")
        reasons[name] = caught.value.reason
    assert "12000 x 10000 pixels are over dataset.max_pixels=89478485" in reasons["png_pixels.png"]
    assert "scans over 64,000,000 pixels" in reasons["jpeg_scans.jpg"]
    assert reasons["png_chunks.png"] == "it has more than 262,144 chunks"
    assert reasons["no_bytes.png"] == "the file is empty"


def test_text_and_profiles_are_never_decompressed(monkeypatch: pytest.MonkeyPatch) -> None:
    inflated = []

    class Inflater:
        def __init__(self) -> None:
            self.real = decompressobj()
            self.unconsumed_tail = b""

        def decompress(self, data: bytes, most: int = 0) -> bytes:
            found = self.real.decompress(data, most)
            self.unconsumed_tail = self.real.unconsumed_tail
            inflated.append(len(found))
            return found

    decompressobj = zlib.decompressobj
    monkeypatch.setattr(zlib, "decompressobj", Inflater)
    for name, data in bombs_beside_the_pixels().items():
        assert load_image(data, 8, "stretch").tolist() == load_image(png(8, 8, 0, bytes(9)), 8, "stretch").tolist(), (
            name
        )
    assert sum(inflated) <= 2 << 20  # of the two that may say how the image is turned


def test_the_configured_limits_apply(tmp_path: Path) -> None:
    root = write_pictures(tmp_path / "root", {"cat": 5, "dog": 5}, size=20)
    Image.new("RGB", (50, 40)).save(root / "cat" / "large.png")
    (root / "dog" / "heavy.bmp").write_bytes((root / "dog" / "000.png").read_bytes() + bytes(30_000))

    def unreadable(**limits: Any) -> list[tuple[str, str]]:
        config = DatasetConfig(name="folder", source="folder", root=str(root), **limits)
        return check_images(load_index(config, tmp_path), "skip", tmp_path)[1].unreadable

    assert unreadable() == []
    assert unreadable(max_pixels=2000) == []
    assert unreadable(max_pixels=1999) == [
        ("cat/large.png", "its 50 x 40 pixels are over dataset.max_pixels=1999"),
    ]
    assert unreadable(max_file_mb=0.02) == [("dog/heavy.bmp", "its 0 MB are over dataset.max_file_mb=0.02")]
    with pytest.raises(HeadstartError, match=r"heavy\.bmp \(its 0 MB are over"):
        load_image(root / "dog" / "heavy.bmp", 8, "stretch", Limits(megabytes=0.02))


@pytest.mark.slow
def test_the_largest_images_that_are_read_stay_below_a_gigabyte(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)
        for number in range(3):
            value = bytes([number + 10 * len(name), 1, 2, 128])
            (root / name / f"{number}.png").write_bytes(png(8940, 10_000, 6, b"\0" + value * 8940))
    Image.new("RGB", (8940, 10_000), "red").save(root / "cat" / "progressive.jpg", progressive=True, subsampling=0)
    sixteen = Image.new("I;16", (8940, 10_000), 700)
    sixteen.save(root / "dog" / "sixteen.tif", compression="tiff_lzw")
    found = read_in_a_process(root, tmp_path / "cache")
    assert len(found["kept"]) == 8
    assert found["peak_mb"] < 1000


WORKERS = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from headstart.data.files import images
from malformed import peak_megabytes
data = Path(sys.argv[1]).read_bytes()
value_range = (0, 4095) if sys.argv[1].endswith("png") else None
with ThreadPoolExecutor(24) as pool:
    list(pool.map(lambda _: images.load_image(data, 32, "stretch", value_range=value_range), range(24)))
print(peak_megabytes())
"""


@pytest.mark.parametrize("form", ["webp", pytest.param("png", marks=pytest.mark.slow)])
def test_many_workers_stay_within_the_memory_of_a_process(form: str, tmp_path: Path) -> None:
    file = tmp_path / f"large.{form}"
    if form == "webp":  # 24 at once would take 1.5 GB
        Image.new("RGB", (2000, 2000), "red").save(file, method=0)
    else:  # colours of 12 bits in 16
        file.write_bytes(png16(np.full((2000, 2000, 3), 2000)))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(malformed.__file__).parent), *sys.path])}
    command = [sys.executable, "-c", WORKERS, str(file)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert float(answer.stdout) < 1000


def test_only_the_first_frame_or_page_is_decoded(tmp_path: Path) -> None:
    frames = [Image.new("L", (8, 8), number % 256) for number in range(1000)]
    for form in ("GIF", "WEBP", "PNG", "TIFF"):
        file = tmp_path / f"frames.{form.lower()}"
        frames[0].save(file, form, save_all=True, append_images=frames[1:])
        assert load_image(file, 8, "stretch").shape == (8, 8, 3)
    frames[0].save(tmp_path / "frames.mpo", "MPO", save_all=True, append_images=frames[1:40])
    assert load_image(tmp_path / "frames.mpo", 8, "stretch").shape == (8, 8, 3)


# What is no regular file


@pytest.fixture
def special(tmp_path: Path) -> Path:
    """Return a folder of two classes in which a pipe, a socket, a directory and a link to a device look like images."""
    root = write_pictures(tmp_path / "root", {"cat": 6, "dog": 6})
    os.mkfifo(root / "cat" / "pipe.png")
    here = os.getcwd()
    os.chdir(root / "dog")  # the path of a socket may have 108 bytes
    try:
        with socket.socket(socket.AF_UNIX) as opened:
            opened.bind("socket.jpg")
    finally:
        os.chdir(here)
    (root / "dog" / "directory.jpg").mkdir()
    (root / "cat" / "device.png").symlink_to("/dev/zero")
    return root


def check(root: Path, bad_images: str, **values: Any) -> tuple[ImageIndex, DataReport]:
    config = DatasetConfig(name="folder", source="folder", root=str(root), **values)
    return check_images(load_index(config, root.parent / "cache"), bad_images, root.parent / "cache")


def test_pipes_sockets_and_devices_are_never_opened(special: Path) -> None:
    with pytest.raises(HeadstartError, match=r"cat/device\.png -> /dev/zero"):
        check(special, "skip")
    index, report = check(special, "skip", follow_links=True)
    assert len(index) == 12
    assert report.unreadable == [
        ("cat/device.png", "it is a device, not a file"),
        ("cat/pipe.png", "it is a named pipe, not a file"),
        ("dog/socket.jpg", "it is a socket, not a file"),
    ]
    for name in ("cat/device.png", "cat/pipe.png", "dog/directory.jpg"):
        with pytest.raises(HeadstartError, match="it is a"):
            load_image(special / name, 8, "stretch")


def test_a_pipe_that_takes_the_place_of_a_file_does_not_hang(special: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    regular = (special / "cat" / "000.png").stat()
    monkeypatch.setattr(Path, "stat", lambda *_, **__: regular)  # what was seen before the pipe came
    done = []

    def read() -> None:
        with pytest.raises(HeadstartError, match="named pipe"):
            load_image(special / "cat" / "pipe.png", 8, "stretch")
        done.append(True)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(10)
    assert done


UNREADABLE = """
import os, sys
from pathlib import Path
from PIL import Image
from headstart.config import DatasetConfig
from headstart.data.files.checks import check_images
from headstart.data.load import load_index
from headstart.core.errors import HeadstartError
Image.init()  # Pillow's readers are imported while files may still be read
root = Path(sys.argv[1])
if os.getuid() == 0:
    os.setuid(65534)
config = DatasetConfig(name="folder", source="folder", root=str(root))
try:
    index, report = check_images(load_index(config, root / ".cache"), sys.argv[2], root / ".cache")
    print(len(index), report.unreadable)
except HeadstartError as error:
    print(error)
"""


def test_files_and_directories_without_permission_are_named() -> None:
    with tempfile.TemporaryDirectory() as place:  # not below the directory of pytest, which is its user's alone
        root = Path(place)
        root.chmod(0o755)
        write_pictures(root, {"cat": 6, "dog": 6})
        (root / ".cache").mkdir()
        (root / ".cache").chmod(0o777)

        def answer(bad_images: str) -> str:
            command = [sys.executable, "-c", UNREADABLE, str(root), bad_images]
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout

        (root / "dog" / "003.png").chmod(0)
        assert "1 of 12 that are not, dog/003.png (Permission denied)" in answer("fail")
        assert answer("skip") == "11 [('dog/003.png', 'Permission denied')]\n"
        (root / "cat").chmod(0)
        assert f"Expected a directory that can be read. Received: {root / 'cat'} (Permission denied)" in answer("skip")
        (root / "cat").chmod(0o755)
