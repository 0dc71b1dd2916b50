"""A disk that is full at several moments of a run: one sentence, nothing half written, and the run can be resumed.

The disk is a small file system in memory, in a namespace of its own; the test looks into it and fills it from outside.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from test_kills import COMMAND, ROOT, figures, finish, only_run

SIZE = 16_000_000  # bytes of the disk: what is asked for is half of it, and it fills up in milliseconds
FILLER = "filler"


class Disk:
    """A small disk that programs can be run on."""

    def __init__(self, place: Path) -> None:
        place.mkdir()
        mount = f"mount -t tmpfs -o size={SIZE} small '{place}' && echo ready && exec sleep 1000"
        self.place = place
        self.keeper = subprocess.Popen(
            ["unshare", "-Urm", "sh", "-c", mount], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self.keeper.stdout is not None
        self.answer = self.keeper.stdout.readline().strip()
        self.inside = Path(f"/proc/{self.keeper.pid}/root{place}")

    def start(self, words: list[str], cache: Path) -> subprocess.Popen[str]:
        places = {"HEADSTART_OUTPUTS": str(self.place / "outputs"), "HEADSTART_CACHE": str(cache)}
        enter = ["nsenter", "--target", str(self.keeper.pid), "--user", "--mount", "--preserve-credentials"]
        return subprocess.Popen(
            [*enter, f"--wd={ROOT}", sys.executable, *words],
            env={**os.environ, **places},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def fill(self, left: int = 0) -> None:
        """Leave so many bytes."""
        with (self.inside / FILLER).open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while (free := shutil.disk_usage(self.inside).free) > left:
                file.write(bytes(min(free - left, 1 << 20)))

    def free(self) -> None:
        (self.inside / FILLER).unlink()

    def run_until(self, pattern: str, words: list[str], cache: Path) -> tuple[int, str]:
        """Run, fill the disk as soon as something is there, and return the exit code and what was printed."""
        process = self.start(words, cache)
        while process.poll() is None and not list(self.inside.glob(pattern)):
            time.sleep(0.001)
        self.fill()
        said, _ = process.communicate(timeout=300)
        return process.returncode, said


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    if shutil.which("unshare") is None or shutil.which("nsenter") is None:
        pytest.skip("needs unshare and nsenter, of util-linux")
    disk = Disk(tmp_path / "disk")
    try:
        if disk.answer != "ready":
            pytest.skip(f"a file system cannot be mounted in a namespace here: {disk.answer}")
        yield disk
    finally:
        disk.keeper.kill()
        disk.keeper.communicate()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of an uninterrupted run, beside a cache that has all it needs."""
    outputs = tmp_path_factory.mktemp("whole")
    finish(outputs, outputs / "cache", COMMAND)
    return only_run(outputs)


def check_complete(directory: Path) -> None:
    """Open every file that has its final name."""
    names = [file for file in directory.rglob("*") if file.is_file() and file.name != FILLER]
    assert names
    assert not [file for file in names if file.name.startswith(".") and "partial" in file.name]
    for file in names:
        if file.suffix == ".json":
            json.loads(file.read_text(encoding="utf-8"))
        elif file.suffix == ".jsonl":
            assert all(json.loads(line) for line in file.read_text(encoding="utf-8").splitlines())
        elif file.suffix == ".npz":
            with np.load(file) as stored:
                assert all(stored[name] is not None for name in stored.files)
        elif file.suffix == ".keras":
            with zipfile.ZipFile(file) as archive:
                assert archive.testzip() is None
        elif file.suffix == ".csv":
            text = file.read_text(encoding="utf-8")
            assert text.endswith("\n")
            assert len({len(row) for row in csv.reader(text.splitlines())}) == 1
        elif file.suffix == ".png":
            with Image.open(file) as image:
                image.load()


def check_said(said: str, code: int) -> None:
    assert code == 1, said
    assert "Traceback" not in said, said
    assert said.count("error: ") == 1, said


def results(directory: Path) -> dict[str, Any]:
    return json.loads((directory / "results.json").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_a_run_that_does_not_fit_is_refused_before_anything_is_computed(disk: Disk, tmp_path: Path) -> None:
    disk.fill(left=2_000_000)
    process = disk.start(COMMAND, tmp_path / "cache")
    said, _ = process.communicate(timeout=300)
    check_said(said, process.returncode)
    assert "free on the disk of" in said
    assert "HEADSTART_OUTPUTS" in said
    assert "computed once" not in said
    assert not list(disk.inside.glob("outputs/runs/*/checkpoint.npz"))
    check_complete(disk.inside / "outputs" / "runs")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "file"),
    [
        pytest.param("runs/*/checkpoint.npz", "checkpoint.npz", id="checkpoint"),
        pytest.param("runs/*/.classifier.*", "classifier", id="classifier"),
        pytest.param("runs/*/figures", "", id="figures"),
        pytest.param("runs/*/tracking", "", id="journal"),
    ],
)
def test_a_full_disk_leaves_completed_files_intact(
    moment: str, file: str, disk: Disk, whole: Path, tmp_path: Path
) -> None:
    cache = whole.parents[1] / "cache"
    code, said = disk.run_until(f"outputs/{moment}", COMMAND, cache)
    check_said(said, code)
    assert "The disk of " in said
    assert " is full (No space left on device" in said
    assert not file or f"while writing {file}" in said
    [run] = disk.inside.glob("outputs/runs/*")
    check_complete(run)
    disk.free()
    go_on = disk.start(["run.py", f"resume={disk.place / 'outputs' / 'runs' / run.name}"], cache)
    said, _ = go_on.communicate(timeout=300)
    assert go_on.returncode == 0, said
    assert figures(run) == figures(whole)
    check_complete(disk.inside / "outputs")


@pytest.mark.slow
def test_a_run_continues_when_the_disk_of_its_cache_fills_up(disk: Disk, whole: Path, tmp_path: Path) -> None:
    process = disk.start([*COMMAND, f"hydra.run.dir={tmp_path / 'run'}"], disk.place / "cache")
    while process.poll() is None and not list(disk.inside.glob("cache/tables/*/lock")):
        time.sleep(0.001)
    disk.fill()
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert "No space left on device" in said or "do not fit on the disk" in said
    assert results(tmp_path / "run")["splits"]["test"]["accuracy"] == pytest.approx(
        results(whole)["splits"]["test"]["accuracy"], abs=0.01
    )
    check_complete(disk.inside / "cache")
