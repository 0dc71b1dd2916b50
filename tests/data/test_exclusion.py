"""Images that a table lists are left out, and invalid tables are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.core.errors import HeadstartError
from headstart.data.exclusion import exclude_images, record_exclusion
from headstart.data.sources.listing import ImageRow, Listing

LISTING = Listing(Path("/data"), [ImageRow(f"cat/{number}.png", "cat") for number in range(4)])


def table(directory: Path, text: str | bytes) -> str:
    (directory / "out.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(directory / "out.csv")


def test_the_listed_images_are_left_out_and_counted(tmp_path: Path) -> None:
    file = table(tmp_path, "\ufefffinding,path\nblank,cat/1.png\nduplicate,cat/1.png\nblank,cat/3.png\n")
    kept = exclude_images(LISTING, file)
    assert [row.path for row in kept.rows] == ["cat/0.png", "cat/2.png"]
    assert kept.notes == (f"dataset.exclude={file} left 2 images out",)
    assert exclude_images(LISTING, None) is LISTING


def test_an_empty_table_leaves_nothing_out(tmp_path: Path) -> None:
    assert exclude_images(LISTING, table(tmp_path, "path\n")).rows == LISTING.rows


def test_missing_paths_are_noted(tmp_path: Path) -> None:
    file = table(tmp_path, "path\ncat/1.png\ncat/gone.png\n")
    assert exclude_images(LISTING, file).notes == (
        f"dataset.exclude={file} left 1 image out",
        f"dataset.exclude={file} lists images that do not exist (1): cat/gone.png",
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("path\nother/1.png\n", "none of whose 1 paths exists, other/1.png"),
        ("file\ncat/1.png\n", "with the column path. Received: "),
        ("", "with no columns"),
        ("path,why\ncat/1.png,x\n,y\n", "Expected a path in row 3 of"),
        ("path\n" + '"' + "x" * 200_000 + '"\n', "Expected dataset.exclude to be a CSV file"),
    ],
)
def test_an_invalid_table_is_refused(text: str, expected: str, tmp_path: Path) -> None:
    with pytest.raises(HeadstartError, match="Expected") as caught:
        exclude_images(LISTING, table(tmp_path, text))
    assert expected in str(caught.value)


def test_a_missing_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HeadstartError, match=r"Expected dataset\.exclude to be a file"):
        exclude_images(LISTING, str(tmp_path / "none.csv"))


def test_the_run_keeps_a_copy_with_its_digest(tmp_path: Path) -> None:
    file = table(tmp_path, "path\ncat/1.png\n")
    (tmp_path / "run").mkdir()
    recorded = record_exclusion(file, tmp_path / "run" / "data_report")
    assert (tmp_path / "run" / recorded["copy"]).read_text() == "path\ncat/1.png\n"
    assert recorded["file"] == file
    assert len(recorded["digest"]) == 64
