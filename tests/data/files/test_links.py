"""No link and no path of a table leads out of a dataset's root, unless the user allows it."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import write_pictures

from headstart.config import DatasetConfig
from headstart.core.errors import HeadstartError
from headstart.data.files.checks import check_images
from headstart.data.index import ImageIndex
from headstart.data.load import load_index


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "root", {"cat": 6, "dog": 6})


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "secret", {"plans": 2})


def load(root: Path, source: str = "folder", **values: object) -> ImageIndex:
    config = DatasetConfig(name=source, source=source, root=str(root), **values)  # type: ignore[arg-type]
    return load_index(config, root.parent / "cache")


def test_links_to_files_and_directories_outside_are_named(root: Path, secret: Path) -> None:
    (root / "cat" / "file.png").symlink_to(secret / "plans" / "000.png")
    (root / "dog" / "directory").symlink_to(secret)
    (root / "owl").symlink_to("../secret/plans")
    (root / "dog" / "nowhere.png").symlink_to("/nowhere/at/all.png")
    (root / "dog" / "notes.txt").symlink_to("/etc/hostname")
    for source, values in (("folder", {}), ("flat", {"label_names": ["a", "b"]}), ("unlabelled", {})):
        with pytest.raises(HeadstartError) as caught:
            load(root, source, **values)
        message = str(caught.value)
        assert "5 that lead out" in message
        for name in ("cat/file.png -> ", "dog/directory -> ", "owl -> ../secret/plans", "dog/nowhere.png"):
            assert name in message
        assert "dataset.follow_links=true" in message


def test_links_are_followed_if_allowed(root: Path, secret: Path) -> None:
    (root / "cat" / "file.png").symlink_to(secret / "plans" / "000.png")
    (root / "dog" / "directory").symlink_to(secret)
    paths = set(load(root, follow_links=True).paths)
    assert {"cat/file.png", "dog/directory/plans/000.png", "dog/directory/plans/001.png"} < paths


def test_a_link_through_a_hidden_directory_is_found(root: Path, secret: Path) -> None:
    (root / ".hidden").mkdir()
    (root / ".hidden" / "out").symlink_to(secret)
    assert len(load(root)) == 12  # nobody looks there
    (root / "cat" / "in").symlink_to(root / ".hidden")
    with pytest.raises(HeadstartError, match="cat/in/out -> "):
        load(root)


def test_the_root_may_be_a_link_and_links_may_stay_within_it(root: Path, tmp_path: Path) -> None:
    (root / "cat" / "same.png").symlink_to("000.png")
    (root / "cat" / "others").symlink_to("../dog")
    (tmp_path / "link").symlink_to(root)
    assert len(load(tmp_path / "link")) == len(load(root)) == 19


def test_circular_links_terminate(root: Path) -> None:
    (root / "cat" / "up").symlink_to(root)
    (root / "dog" / "self").symlink_to("self")
    (root / "dog" / "there").symlink_to("back")
    (root / "dog" / "back").symlink_to("there")
    assert len(load(root)) >= 12
    assert len(load(root, "unlabelled")) >= 12


@pytest.mark.parametrize(
    "path", ["../secret/plans/000.png", "{secret}/plans/000.png", "cat/../../secret/plans/000.png"]
)
@pytest.mark.parametrize("follow_links", [False, True])
def test_paths_of_a_table_stay_below_the_root(root: Path, secret: Path, path: str, follow_links: bool) -> None:
    table = root / "images.csv"
    lines = ["path,label", "cat/000.png,cat", "dog/000.png,dog", f"{path.format(secret=secret)},dog"]
    table.write_text("\n".join(lines) + "\n")
    with pytest.raises(HeadstartError, match=r"1 that do not, row 4: .*plans/000\.png"):
        load(root, "csv", csv=str(table), follow_links=follow_links)


def test_a_table_may_name_links_only_if_allowed(root: Path, secret: Path) -> None:
    table = root / "images.csv"
    (root / "linked").symlink_to(secret / "plans")
    (root / "one.png").symlink_to(secret / "plans" / "001.png")
    rows = [f"{root}/cat/00{number}.png,cat\ndog/00{number}.png,dog\n" for number in range(6)]
    table.write_text("path,label\n" + "".join(rows))
    assert len(load(root, "csv", csv=str(table))) == 12  # an absolute path may lie below the root
    table.write_text("path,label\n" + "".join(rows) + "linked/000.png,cat\none.png,dog\n")
    with pytest.raises(HeadstartError, match=r"2 that do not, row 14: linked/000\.png, row 15: one\.png"):
        load(root, "csv", csv=str(table))
    assert len(load(root, "csv", csv=str(table), follow_links=True)) == 14


def test_a_table_cannot_name_a_pipe_or_a_directory(root: Path) -> None:
    import os

    os.mkfifo(root / "pipe.png")
    (root / "images.csv").write_text("path,label\ncat/000.png,cat\npipe.png,dog\ncat,dog\n")
    with pytest.raises(HeadstartError, match=r"2 that are not, row 3: pipe\.png, row 4: cat"):
        load(root, "csv", csv=str(root / "images.csv"))


def test_links_within_the_root_are_checked_like_files(root: Path) -> None:
    (root / "cat" / "gone.png").symlink_to("away.png")
    with pytest.raises(HeadstartError, match=r"cat/gone\.png \(No such file"):
        check_images(load(root), "fail", root.parent / "cache")
