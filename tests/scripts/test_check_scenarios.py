"""The comparison of the four scenarios: on the same test images, over the seeds, with ties said."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

import check_scenarios
from headstart.config import CELLS
from headstart.results.figures import SplitResults
from headstart.results.file import write_results
from headstart.results.sections import Seconds
from headstart.results.types import RunResults

IMAGES = 200
RIGHT = {"small_similar": 180, "large_similar": 179, "small_different": 140, "large_different": 181}


def with_accuracy(accuracy: float) -> SplitResults:
    others = dict.fromkeys(("accuracy_low", "accuracy_high", "macro_f1", "balanced_accuracy"), accuracy)
    return SplitResults(images=IMAGES, accuracy=accuracy, log_loss=1.0, calibration_error=0.0, **others)


def write_run(directory: Path, right: int) -> Path:
    """Write what a run leaves behind that gets the first so many test images right."""
    directory.mkdir(parents=True)
    splits = {"test": with_accuracy(right / IMAGES), "validation": with_accuracy(0.5)}
    write_results(directory, RunResults(run_id=None, status="FINISHED", splits=splits, seconds=Seconds(total=12.0)))
    with (directory / "predictions.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["path", "split", "correct"])
        writer.writeheader()
        writer.writerow({"path": "other.jpg", "split": "validation", "correct": 0})
        for number in range(IMAGES):
            writer.writerow({"path": f"{number}.jpg", "split": "test", "correct": int(number < right)})
    return directory


@pytest.fixture
def found(tmp_path: Path) -> dict[str, Any]:
    runs = {cell: [write_run(tmp_path / cell / str(seed), RIGHT[cell] + seed) for seed in (0, 1)] for cell in CELLS}
    probe = {"split_point": "top", "depth": 1.0, "channels": 8, "accuracy": 0.9}
    scenario = {
        "cell": "small_similar",
        "images_per_class": {"median": 100.0},
        "measured_images": 200,
        "best": probe,
        "last": probe,
        "chance_of_gain": None,
        "imagenet": {"confidence": 0.7, "entropy": 0.1, "labels": [["tabby", 0.25]]},
    }
    return {"scenario": scenario, "seconds": 3.0, "runs": runs}


def test_the_best_comes_first_and_ties_are_called_so(found: dict[str, Any]) -> None:
    rows = check_scenarios.compare(found)
    assert [row["cell"] for row in rows] == ["large_different", "small_similar", "large_similar", "small_different"]
    assert [row["tie"] for row in rows] == [True, True, True, False]
    assert rows[0]["accuracy"] == pytest.approx(181.5 / IMAGES)
    assert (rows[0]["least"], rows[0]["most"]) == (181 / IMAGES, 182 / IMAGES)
    worst = rows[-1]
    assert 0.1 < worst["low"] < (181.5 - 140.5) / IMAGES < worst["high"] < 0.3


def test_the_page_says_where_the_data_lies_and_how_the_scenarios_did(found: dict[str, Any]) -> None:
    options = check_scenarios.parse(["pets", "--measure", "cars"])
    block = check_scenarios.block({"pets": found, "cars": {**found, "runs": {}}}, options)
    assert block.startswith("<!-- check")
    assert block.endswith("<!-- /check -->")
    assert "`python scripts/checks/check_scenarios.py pets --measure cars --write`" in block
    assert "**pets**: small_similar. 100 training images a class" in block
    assert "has a mean confidence of 70%, entropy 10%: tabby 25%" in block
    assert "| -> small_similar | 0.9025 | 0.900 to 0.905 |" in block
    assert block.count("| behind |") == 1


def test_existing_runs_are_not_trained_again(
    found: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = []

    def run(*words: object) -> None:
        commands.append(list(map(str, words)))
        if "--output" in commands[-1]:
            output = Path(commands[-1][-1])
            output.mkdir(parents=True)
            (output / "recommendation.json").write_text(json.dumps({"scenario": found["scenario"]}))

    monkeypatch.setattr(check_scenarios, "run", run)
    runs = tmp_path / "runs"
    for cell in CELLS[:3]:
        for seed in range(2):
            write_run(runs / "pets" / cell / str(seed), 100)
    write_run(runs / "pets" / CELLS[3] / "1", 100)
    options = check_scenarios.parse(["pets", "--seeds", "2", "--output", str(runs)])
    check_scenarios.check("pets", options, train=True)
    measured, trained = commands
    assert measured[0] == "recommend"
    assert trained == [
        "train",
        "-m",
        "dataset=pets",
        "image_size=128",
        "backbone=efficientnet_lite0",
        f"scenario={CELLS[3]}",
        "seed=0",
        f"hydra.sweep.dir={runs / 'pets' / CELLS[3]}",
        "hydra.sweep.subdir=${seed}",
    ]
