"""Files and directories are written completely or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from headstart.core.files import (
    atomic_directory,
    atomic_file,
    file_name,
    open_csv,
    truncate_to_bytes,
    write_json,
    write_text,
)


def test_writing_replaces_the_content_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    file = tmp_path / "note.txt"
    write_text(file, "one")
    write_text(file, "zwei ä 猫\n")
    assert file.read_text(encoding="utf-8") == "zwei ä 猫\n"
    assert os.listdir(tmp_path) == ["note.txt"]


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_text(tmp_path / "written", "")
    assert (tmp_path / "written").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_failure_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "results.json"
    write_json(file, {"accuracy": 1})

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_json(file, {"accuracy": 2})
    assert json.loads(file.read_text()) == {"accuracy": 1}
    assert os.listdir(tmp_path) == ["results.json"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_refuses_nan(tmp_path: Path, value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "results.json", {"loss": value})
    assert not os.listdir(tmp_path)


def test_json_round_trips_names_in_any_script_and_encoding(tmp_path: Path) -> None:
    content = {"Käfer": "猫", "latin-1 file": "k\udce4fer.png"}
    write_json(tmp_path / "labels.json", content)
    text = (tmp_path / "labels.json").read_text(encoding="utf-8")
    assert "猫" in text
    assert json.loads(text) == content


def test_a_directory_is_replaced_as_a_whole(tmp_path: Path) -> None:
    for content in ("old", "new"):
        with atomic_directory(tmp_path / "classifier") as partial:
            (partial / content).touch()
    assert os.listdir(tmp_path) == ["classifier"]
    assert os.listdir(tmp_path / "classifier") == ["new"]


def test_a_failure_keeps_the_old_directory(tmp_path: Path) -> None:
    with atomic_directory(tmp_path / "classifier") as partial:
        (partial / "old").touch()

    def fail_in_the_middle() -> None:
        with atomic_directory(tmp_path / "classifier") as partial:
            (partial / "half").touch()
            raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space left"):
        fail_in_the_middle()
    assert os.listdir(tmp_path) == ["classifier"]
    assert os.listdir(tmp_path / "classifier") == ["old"]


def test_any_name_becomes_a_unique_safe_file_name(tmp_path: Path) -> None:
    for plain in ("last_block", "stage-2.1", "Käfer", "猫"):
        assert file_name(plain) == plain
    odd = ["../up", "a/b", "a b", "a\\b", "a:b", "x" * 500, "x" * 501, "con*?<>|"]
    names = [file_name(name) for name in odd]
    assert len(set(names)) == len(odd)  # unique by their digests
    for name in names:
        (tmp_path / f"history_{name}.png").touch()
    assert sorted(os.listdir(tmp_path)) == sorted(f"history_{name}.png" for name in names)


def test_a_csv_file_replaces_the_old_one_only_when_complete(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text("before", encoding="utf-8")

    def interrupted() -> None:
        with open_csv(file) as table:
            table.write("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert os.listdir(tmp_path) == ["table.csv"]
    assert file.read_text(encoding="utf-8") == "before"
    with open_csv(file) as table:
        table.write("after")
    assert file.read_text(encoding="utf-8") == "after"


@pytest.mark.parametrize("name", ["a" * 251 + ".png", "猫" * 83 + ".png", "é" * 125 + ".json"])
def test_names_of_the_maximum_length_are_written(name: str, tmp_path: Path) -> None:
    write_text(tmp_path / name, "content")
    with atomic_directory(tmp_path / f"d{name}"[:-1]) as directory:
        (directory / "file").touch()
    assert sorted(os.listdir(tmp_path)) == sorted([name, f"d{name}"[:-1]])


def test_temporary_names_of_long_names_differ(tmp_path: Path) -> None:
    first, second = (tmp_path / ("a" * 250 + ending) for ending in "bc")
    with atomic_file(first) as one, atomic_file(second) as two:
        one.write(b"one")
        two.write(b"two")
    assert (first.read_bytes(), second.read_bytes()) == (b"one", b"two")


@pytest.mark.parametrize("name", ["猫" * 90, "a" * 300, "🦊" * 80, "a/b", "\udce4"])
def test_file_names_leave_room_for_a_prefix_and_a_suffix(name: str) -> None:
    part = file_name(name)
    assert len(os.fsencode(part)) <= 169
    assert part != file_name(f"{name}b")


@pytest.mark.parametrize(
    ("name", "limit", "expected"),
    [("abc", 3, "abc"), ("abc", 2, "ab"), ("猫猫", 5, "猫"), ("a\udce4\udce4", 2, "a\udce4")],
)
def test_names_are_truncated_between_characters(name: str, limit: int, expected: str) -> None:
    assert truncate_to_bytes(name, limit) == expected
