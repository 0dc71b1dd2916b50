"""What is kept can be looked at, checked and removed, and nothing else is."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import numpy as np
import pytest
from forked import ForkServer

from headstart.cache.store import Cache
from headstart.cli import cache as script

DAY = 24 * 60 * 60
IMAGES = {"what": "images", "image_size": 32, "resize": "stretch", "reader": "1"}
FROZEN = {
    "what": "activations",
    "backbone": "small_cnn",
    "cut": "block_2",
    "image_size": 64,
    "resize": "crop",
    "augmentation": None,
}
VIEWS = FROZEN | {"augmentation": {"flip": True}}


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a cache directory with three tables, used 1, 10 and 100 days ago."""
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "kept"))
    monkeypatch.setattr("headstart.core.console.console.width", 160)
    for what, shape, dtype, count, days in (
        (IMAGES, (32, 32, 3), "uint8", 40, 1),  # 122.9 kB
        (FROZEN, (8, 4), "float32", 30, 10),  # 3.8 kB
        (VIEWS, (8, 4), "float16", 20, 100),  # 1.3 kB
    ):
        fill(tmp_path / "kept", what, shape, dtype, count, days)
    (tmp_path / "kept" / "checked").mkdir()
    (tmp_path / "kept" / "checked" / "0123.json").write_text("{}")
    (tmp_path / "kept" / "datasets" / "digits").mkdir(parents=True)
    (tmp_path / "kept" / "trials").mkdir()
    (tmp_path / "kept" / "trials" / "0123.json").write_text("{}")
    os.utime(tmp_path / "kept" / "trials" / "0123.json", (time.time() - 50 * DAY,) * 2)
    return tmp_path / "kept"


def fill(directory: Path, what: dict, shape: tuple[int, ...], dtype: str, count: int, days: float) -> None:
    table = Cache(directory / "tables", 1e9).table(what, shape, np.dtype(dtype))
    keys = [f"{number:064x}" for number in range(count)]
    table.rows(keys, lambda positions: iter([np.ones((len(positions), *shape), dtype)]))
    for file in table.directory.glob("*.rows"):
        os.utime(file, (time.time() - days * DAY,) * 2)


def words(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def files_of(directory: Path, what: str) -> list[Path]:
    """Return the rows of a table by what it is."""
    cache = Cache(directory / "tables", 1e9)
    for table in cache.tables():
        if what in json.dumps(cache.open_table(table).description):
            return sorted(table.glob("*.rows"))
    return []


def everything(directory: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in directory.rglob("*") if file.is_file() and file.name != "lock"}


def test_list_says_what_each_table_is(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = everything(directory)
    assert script.main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    images, frozen, views = (re.split(r"\s{2,}", line.strip()) for line in lines if " px" in line)
    day = time.strftime("%Y-%m-%d", time.localtime(time.time() - 10 * DAY))
    assert images[:3] == ["decoded images, 32 px, stretch", "40", "122.9 kB"]
    assert frozen[:3] == ["small_cnn up to block_2, 64 px, crop", "30", "3.8 kB"]
    assert frozen[3].startswith(day)
    assert views[:3] == ["small_cnn up to block_2, augmented views, 64 px, crop", "20", "1.3 kB"]
    [total] = [line for line in lines if "128.0 kB in total; " in line]
    assert "are free on this disk" in total
    assert lines[-1].split()[:5] == ["headstart", "cache", "prune", "--older-than", "30"]
    assert everything(directory) == before


def test_an_empty_cache_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "none"))
    for command in (["list"], ["verify"], ["prune", "--all"]):
        assert script.main(command) == 0
    printed = words(capsys)
    assert f"The cache in {tmp_path}/none is empty" in printed
    assert "0 tables read, 0 files damaged" in printed
    assert not (tmp_path / "none").exists()


