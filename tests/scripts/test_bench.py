"""The benchmarks: both sides run, the table and the JSON say the same, the named commands are those that ran."""

from __future__ import annotations

import contextlib
import csv
import json
import sys
import time
import types
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import bench
import disk_use
import fixed_cost
import parts
import setting_values
import sweep_jobs
import whole_commands
from bench_reports import read_report
from headstart.core.errors import HeadstartError
from headstart.core.markdown_page import replace_block
from headstart.results.file import load_results
from headstart.results.sections import Seconds
from headstart.results.types import RunResults
from jpegs import COLOURS, write_jpegs
from timed_run import Finished, project_command, run, run_alone, scaled

TINY = ("--backbone", "small_cnn", "--weights", "none", "--image-size", "32", "--repetitions", "1")
TINY_BLOCKS = ("--backbones", "small_cnn", *TINY[2:])


@pytest.fixture
def started(finished_run: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Answer every command with a run that is there already, and return the list of the commands."""
    lines: list[list[str]] = []
    results = load_results(finished_run / "results.json")
    seconds = results.seconds
    assert seconds is not None
    first_step = (seconds.start_up or 0.0) + (seconds.data or 0.0) + 2
    results = replace(results, seconds=replace(seconds, first_step=first_step))
    with (finished_run / "history.csv").open(newline="") as file:
        epochs = list(csv.DictReader(file))

    def answer(overrides: list[str], *places: Path) -> Finished:
        lines.append(overrides)
        command = project_command(" ".join(["python run.py", *overrides]), places[1] if len(places) > 1 else None)
        return Finished(command, 100.0, 1_000_000, 50.0, results, epochs)

    monkeypatch.setattr(whole_commands, "run", answer)
    monkeypatch.setattr(whole_commands, "run_alone", answer)
    monkeypatch.setattr(setting_values, "run_alone", answer)
    monkeypatch.setattr(whole_commands, "seconds_of", lambda command: 4.0)
    return lines


def measure(tmp_path: Path, *arguments: str) -> dict[str, Any]:
    """Run a benchmark that must succeed, and return its JSON."""
    file = tmp_path / "report.json"
    assert bench.main([*arguments, "--directory", str(tmp_path / "bench"), "--json", str(file)]) == 0
    report = json.loads(file.read_text())
    assert report["name"] == arguments[0]
    assert report["command"] == "python scripts/bench/bench.py " + " ".join(arguments)
    assert set(report["hardware"]) == {"cores", "processor", "python", "tensorflow"}
    assert all(value > 0 for values in report["measured"].values() for value in values)
    assert all(row["ratio"] == "" or row["ratio"] > 0 for row in report["rows"] if "ratio" in row)
    assert str(tmp_path) not in file.read_text()
    return report


@pytest.mark.slow
def test_frozen_runs_the_same_command_cached_and_not(started: list[list[str]], tmp_path: Path) -> None:
    arguments = ("frozen", *TINY, "--images", "8", "--epochs", "4", "--inference-backend", "tensorflow")
    report = measure(tmp_path, *arguments)
    off, auto, again = started
    assert again == auto  # the next job
    assert set(off) - set(auto) == {"cache=off", "epochs=3"}
    assert set(auto) - set(off) == {"cache=auto", "epochs=4", "inference_backend=tensorflow"}
    assert report["commands"] == [
        " ".join(["python run.py", *line]).replace(str(tmp_path / "bench" / "jpegs_8_500x400_0"), "JPEGS")
        for line in (off, auto)
    ]
    whole = report["rows"][0]
    assert whole["ratio"] == whole["cache=off"] / whole["cache=auto"]
    assert "the other 1 are counted at the median" in report["notes"][1]
    (waiting,) = (row for row in report["rows"] if row[""].endswith("waiting"))
    assert waiting["cache=off"].endswith("%")


def test_what_is_scaled_keeps_the_first_epoch() -> None:
    assert scaled(10.0, [5.0, 1.0, 2.0, 1.0], 4) == 10.0
    assert scaled(10.0, [5.0, 1.0, 3.0], 10) == 10.0 - 4.0 + 9 * 2.0


def test_last_block_measures_its_stage(started: list[list[str]], tmp_path: Path) -> None:
    report = measure(tmp_path, "last_block", *TINY_BLOCKS, "--images", "8", "--epochs", "5")
    off, auto = started
    assert set(off) - set(auto) == {"cache=off", "freeze.stages.1.epochs=3"}
    assert set(auto) - set(off) == {"cache=auto", "freeze.stages.1.epochs=5"}
    assert [row[""] for row in report["rows"]] == ["stage: last_block", "whole command"]


@pytest.fixture
def cached(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Answer every command of the fixed cost with the same durations, and return the list of the commands."""
    lines: list[list[str]] = []
    results = RunResults(run_id=None, seconds=Seconds(total=10.0, start_up=3.0, data=1.0, training=4.0, saving=2.0))

    def answer(overrides: list[str], *places: Path, root: Path) -> Finished:
        lines.append(overrides)
        return Finished("python run.py", 12.0, 1_000_000, 9.0, results, [])

    monkeypatch.setattr(fixed_cost, "run", answer)
    return lines


def test_fixed_cost_lists_the_phases_of_a_cached_command(cached: list[list[str]], tmp_path: Path) -> None:
    report = measure(tmp_path, "fixed_cost", *TINY, "--images", "8", "--epochs", "5")
    filling, measured = cached
    assert filling == measured
    assert {"cache=auto", "epochs=5"} < set(measured)
    seconds = {row[""]: row["now"] for row in report["rows"]}
    assert [*seconds] == [*fixed_cost.PHASES, fixed_cost.OUTSIDE, fixed_cost.WHOLE, fixed_cost.PROCESSOR]
    assert [*seconds.values()] == [3.0, 1.0, 0.0, 4.0, 2.0, 0.0, 0.0, 2.0, 12.0, 9.0]


def test_fixed_cost_runs_an_earlier_revision_in_turn(
    cached: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fixed_cost, "worktree", lambda revision, directory: contextlib.nullcontext(tmp_path / revision))
    report = measure(tmp_path, "fixed_cost", *TINY, "--images", "8", "--epochs", "5", "--against", "earlier")
    assert len(cached) == 4
    assert all(row["ratio"] == 1 for row in report["rows"])  # the same durations answer both
    assert {"earlier", "now"} < set(report["rows"][0])


def test_fixed_cost_refuses_what_is_no_revision(tmp_path: Path) -> None:
    with pytest.raises(HeadstartError, match="Expected --against to be a revision of this clone"):
        fixed_cost.worktree("no_such_revision", tmp_path).__enter__()


def test_memory_compares_few_images_with_many(started: list[list[str]], tmp_path: Path) -> None:
    report = measure(tmp_path, "memory", *TINY, "--few", "4", "--many", "8")
    assert [row["images"] for row in report["rows"]] == [4, 8]
    assert [row["peak memory"] for row in report["rows"]] == [1, 1]
    assert ["jpegs_4_32x32_0" in " ".join(line) for line in started] == [True, False]
    assert "+0 MB against 4" in report["notes"][0]


def test_disk_counts_files_that_are_deleted_before_the_end(
    started: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(overrides: list[str], work: Path, pictures: Path, temporary: Path) -> Finished:
        sizes = {work / "outputs" / "runs": 300_000, temporary: 200_000, work / "cache": 5_000_000}
        for place, size in sizes.items():
            place.mkdir(parents=True, exist_ok=True)
            (place / "file").write_bytes(bytes(size))
        time.sleep(0.3)
        for place in sizes:
            (place / "file").unlink()
        return whole_commands.run(overrides, work, pictures)

    monkeypatch.setattr(disk_use, "run", answer)
    report = measure(tmp_path, "disk", "--images", "8", "--epochs", "3", "--repetitions", "1")
    assert [" ".join(line).partition(" freeze=")[2] for line in started] == [
        f"{freeze} epochs=3 optimizer=adam checkpoint_seconds=0 backbone={backbone} backbone.weights={weights} "
        f"image_size={size}"
        for backbone, freeze, size, weights in (
            ("small_cnn", "last_block", 32, "none"),
            ("efficientnet_lite0", "none", 64, "packaged"),
            ("resnet50", "none", 64, "none"),
        )
    ]
    for row in report["rows"]:
        assert 0.5 <= row["peak use"] < 0.6  # in whole blocks, without the cache
        assert row["ratio"] == row["estimate"] / row["peak use"]


def test_a_hard_linked_file_counts_once_and_a_vanished_one_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(bytes(100_000))
    once = disk_use.bytes_below(tmp_path)
    assert once >= 100_000
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    assert disk_use.bytes_below(tmp_path, tmp_path / "missing") == once
    monkeypatch.setattr(disk_use.os, "walk", lambda directory: [(str(tmp_path), [], ["a", "vanished"])])
    assert disk_use.bytes_below(tmp_path) == once


@pytest.mark.parametrize("told", [True, False])
def test_startup_names_every_command(
    started: list[list[str]], tmp_path: Path, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not told:  # by a version of headstart that does not
        answer = whole_commands.run

        def without_first_step(*arguments: Any) -> Finished:
            found = answer(*arguments)
            assert found.results.seconds is not None
            seconds = replace(found.results.seconds, first_step=None)
            return replace(found, results=replace(found.results, seconds=seconds))

        monkeypatch.setattr(whole_commands, "run", without_first_step)
    report = measure(tmp_path, "startup", *TINY, "--images", "8")
    assert [line[0] for line in started[:2]] == ["--help", "--cfg"]
    assert started[2] == started[3]  # the second time from the cache
    assert report["commands"][:2] == ["python run.py --help", "python run.py --cfg job"]
    assert [row["ratio"] for row in report["rows"][:2]] == [4 / 100, 4 / 100]
    assert report["rows"][2]["median"] == (pytest.approx(2) if told else "not reported")
    assert report["rows"][2]["ratio"] == (pytest.approx(1) if told else "")


def test_settings_are_run_in_turn_with_every_seed(started: list[list[str]], tmp_path: Path) -> None:
    report = measure(
        tmp_path, "settings", "--run", "experiment=quick", "--vary", "cache.dtype=float32,float16", "--seeds", "3,4"
    )
    assert started == [
        ["experiment=quick", f"cache.dtype={value}", f"seed={seed}"]
        for seed in (3, 4)
        for value in ("float32", "float16")
    ]
    assert [row["cache.dtype"] for row in report["rows"]] == ["float32", "float16"]
    assert all(row["ratio"] == 1 and "±" in row["test accuracy"] for row in report["rows"])


def test_a_setting_without_values_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["settings", "--run", "", "--vary", "seed", "--directory", str(tmp_path)]) == 1
    assert "KEY=VALUE,VALUE" in capsys.readouterr().err


@pytest.mark.slow
def test_pipeline_measures_input_and_training(tmp_path: Path) -> None:
    report = measure(tmp_path, "pipeline", *TINY, "--images", "60")
    assert len(report["rows"]) == 3
    assert len(report["measured"]) == 2 + 2 * 3  # both inputs alone; training on them and on one batch in memory
    alone = report["rows"][0]
    assert alone["ratio"] == pytest.approx(alone["decoded before"] / alone["decoding JPEGs"])


def test_both_inputs_of_the_pipeline_have_the_same_pixels(tmp_path: Path) -> None:
    config = parts.compose(
        ["dataset=folder", f"dataset.root={write_jpegs(tmp_path, 20, 40, 30)}", "backbone=small_cnn"]
    )
    index, _ = parts.check_images(parts.load_index(config.dataset, tmp_path), "fail", tmp_path)
    both = parts.training_inputs(index, 16, config, tmp_path).values()
    first, second = (next(iter(dataset))[0].numpy() for dataset in both)
    np.testing.assert_array_equal(first, second)


def test_both_inference_backends_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("headstart.inference.backend")

    class InferenceModel:
        def __init__(self, model: Any, backend: str) -> None:
            self.model, self.backend = model, backend

        def __call__(self, images: np.ndarray) -> Any:
            return self.model(images, training=False)

    module.forward = InferenceModel  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    report = measure(tmp_path, "inference_backend", *TINY, "--batch-size", "2", "--batches", "2")
    assert set(report["measured"]) == {"TensorFlow", "OpenVINO"}
    assert "differ by up to 0 of the largest one" in report["notes"][0]


def test_a_missing_inference_backend_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "headstart.inference.backend", None)
    assert bench.main(["inference_backend", *TINY, "--directory", str(tmp_path)]) == 1
    assert "Expected headstart.inference.backend" in capsys.readouterr().err


def test_a_command_is_measured_and_named(tmp_path: Path) -> None:
    finished = run(["--cfg", "job", f"dataset.root={tmp_path}"], tmp_path, tmp_path)
    assert finished.command == "python run.py --cfg job dataset.root=JPEGS"
    assert finished.seconds > 0
    assert finished.peak_bytes > 1_000_000
    assert finished.results == RunResults(run_id=None)


def test_a_command_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(HeadstartError, match=r"backbone=vgg61` to succeed.*exit code 1.*did you mean backbone=vgg16"):
        run_alone(["backbone=vgg61"], tmp_path, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_too_few_epochs_are_refused_before_anything_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for epochs in ("2", "51"):
        assert bench.main(["frozen", "--uncached-epochs", epochs, "--directory", str(tmp_path)]) == 1
        assert f"Received: {epochs}" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_table_replaces_its_block_of_the_page_alone(
    started: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "performance.md"
    page.write_text("Before.\n<!-- bench: frozen -->\n<!-- /bench: frozen -->\n<!-- bench: x -->\n<!-- /bench: x -->\n")
    monkeypatch.setattr(bench, "PAGE", page)
    measure(tmp_path, "frozen", *TINY, "--images", "8")
    for _ in range(2):  # the second time over its own text
        assert bench.main(["docs", str(tmp_path / "report.json")]) == 0
    text = page.read_text()
    assert text.startswith("Before.\n<!-- bench: frozen -->\n|  | cache=off | cache=auto | ratio |\n| --- | ---: |")
    assert text.endswith("<!-- /bench: frozen -->\n<!-- bench: x -->\n<!-- /bench: x -->\n")
    assert "\npython scripts/bench/bench.py frozen --backbone small_cnn" in text
    assert text.count("# runs python run.py dataset=folder dataset.root=JPEGS") == 2
    assert read_report(tmp_path / "report.json").markdown() in text


def test_a_page_without_the_block_and_a_file_of_something_else_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(HeadstartError, match="Expected <!-- demo --> and <!-- /demo -->"):
        replace_block(tmp_path / "missing.md", "demo", "")
    (tmp_path / "other.json").write_text("[]")
    assert bench.main(["docs", str(tmp_path / "other.json")]) == 1
    assert "Expected what `python scripts/bench/bench.py" in capsys.readouterr().err.replace("\n", " ")


def test_the_classes_of_jpegs_differ_in_colour_and_are_drawn_once(tmp_path: Path) -> None:
    first, second = (write_jpegs(tmp_path / name, 8, 100, 80, seed=1) for name in ("a", "b"))
    files = sorted(first.rglob("*.jpg"))
    assert len(files) == 8
    assert [file.read_bytes() for file in files] == [file.read_bytes() for file in sorted(second.rglob("*.jpg"))]
    for file in files:
        with Image.open(file) as picture:
            assert 80 <= picture.width <= 120
            assert 64 <= picture.height <= 96
            mean = np.asarray(picture).mean(axis=(0, 1))
        nearest = min(COLOURS, key=lambda name: np.abs(mean - COLOURS[name]).sum())
        assert nearest == file.parent.name
    times = [file.stat().st_mtime_ns for file in files]
    assert write_jpegs(tmp_path / "a", 8, 100, 80, seed=1) == first
    assert [file.stat().st_mtime_ns for file in files] == times


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ("frozen", *TINY, "--images", "30", "--epochs", "4"),
        ("last_block", *TINY_BLOCKS, "--images", "30", "--epochs", "4"),
        ("memory", *TINY, "--few", "20", "--many", "40"),
        ("disk", *TINY_BLOCKS, "--images", "30"),
        ("startup", *TINY, "--images", "30"),
        ("fixed_cost", *TINY, "--images", "30", "--epochs", "4"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_whole_commands(arguments: tuple[str, ...], tmp_path: Path) -> None:
    report = measure(tmp_path, *arguments)
    assert all(command.startswith("python run.py ") for command in report["commands"])
    assert [file.name for file in (tmp_path / "bench").iterdir() if not file.name.startswith("jpegs_")] == []


def test_jobs_of_a_sweep_against_commands(
    tmp_path: Path, started: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_jobs, "run", whole_commands.run)
    report = measure(tmp_path, "jobs", "--jobs", "4", "--repetitions", "1")
    alone, together = report["rows"]
    assert (alone["a job"], together["a job"]) == (100.0, 25.0)  # four commands, one command; each took 100 s
    assert together["ratio"] == 4.0
    assert ["-m", "freeze=all", "epochs=3", "seed=0,1,2,3"] in started
    assert [line for line in started if line[-1] == "seed=3"] == [["freeze=all", "epochs=3", "seed=3"]]
