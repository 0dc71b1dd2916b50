"""Where relative paths lie, whatever Hydra makes the working directory; and that a directory holds one run."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from forked import ForkServer

from headstart.config import compose
from headstart.core.errors import HeadstartError
from headstart.core.paths import cache_directory, fix_directories, outputs_directory
from headstart.results.runs import CHECKPOINT, RUNNING
from headstart.run.resume import expect_unused, find_interrupted

ROOT = Path(__file__).parents[2]
TINY = ("backbone=small_cnn", "image_size=32", "freeze=scratch", "epochs=1", "dataset=folder")


def test_paths_of_a_configuration_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.keras").touch()
    config = compose(
        [
            "dataset=csv",
            "dataset.csv=t.csv",
            "dataset.root=photos",
            "backbone.weights=own.keras",
            "tracking.uri=sqlite:///s.db",
        ]
    )
    assert config.dataset.csv == str(tmp_path / "t.csv")
    assert config.dataset.root == str(tmp_path / "photos")
    assert config.backbone.weights == str(tmp_path / "own.keras")
    assert config.tracking.uri == f"sqlite:///{tmp_path / 's.db'}"


def test_names_stay_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = compose(["backbone.weights=packaged", "tracking.uri=http://localhost:5000"])
    assert (config.backbone.weights, config.tracking.uri) == ("packaged", "http://localhost:5000")
    assert config.dataset.root is None


def test_directories_of_the_environment_are_fixed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADSTART_OUTPUTS", "out")
    monkeypatch.setenv("HEADSTART_CACHE", "")
    monkeypatch.setenv("HEADSTART_DATA", "~/data")
    fix_directories()
    monkeypatch.chdir("/")
    assert outputs_directory() == tmp_path / "out"
    assert cache_directory() == tmp_path / "out" / "cache"
    assert os.environ["HEADSTART_DATA"] == os.path.expanduser("~/data")


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (
            {"results.json": '{"run_id": "abcdef0123", "status": "FINISHED"}'},
            "which holds run abcdef01, FINISHED; choose",
        ),
        ({"results.json": '{"run_id": null, "status": "FAILED"}'}, "which holds a run, FAILED; choose"),
        ({"config.yaml": "seed: 0\n"}, "which holds a run, UNFINISHED; choose"),
        ({RUNNING: '{"run_id": "abcdef0123", "status": "RUNNING"}'}, "which holds run abcdef01, RUNNING; choose"),
        (
            {CHECKPOINT: "", "results.json": '{"run_id": "abcdef0123", "status": "KILLED"}'},
            "which holds run abcdef01, KILLED; resume it with headstart train resume={}; choose",
        ),
        ({"results.json": "half of i"}, "which holds a run, UNFINISHED; choose"),
    ],
)
def test_a_directory_that_holds_a_run(files: dict[str, str], says: str, tmp_path: Path) -> None:
    expect_unused(tmp_path)
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(HeadstartError) as error:
        expect_unused(tmp_path)
    assert f"Received: {tmp_path}, {says.format(tmp_path)} another hydra.run.dir" in str(error.value)


def test_a_directory_with_other_files_can_be_used(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    expect_unused(tmp_path)


def test_resume_auto_finds_the_run_of_its_own_directory(tmp_path: Path) -> None:
    from headstart.config.identity import config_hash

    config = compose(["seed=41"])
    assert find_interrupted(config, tmp_path) is None
    (tmp_path / CHECKPOINT).touch()
    (tmp_path / "results.json").write_text(json.dumps({"run_id": "abcdef", "config_hash": config_hash(config)}))
    assert find_interrupted(config, tmp_path) == tmp_path
    assert find_interrupted(compose(["seed=42"]), tmp_path) is None


def digests(directory: Path) -> dict[str, str]:
    files = sorted(file for file in directory.rglob("*") if file.is_file())
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_a_second_run_in_the_same_directory_changes_nothing(tmp_path: Path, fork_server: ForkServer) -> None:
    used = tmp_path / "used"
    (used / "hydra").mkdir(parents=True)
    (used / "hydra" / "overrides.yaml").write_text("- seed=1\n")
    (used / "results.json").write_text('{"run_id": "abcdef0123", "status": "FINISHED"}')
    before = digests(used)
    for words in (["seed=2"], ["resume=auto"]):
        answer = fork_server.run([ROOT / "run.py", f"hydra.run.dir={used}", *words], cwd=tmp_path)
        assert answer.returncode == 1
        assert answer.stderr.startswith(f"error: Expected a directory without a run. Received: {used}, which holds run")
        assert answer.stdout == ""
        assert digests(used) == before


@pytest.mark.slow
def test_relative_paths_where_hydra_changes_the_directory(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").symlink_to(folder)
    words = [*TINY, "dataset.root=photos", "dataset.follow_links=true", "hydra.job.chdir=true"]
    environment = {"HEADSTART_OUTPUTS": "out", "HEADSTART_CACHE": "kept"}
    for more in (["seed=0"], ["seed=1"], ["seed=2,3", "-m"], ["seed=2,3", "tracking.uri=sqlite:///own.db", "-m"]):
        answer = start(tmp_path, *words, *more, **environment)
        assert answer.returncode == 0, answer.stdout + answer.stderr
    found = sorted(file.relative_to(tmp_path).parts[0] for file in tmp_path.rglob("*.db"))
    assert found == ["out", "own.db"]
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "kept",
        "mlartifacts",
        "out",
        "own.db",
        "own.db.lock",
        "photos",
    ]
    runs = sorted((tmp_path / "out" / "runs").iterdir())
    again = start(tmp_path, f"reproduce={runs[0].relative_to(tmp_path)}", "hydra.job.chdir=true", **environment)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "figures are identical to those of run" in again.stdout


def start(directory: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    command = [sys.executable, str(ROOT / "run.py"), *words]
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