def test_verify_names_what_is_damaged_and_repair_removes_it(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script.main(["verify"]) == 0
    assert "3 tables read, 0 files damaged" in words(capsys)
    [flipped], [cut] = files_of(directory, "images"), files_of(directory, "flip")
    content = bytearray(flipped.read_bytes())
    content[1000] ^= 1
    flipped.write_bytes(content)
    cut.write_bytes(cut.read_bytes()[:-1])
    before = everything(directory)
    assert script.main(["verify"]) == 1
    printed = words(capsys)
    assert f"{flipped} has the wrong checksum" in printed
    assert f"{cut} has the wrong size" in printed
    assert "3 tables read, 2 files damaged; --repair removes them" in printed
    assert everything(directory) == before
    assert script.main(["verify", "--repair"]) == 0
    assert "2 files damaged and removed" in words(capsys)
    assert len(Cache(directory / "tables", 1e9).tables()) == 1
    assert script.main(["verify"]) == 0
    assert "1 tables read, 0 files damaged" in words(capsys)


@pytest.mark.parametrize("damage", ["not JSON", "[]", '{"description": {}}', "another size"])
def test_a_table_whose_description_is_damaged(damage: str, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [file] = files_of(directory, "flip")
    head = file.with_name("table.json")
    head.write_text(head.read_text().replace('"image_size": 64', '"image_size": 65') if "size" in damage else damage)
    assert script.main(["list"]) == 0
    assert "table.json is damaged" in words(capsys)
    assert script.main(["verify"]) == 1
    assert f"{head} {'describes another table' if 'size' in damage else 'cannot be read'}" in words(capsys)
    assert script.main(["verify", "--repair"]) == 0
    assert not head.parent.exists()
    assert len(Cache(directory / "tables", 1e9).tables()) == 2


def test_rows_that_are_missing_are_damage(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [file] = files_of(directory, "images")
    file.unlink()
    assert script.main(["verify"]) == 1
    assert f"{file} is missing" in words(capsys)
    assert script.main(["verify", "--repair"]) == 0
    assert script.main(["verify"]) == 0


def test_prune_to_a_size_removes_what_was_used_longest_ago(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main(["prune", "--max-gb", "0.000125"]) == 0  # less than all, more than the images
    printed = words(capsys)
    assert "removed 1.3 kB of 1.3 kB: small_cnn up to block_2, augmented views, 64 px, crop" in printed
    assert "removed 3.8 kB of 3.8 kB: small_cnn up to block_2, 64 px, crop" in printed
    assert f"5.1 kB removed, 122.9 kB kept in {directory}" in printed
    assert [len(files_of(directory, what)) for what in ("images", "flip", "block_2")] == [1, 0, 0]


def test_prune_by_age(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main(["prune", "--older-than", "365"]) == 0
    assert "0 bytes removed" in words(capsys)
    assert script.main(["prune", "--older-than", "30"]) == 0
    printed = words(capsys)
    assert "1.3 kB removed, 126.7 kB kept" in printed
    assert "removed 1 result of trials" in printed
    assert [len(files_of(directory, what)) for what in ("images", "flip", "block_2")] == [1, 0, 1]


def test_prune_trials_removes_nothing_else(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = everything(directory)
    assert script.main(["list"]) == 0
    assert "1 result of trials, of scenario=auto" in words(capsys)
    assert script.main(["prune", "--trials"]) == 0
    assert "removed 1 result of trials; the next command tries strategies again" in words(capsys)
    [gone] = before.keys() - everything(directory).keys()
    assert gone == directory / "trials" / "0123.json"


def test_prune_all_keeps_other_files(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    strange = directory / "somebody's"
    strange.mkdir()
    (strange / "thesis.npy").write_bytes(b"0" * 2000)
    (directory / "note.txt").write_text("mine")
    assert script.main(["list"]) == 0
    assert f"{strange}: 2.0 kB, not headstart's" in words(capsys)
    assert script.main(["prune", "--all"]) == 0
    assert sorted(file.name for file in directory.iterdir()) == sorted(
        ["checked", "datasets", "note.txt", "somebody's", "tables", "trials"]
    )
    assert (strange / "thesis.npy").exists()
    assert (directory / "checked" / "0123.json").exists()
    assert list((directory / "tables").iterdir()) == []
    assert list((directory / "trials").iterdir()) == []


@pytest.mark.parametrize("arguments", [["--max-gb", "-1"], ["--older-than", "-2"], ["--max-gb", "nan"]])
def test_a_bound_below_zero_is_refused(
    arguments: list[str], directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = everything(directory)
    assert script.main(["prune", *arguments]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: Expected {arguments[0]} to be 0 or more. Received: {arguments[1]}")
    assert everything(directory) == before


def test_a_cache_that_is_no_directory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "file"))
    assert script.main(["list"]) == 1
    assert "error: Expected the cache, HEADSTART_CACHE, to be a directory" in capsys.readouterr().err


def test_the_command_runs_by_itself(directory: Path, fork_server: ForkServer) -> None:
    answer = fork_server.run(["-m", "headstart", "cache", "list"])
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "decoded" in answer.stdout
    assert fork_server.run(["-m", "headstart", "cache", "prune"]).returncode == 2
