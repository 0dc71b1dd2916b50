"""The check before training: bad files, cached checks, duplicates, and the report."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.config import DatasetConfig
from headstart.core.errors import HeadstartError
from headstart.data.files import checks
from headstart.data.files.checks import check_images
from headstart.data.index import ImageIndex
from headstart.data.load import load_index


@pytest.fixture
def root(tmp_path) -> Path:
    """Return split folders with two classes, every image different."""
    generator = np.random.default_rng(0)
    for split, number in (("train", 4), ("val", 2), ("test", 2)):
        for name in ("cat", "dog"):
            directory = tmp_path / "root" / split / name
            directory.mkdir(parents=True)
            for position in range(number):
                pixels = generator.integers(0, 256, (6, 6, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(directory / f"{position}.png")
    return tmp_path / "root"


def load(root: Path) -> ImageIndex:
    return load_index(DatasetConfig(name="folder", source="folder", root=str(root)), root.parent / "cache")


def checked(root: Path, bad_images: str = "fail"):
    return check_images(load(root), bad_images, root.parent / "cache")


def test_valid_images_get_digests_and_no_warnings(root):
    index, report = checked(root)
    assert len(index) == 16
    assert index.digests[3] == hashlib.sha256(index.file(3).read_bytes()).hexdigest()
    assert report.warnings() == []


def test_bad_images_stop_the_run_with_the_way_out(root):
    for position in range(7):
        (root / "train" / "cat" / f"bad{position}.jpg").write_bytes(b"no image")
    with pytest.raises(HeadstartError) as raised:
        checked(root)
    message = str(raised.value)
    assert "7 of 23" in message
    assert message.count(".jpg") == 5
    assert "train/cat/bad0.jpg (its content is none of JPEG" in message
    assert "2 more" in message
    assert "dataset.bad_images=skip" in message


def test_bad_images_are_left_out_and_reported(root):
    good, _ = checked(root)
    (root / "train" / "dog" / "bad.png").write_bytes((root / "train" / "dog" / "0.png").read_bytes()[:60])
    (root / "train" / "dog" / "gone.png").symlink_to(root / "nowhere.png")
    index, report = checked(root, "skip")
    assert index.paths == good.paths
    assert index.fingerprint == good.fingerprint
    assert [path for path, _ in report.unreadable] == ["train/dog/bad.png", "train/dog/gone.png"]
    assert "No such file" in report.unreadable[1][1]
    assert "left out (2)" in report.warnings()[0]


def test_links_to_images_are_images(root, tmp_path):
    Image.new("RGB", (4, 4), "red").save(root / ".original.png")
    (root / "train" / "dog" / "link.png").symlink_to(root / ".original.png")
    index, report = checked(root)
    assert "train/dog/link.png" in index.paths
    assert report.unreadable == []


def test_classes_are_checked_again_after_skipping(root):
    for file in (root / "val" / "dog").iterdir():
        file.write_bytes(b"no image")
    with pytest.raises(HeadstartError, match=r"validation split.*none of dog"):
        checked(root, "skip")


def test_only_bad_images_is_an_error_with_either_setting(root):
    for file in root.rglob("*.png"):
        file.write_bytes(b"no image")
    with pytest.raises(HeadstartError, match="16 of 16") as raised:
        checked(root, "skip")
    assert "=skip" not in str(raised.value)


def test_second_check_reads_no_file(root, monkeypatch):
    (root / "train" / "cat" / "bad.png").write_bytes(b"no image")
    first, first_report = checked(root, "skip")
    monkeypatch.setattr(checks, "verify_image", lambda *_: pytest.fail("a file was read again"))
    again, report = checked(root, "skip")
    assert again.digests == first.digests
    assert report == first_report


def test_changed_file_is_read_again(root):
    before, _ = checked(root)
    file = root / "test" / "cat" / "0.png"
    status = file.stat()
    Image.new("RGB", (6, 6), "red").save(file)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    after, _ = checked(root)
    changed = [path for path, old, new in zip(after.paths, before.digests, after.digests, strict=True) if old != new]
    assert changed == ["test/cat/0.png"]
    assert after.fingerprint != before.fingerprint


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"head": 1, "files": {}}', "entries", b"\xff\xfe"], ids=repr)
def test_damaged_cache_is_built_again(root, damage):
    first, _ = checked(root)
    (cache,) = (root.parent / "cache" / "checked").iterdir()
    if damage == "entries":
        content = json.loads(cache.read_text())
        content["files"] = {path: position for position, path in enumerate(content["files"])}
        cache.write_text(json.dumps(content))
    else:
        cache.write_bytes(damage if isinstance(damage, bytes) else damage.encode())
    assert checked(root)[0].fingerprint == first.fingerprint
    (rebuilt,) = (root.parent / "cache" / "checked").iterdir()
    assert len(json.loads(rebuilt.read_text())["files"]) == 16


def test_identical_files_across_splits_and_labels_are_reported(root):
    original = (root / "train" / "cat" / "0.png").read_bytes()
    (root / "train" / "cat" / "same.png").write_bytes(original)
    (root / "test" / "cat" / "same.png").write_bytes(original)
    (root / "train" / "dog" / "other.png").write_bytes((root / "train" / "cat" / "1.png").read_bytes())
    index, report = checked(root)
    assert len(index) == 19
    assert [sorted(paths) for paths in report.duplicates] == [
        ["test/cat/same.png", "train/cat/0.png", "train/cat/same.png"]
    ]
    assert report.conflicts == [["train/cat/1.png", "train/dog/other.png"]]
    across, labels = report.warnings()
    assert "more than one split (1," in across
    assert "test/cat/same.png" in across
    assert "train/dog/other.png" in labels


def test_class_without_test_images_is_reported(root):
    for file in (root / "test" / "dog").iterdir():
        file.unlink()
    _, report = checked(root)
    assert any("without a test image" in sentence and "dog" in sentence for sentence in report.warnings())


def test_report_can_be_written_as_json(root):
    (root / "train" / "cat" / "bad.png").write_bytes(b"no image")
    _, report = checked(root, "skip")
    content = json.loads(json.dumps(report.to_dict()))
    assert content["warnings"] == report.warnings()
    assert content["unreadable"][0][0] == "train/cat/bad.png"


def test_unknown_setting_for_bad_images_is_refused(root):
    with pytest.raises(HeadstartError, match="fail, skip"):
        checked(root, "ignore")


def test_a_cache_that_cannot_be_written_is_not_needed(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "checked").write_text("no directory")
    checked, _ = check_images(load(folder), "fail", tmp_path)
    assert len(checked.digests) == 30
    assert "Warning: " in capsys.readouterr().out
