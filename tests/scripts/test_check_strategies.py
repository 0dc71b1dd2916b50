"""The table of strategies: spread over seeds, the paired test of the runs of a seed, regret, and the frontier."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

import check_strategies
from headstart.results.figures import SplitResults
from headstart.results.file import write_results
from headstart.results.sections import Seconds
from headstart.results.types import RunResults
from measured_runs import seed_directory, summarise
from paired_runs import describe_pairs, pair_runs
from strategies_figure import frontier_figure

IMAGES = 100
RIGHT = {"last layer": (80, 82), "multi_depth": (95, 95), "last_two_blocks": (94, 96), "last_block": (90,)}
SECONDS = {"last layer": 20.0, "multi_depth": 25.0, "last_two_blocks": 90.0, "last_block": 50.0}


def write_run(directory: Path, right: int, seconds: float, images: str = "") -> Path:
    """Write what a run leaves behind that gets the first so many test images right."""
    directory.mkdir(parents=True)
    others = dict.fromkeys(("accuracy_low", "accuracy_high", "macro_f1", "balanced_accuracy"), right / IMAGES)
    figures = SplitResults(images=IMAGES, accuracy=right / IMAGES, log_loss=1.0, calibration_error=0.0, **others)
    results = RunResults(
        run_id=None,
        status="FINISHED",
        splits={"test": figures, "validation": figures},
        seconds=Seconds(total=seconds, training=seconds / 2),
    )
    write_results(directory, results)
    with (directory / "predictions.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "split", "label", "predicted", "correct", "confidence"])
        for number in range(IMAGES):
            writer.writerow([f"{images}{number:03}.jpg", "test", "a", "a", int(number < right), 0.5])
    return directory


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of which runs of every strategy have finished, and a recommendation that no column shows."""
    monkeypatch.setenv("HEADSTART_OUTPUTS", str(tmp_path))
    for name, rights in RIGHT.items():
        for seed, right in enumerate(rights):
            write_run(seed_directory("check_strategies", f"birds_{name}", seed), right, SECONDS[name], f"{seed}_")
    output = tmp_path / "check_strategies" / "birds_recommended"
    output.mkdir()
    (output / "recommendation.json").write_text(json.dumps({"strategies": {"strategy": "last_block"}}))
    return tmp_path / "birds"


def test_the_table_says_spread_runs_seconds_and_regret(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check_strategies.main([str(folder), "--finished"]) == 0
    lines = capsys.readouterr().out.splitlines()
    accuracies, mean, paired = lines[2], lines[3], lines[-1]
    assert "| 81.0 ± 1.4 % (2 runs, 20 s) | 95.0 ± 0.0 % (2 runs, 25 s) | 95.0 ± 1.4 % (2 runs, 90 s) |" in accuracies
    assert accuracies.endswith("| not measured | last block: 90.0 % (1 run, 50 s) | 5.0 |")
    assert mean.endswith("| 5.00 |")
    assert paired.endswith("| +14.0 (better 2, worse 0 of 2) | last two blocks | +0.0 (better 0, worse 0 of 2) |")


def test_nothing_is_trained_that_has_finished(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = []

    def train(*words: str, environment: dict[str, str], **_: object) -> None:
        output = Path(words[-1].partition("=")[2])
        commands.append((output.name, "HEADSTART_CACHE" in environment))
        write_run(output, 90, 10.0, f"{output.name[-1]}_")

    monkeypatch.setattr("measured_runs.run_headstart", train)
    assert check_strategies.main([str(folder)]) == 0
    assert commands == [
        *[("birds_last_layer_2", False), ("birds_multi_depth_2", False), ("birds_last_two_blocks_2", False)],
        *[("birds_none_0", True), ("birds_none_1", False), ("birds_none_2", False)],
    ]


def test_only_runs_of_one_seed_are_paired(tmp_path: Path) -> None:
    first = [write_run(tmp_path / f"first_{seed}", 80, 1.0) for seed in (0, 1)]
    second = [write_run(tmp_path / f"second_{seed}", 88, 1.0) for seed in (1, 2)]
    pairs = pair_runs(first, second)
    assert [one.difference for one in pairs] == [pytest.approx(0.08)]
    assert pairs[0].p_value == pytest.approx(2 * 0.5**8)
    assert describe_pairs(pairs) == "+8.0 (p = 0.0078)"
    others = [write_run(tmp_path / "others_0", 80, 1.0, images="other")]
    with pytest.raises(ValueError, match="same images"):
        pair_runs(first, others)


def test_the_figure_has_a_panel_for_each_data_set_and_its_frontier(tmp_path: Path) -> None:
    found = {
        name: summarise(
            [write_run(tmp_path / f"{name}_{seed}", right, SECONDS[name]) for seed, right in enumerate(all_)]
        )
        for name, all_ in RIGHT.items()
    }
    names = {name: check_strategies.for_people(name) for name in RIGHT}
    figure = frontier_figure({"birds": found, "signs": found}, names)
    drawn = [axes for axes in figure.axes if axes.axison]
    assert [axes.get_title() for axes in drawn] == ["birds", "signs"]
    frontier = next(line for line in drawn[0].lines if line.get_drawstyle() == "steps-post")
    assert list(frontier.get_xdata()) == [20.0, 25.0]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["last layer", "every depth", "last two blocks", "last block", "nothing is faster and better"]
