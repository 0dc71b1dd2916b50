"""Which runs can be resumed, and which are refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from conftest import TINY

from headstart.config import compose, to_yaml
from headstart.config.identity import config_hash
from headstart.core.errors import HeadstartError
from headstart.results.file import read_results, write_results
from headstart.results.runs import CHECKPOINT
from headstart.results.sections import Dataset
from headstart.results.types import RunResults
from headstart.run.environment import describe_environment
from headstart.run.experiment import run
from headstart.run.resume import (
    check_same_images,
    exclusive_run_directory,
    expect_only_execution_settings,
    find_interrupted,
    find_unfinished,
    with_execution_settings,
)
from headstart.tracking import begin_run


@pytest.fixture
def interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADSTART_OUTPUTS", str(tmp_path))
    directory, config = tmp_path / "runs" / "one", compose(["seed=5"])
    directory.mkdir(parents=True)
    (directory / "config.yaml").write_text(to_yaml(config), encoding="utf-8")
    (directory / CHECKPOINT).write_bytes(b"")
    known = {"run_id": "abcdef", "status": "KILLED", "config_hash": config_hash(config)}
    (directory / "results.json").write_text(json.dumps(known), encoding="utf-8")
    return directory


@pytest.mark.parametrize("name", ["latest", "abcd", "abcdef"])
def test_an_interrupted_run_is_found_with_its_configuration(name: str, interrupted: Path) -> None:
    directory, config = find_unfinished(name)
    assert directory == interrupted
    assert config == compose(["seed=5"])


def test_the_same_command_finds_its_run_and_another_does_not(interrupted: Path) -> None:
    assert find_interrupted(compose(["seed=5", "resume=auto", "time_limit=1h"])) == interrupted
    assert find_interrupted(compose(["seed=6", "resume=auto"])) is None


def test_execution_settings_may_be_given_with_resume() -> None:
    stored, given = (
        compose(["seed=5", "cache.dtype=float16"]),
        ["time_limit=1h", "cache=off", "checkpoint_seconds=null"],
    )
    expect_only_execution_settings("latest", given)
    config = with_execution_settings(stored, given)
    assert (config.time_limit, config.checkpoint_seconds, config.cache.activations) == ("1h", None, False)
    assert (config.seed, config.cache.dtype) == (5, "float16")
    assert config_hash(config) == config_hash(stored)
    assert with_execution_settings(stored, []) == stored
    for word in ("seed=6", "plan=true", "reproduce=latest", "dataset.root=/elsewhere", "tracking=server", "-m", "x=1"):
        with pytest.raises(HeadstartError, match=f"Expected resume=latest alone or with .* Received: {word}$"):
            expect_only_execution_settings("latest", [*given, word])


def test_what_is_not_there_or_finished_is_named(interrupted: Path) -> None:
    with pytest.raises(HeadstartError, match=r"Received: wxyz; the runs under .* that you can resume: abcdef"):
        find_unfinished("wxyz")
    (interrupted / "results.json").write_text('{"run_id": "abcdef", "status": "FINISHED"}', encoding="utf-8")
    with pytest.raises(HeadstartError, match="is already finished"):
        find_unfinished(str(interrupted))


def test_a_directory_has_one_run_at_a_time(tmp_path: Path) -> None:
    with (
        exclusive_run_directory(tmp_path, resume=False),
        pytest.raises(
            HeadstartError, match=r"This run is in progress \(process \d+ on .*\)\. Wait for it, or stop it\."
        ),
        exclusive_run_directory(tmp_path, resume=True),
    ):
        pass
    assert not list(tmp_path.iterdir())


def test_a_run_that_can_be_resumed_is_not_overwritten(interrupted: Path) -> None:
    left = interrupted / ".history.csv.123.partial"
    left.touch()
    with (
        pytest.raises(HeadstartError, match=r"Resume it with headstart train resume=.* or remove its checkpoint\.npz"),
        exclusive_run_directory(interrupted, resume=False),
    ):
        pass
    with exclusive_run_directory(interrupted, resume=True):
        assert not left.exists()


def test_other_images_and_another_environment(capsys: pytest.CaptureFixture[str]) -> None:
    one, other = (
        Dataset(name="folder", root="photos", fingerprint=name * 20, images={}, classes=2, image_size=32)
        for name in ("a", "b")
    )
    before = describe_environment([], "float32", "tensorflow")
    now = dataclasses.replace(before, python="2.7", packages={**before.packages, "keras": "1.0"})
    began = RunResults(run_id="abcdef", dataset=one, environment=before)
    check_same_images(None, one, now)
    check_same_images(began, one, before)
    assert capsys.readouterr().out == ""
    check_same_images(began, one, now)
    warnings = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert [line.split()[1] for line in warnings] == ["python", "keras"]
    assert warnings[1].endswith("then, 1.0 now: the figures may differ")
    with pytest.raises(HeadstartError, match="Expected the images that this run began with"):
        check_same_images(began, other, now)


def test_a_run_on_other_images_is_refused_each_time(folder: Path, tmp_path: Path) -> None:
    config = compose([*TINY, f"dataset.root={folder}", "freeze=scratch", "epochs=1"])
    dataset = Dataset(name="folder", root=str(folder), fingerprint="a" * 20, images={}, classes=3, image_size=32)
    began = RunResults(run_id="abcdef", status="KILLED", dataset=dataset)
    begin_run(f"sqlite:///{tmp_path}/store.db", "headstart", "killed", {}, tmp_path).close()
    write_results(tmp_path, began)
    for _ in range(2):
        with pytest.raises(HeadstartError, match="Expected the images that this run began with"):
            run(config, tmp_path, resume=True)
        found = read_results(tmp_path)
        assert found is not None
        assert (found.status, found.dataset) == ("FAILED", dataset)


def test_what_a_newer_version_left_is_refused_or_left_alone(interrupted: Path) -> None:
    content = json.loads((interrupted / "results.json").read_text(encoding="utf-8"))
    (interrupted / "results.json").write_text(json.dumps({**content, "schema_version": 99}), encoding="utf-8")
    with pytest.raises(HeadstartError, match=r"written by a newer headstart \(results schema 99, .* Update headstart"):
        find_unfinished(str(interrupted))
    assert find_interrupted(compose(["seed=5", "resume=auto"])) is None
