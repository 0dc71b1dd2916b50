"""A finished run is run again as it was stored, on the same images, and compared."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY, write_pictures

from headstart.config import Config, compose
from headstart.core.errors import HeadstartError
from headstart.results.file import load_results
from headstart.results.runs import finished_runs
from headstart.results.sections import FigureChange, Reproduction
from headstart.run.experiment import run
from headstart.run.reproduce import ORIGINAL, RESULTS, configuration_to_reproduce, describe_reproduction


def reproduce(output: Path, *overrides: str) -> tuple[Config, list[str]]:
    output.mkdir(parents=True, exist_ok=True)
    return configuration_to_reproduce(compose(overrides), list(overrides), output)


def edited(run_directory: Path, directory: Path, change: Any) -> Path:
    """Return a copy of what a finished run left, with other results."""
    shutil.copytree(run_directory, directory, ignore=shutil.ignore_patterns("classifier", "figures", "tracking"))
    results = json.loads((directory / "results.json").read_text())
    change(results)
    (directory / "results.json").write_text(json.dumps(results))
    return directory


def test_the_same_run_gives_the_same_figures(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    original = load_results(finished_run / "results.json")
    config, overrides = reproduce(tmp_path / "again", f'reproduce="{str(original.run_id)[:8]}"', "time_limit=1h")
    assert (config.reproduce, config.time_limit) == (original.run_id, "1h")
    results = run(config, tmp_path / "again", overrides=overrides)
    assert results.reproduces is not None
    assert results.reproduces.verdict == "identical"
    assert results.reproduces.figures > 40
    assert results.config_hash == original.config_hash
    told = capsys.readouterr().out
    assert told.index("same commit, versions and machine") < told.index("epoch ")  # before training
    assert f"are identical to those of run {str(original.run_id)[:8]}" in told

    import mlflow

    tracked = mlflow.MlflowClient(results.tracking_uri).get_run(results.run_id)
    assert tracked.data.tags["reproduces"] == original.run_id
    assert tracked.data.tags["reproduced"] == "identical"
    assert "are identical to those of run" in tracked.data.tags["mlflow.note.content"]


def test_other_figures_and_versions_are_reported(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def change(results: dict[str, Any]) -> None:
        results["environment"]["packages"]["keras"] = "1.0"
        results["environment"]["commit"] = "abc"
        results["splits"]["test"]["log_loss"] += 0.5

    config, _ = reproduce(tmp_path / "again", f"reproduce={edited(finished_run, tmp_path / 'original', change)}")
    results = run(config, tmp_path / "again")
    assert results.finished
    assert results.reproduces is not None
    assert results.reproduces.verdict == "differs"
    assert results.reproduces.largest_difference.figure == "splits.test.log_loss"
    assert results.reproduces.differing_figures == 1
    told = capsys.readouterr().out
    assert told.index("commit abc then") < told.index("keras 1.0 then") < told.index("epoch ")
    assert "Not reproduced: 1 of" in told


@pytest.mark.slow
def test_other_images_are_refused_with_what_is_different(tmp_path: Path) -> None:
    pictures = write_pictures(tmp_path / "pictures", {"red": 10, "green": 10})
    one = tmp_path / "one"
    one.mkdir()
    run(compose([*TINY, f"dataset.root={pictures}", "freeze=all", "epochs=1"]), one, overrides=["dataset=folder"])
    moved = pictures.rename(tmp_path / "moved")
    (moved / "red" / "000.png").unlink()
    shutil.copy(moved / "green" / "001.png", moved / "green" / "new.png")
    shutil.copy(moved / "red" / "002.png", moved / "red" / "001.png")
    config, _ = reproduce(tmp_path / "again", f"reproduce={one}", f"dataset.root={moved}")
    with pytest.raises(HeadstartError) as error:
        run(config, tmp_path / "again")
    told = str(error.value)
    assert "1 gone (red/000.png), 1 new (green/new.png), 1 with changed content (red/001.png)" in told
    assert told.endswith("headstart train dataset=folder")
    assert not (tmp_path / "again" / "history.csv").exists()


def test_a_run_whose_directory_is_gone_is_fetched_from_the_store(finished_run: Path, tmp_path: Path) -> None:
    original = load_results(finished_run / "results.json")
    elsewhere = tmp_path / "elsewhere"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_OUTPUTS", str(elsewhere))  # where no run is
        config, _ = reproduce(
            elsewhere / "again", f"reproduce={original.run_id}", f"tracking.uri={original.tracking_uri}"
        )
    assert config.reproduce == original.run_id
    assert config.freeze == compose([*TINY, "freeze=last_block", "epochs=2"]).freeze
    assert load_results(elsewhere / "again" / ORIGINAL / RESULTS) == original
    assert not finished_runs(tmp_path)  # the copy is none


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["reproduce=nothing_like_it"], "Expected a run's directory, an MLflow run id, latest or best"),
        (["reproduce=latest", "seed=1"], "because a reproduction keeps the original configuration. Received: seed=1"),
        (["reproduce=latest", "backbone=vgg16"], "Received: backbone=vgg16"),
    ],
)
def test_what_cannot_be_reproduced_is_refused(
    overrides: list[str], expected: str, finished_run: Path, tmp_path: Path
) -> None:
    with pytest.raises(HeadstartError, match=expected):
        reproduce(tmp_path, *overrides)


def test_an_unfinished_run_is_refused(finished_run: Path, tmp_path: Path) -> None:
    killed = edited(finished_run, tmp_path / "killed", lambda results: results.update(status="KILLED"))
    with pytest.raises(HeadstartError, match=r"Expected a finished run that evaluated a classifier.*which is KILLED"):
        reproduce(tmp_path / "again", f"reproduce={killed}")
    half = edited(finished_run, tmp_path / "half", lambda results: None)
    (half / "splits.csv").unlink()
    with pytest.raises(HeadstartError, match=r"without splits\.csv"):
        reproduce(tmp_path / "again", f"reproduce={half}")


def test_the_outcome_is_a_sentence() -> None:
    known = Reproduction(
        run_id="abcdef0123",
        verdict="agrees",
        figures=10,
        differing_figures=2,
        largest_difference=FigureChange(figure="splits.test.accuracy", then=0.75, now=0.7501),
        changed=("keras 3.1 then, 3.2 now",),
        then={},
    )
    within = describe_reproduction(known)
    assert within == (
        "Reproduced within 0.001: 2 of 10 figures differ from run abcdef01, most splits.test.accuracy: "
        "0.75 then, 0.7501 now."
    )
    assert describe_reproduction(dataclasses.replace(known, verdict="differs")).endswith("(keras 3.1 then, 3.2 now).")
