"""A whole audit without a network: page, table, warnings; the next run can exclude what the table lists."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from PIL import Image
from planted import checked, named, scenes, write

from headstart.audit.auditing import Audit, audit_images
from headstart.config import Config, compose
from headstart.data.files.checks import check_images
from headstart.data.load import load_index

HOSTILE = '"><script>alert(1)</script> & \u202eevil.png'


def as_jpeg(picture: Image.Image) -> Image.Image:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=40)
    return Image.open(io.BytesIO(stream.getvalue()))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return pictures with splits, in which copies of training images are tested."""
    directory, pictures = tmp_path_factory.mktemp("audited"), scenes(60)
    training = named(pictures[:36], ("train/cat", "train/dog"))
    others = named(pictures[36:], ("validation/cat", "validation/dog", "test/cat", "test/dog"))
    copies = {
        "test/cat/resized.png": pictures[0].resize((200, 200)),
        "test/dog/mirrored.png": pictures[1].transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        "test/dog/recompressed.png": as_jpeg(pictures[3]),
        "train/cat/" + HOSTILE.replace("/", "_"): Image.new("RGB", (128, 128), (200, 200, 200)),
        "train/dog/the same.png": pictures[4],  # which 000004 has as a cat
    }
    return write(directory / "pictures", {**training, **others, **copies})


@pytest.fixture(scope="module")
def config(root: Path) -> Config:
    return compose(["dataset=folder", f"dataset.root={root}", "cache=off"])


@pytest.fixture(scope="module")
def found(config: Config, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Audit:
    return audit_images(config, checked(root, tmp_path_factory.mktemp("checked")), "quick", 32)


@pytest.fixture(scope="module")
def written(found: Audit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("written")
    found.write(directory, "<b>pictures</b>", most=2)
    return directory


def rows_of(written: Path) -> list[dict[str, str]]:
    with (written / "audit.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_planted_problems_are_found(found: Audit) -> None:
    counts = found.counts()
    assert (counts["near_duplicate"], counts["conflict"], counts["blank"]) == (3, 2, 1)
    assert "mislabelled" not in counts  # which nobody looked for
    assert found.copies == {"validation": 0, "test": 3}
    assert (
        "3 of 15 test images are duplicates or near-duplicates of training images, so test scores are inflated by "
        "leakage: see page.html"
    ) in found.warnings("page.html")
    assert "1 image is blank: see page.html" in found.warnings("page.html")
    assert found.to_dict()["copies_of_training_images"] == {"validation": 0, "test": 3}


def test_the_table_lists_the_training_copies(written: Path) -> None:
    near = {row["path"]: row for row in rows_of(written) if row["finding"] == "near_duplicate"}
    assert set(near) == {"train/cat/000.png", "train/dog/001.png", "train/dog/003.png"}
    row = near["train/dog/001.png"]
    assert (row["partner"], row["split"], row["label"]) == ("test/dog/mirrored.png", "train", "dog")
    assert row["detail"].startswith("mirrored, otherwise a copy of test/dog/mirrored.png")
    assert float(row["score"]) > 0.8


def test_the_page_needs_no_network_and_escapes_names(written: Path) -> None:
    page = (written / "audit.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "\u202e" not in page
    assert "&lt;b&gt;pictures&lt;/b&gt;" in page
    assert "&lt;script&gt;alert(1)&lt;" in page
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert sources
    assert all(source.startswith(("data:", "#")) for source in sources)
    assert "http" not in page.replace("http-equiv", "")
    assert "default-src 'none'" in page


def test_the_page_shows_a_few_and_counts_the_rest(written: Path) -> None:
    page = (written / "audit.html").read_text(encoding="utf-8")
    assert "Near-duplicates (3)" in page
    assert "and 1 more in audit.csv" in page
    assert page.count("<img") == 2 * 2 + 2 + 1  # two near-duplicates, the pair in conflict, and what is blank


def test_the_next_run_excludes_what_the_table_lists(found: Audit, config: Config, root: Path, written: Path) -> None:
    listed = {row["path"] for row in rows_of(written)}
    again = compose(["dataset=folder", f"dataset.root={root}", f"dataset.exclude={written / 'audit.csv'}"])
    index = load_index(again.dataset, written)
    assert set(found.index.paths) - set(index.paths) == listed
    assert index.notes[-1] == f"dataset.exclude={written / 'audit.csv'} left {len(listed)} images out"
    cleaned = audit_images(config, check_images(index, "fail", written)[0], "quick", 32)
    assert {kind for kind, count in cleaned.counts().items() if count} == set()
    assert cleaned.copies == {"validation": 0, "test": 0}


def test_an_audit_that_finds_nothing_says_so(config: Config, tmp_path: Path) -> None:
    index = checked(write(tmp_path / "sound", named(scenes(24, seed=5))), tmp_path)
    nothing = audit_images(config, index, "quick", 32)
    assert sum(nothing.counts().values()) == 0
    nothing.write(tmp_path / "audit", "sound", 5)
    assert "No problems found." in (tmp_path / "audit" / "audit.html").read_text(encoding="utf-8")
    assert (tmp_path / "audit" / "audit.csv").read_text(encoding="utf-8").count("\n") == 1


def test_a_pair_is_two_rows_of_the_table_and_one_card_of_the_page(written: Path) -> None:
    assert len([row for row in rows_of(written) if row["finding"] == "conflict"]) == 2
    page = (written / "audit.html").read_text(encoding="utf-8")
    section = page.partition('<h2 id="conflict">')[2].partition("<h2 ")[0]
    assert section.startswith("Identical files with different labels (1)")
    assert section.count('<li class="card">') == 1
