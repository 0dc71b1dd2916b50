"""What a run prints."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from conftest import TINY

from headstart.config import compose
from headstart.core.console import console, print_next, short_path
from headstart.results.figures import ConfusedPair
from headstart.results.file import read_results
from headstart.run.experiment import run
from headstart.run.result_display import next_commands, print_end

LINES = 45  # of a run with the nine epochs of the default schedule
DEFAULT_EPOCHS = 9


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "width", 100)


def printed_by(overrides: list[str], output: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a configuration and return what it printed."""
    output.mkdir(parents=True)
    run(compose(overrides), output, overrides=overrides)
    return capsys.readouterr().out


def test_a_run_tells_one_story(folder: Path, tmp_path: Path, wide: None, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*TINY, f"dataset.root={folder}", "freeze=last_block", "epochs=2"]
    lines = printed_by(words, tmp_path / "run", capsys).splitlines()
    assert len(lines) - 4 + DEFAULT_EPOCHS < LINES
    assert [line.split()[0] for line in lines[:6]] == [
        "last_block",
        "data",
        "model",
        "schedule",
        "hardware",
        "directory",
    ]
    assert "30 images of 3 classes: 18 train (6 a class), 6 validation, 6 test" in lines[1]
    assert "head (2 epochs), then last_block (2 epochs)" in lines[3]
    assert [line.split("  ")[0] for line in lines if line.startswith("Stage")] == [
        "Stage 1 of 2: head",
        "Stage 2 of 2: last_block",
    ]
    assert [line.split()[0] for line in lines if "/4 " in line] == ["1/4", "2/4", "3/4", "4/4"]
    [result] = [line for line in lines if line.startswith("Test accuracy")]
    assert "on 6 images" in result
    assert "Next" in lines
    [recommend] = [line for line in lines if line.strip().startswith("headstart recommend dataset=folder")]
    assert f"dataset.root={folder}" in recommend
    assert "\x1b" not in "".join(lines)  # no escape codes where nobody looks at a terminal


def test_verbose_prints_the_configuration_the_classes_and_the_blocks(
    folder: Path, tmp_path: Path, wide: None, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*TINY, f"dataset.root={folder}", "freeze=all", "epochs=1", "verbose=true"]
    text = printed_by(words, tmp_path / "run", capsys)
    assert "label_smoothing: 0.0" in text
    assert any(line.split() == ["green", "6", "2", "2"] for line in text.splitlines())
    assert any(line.split()[:1] == ["head"] for line in text.splitlines())


def test_quiet_prints_the_result_alone(
    folder: Path, tmp_path: Path, wide: None, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*TINY, f"dataset.root={folder}", "freeze=all", "epochs=1", "quiet=true"]
    lines = printed_by(words, tmp_path / "run", capsys).strip().splitlines()
    assert lines[0].startswith("Test accuracy")
    assert lines[-1].split()[0] == "test"
    assert not console.quiet


def test_the_next_commands_of_a_run(finished_run: Path) -> None:
    results = read_results(finished_run)
    assert results is not None
    commands = list(next_commands(results))
    assert commands[0] == "headstart predict latest IMAGE_OR_FOLDER"
    assert any(command.startswith("headstart recommend dataset=folder") for command in commands)
    elsewhere = dataclasses.replace(results, output="/elsewhere/my run")
    assert next(iter(next_commands(elsewhere))) == "headstart predict '/elsewhere/my run' IMAGE_OR_FOLDER"


def test_the_result_names_the_most_confused_classes(
    finished_run: Path, wide: None, capsys: pytest.CaptureFixture[str]
) -> None:
    results = read_results(finished_run)
    assert results is not None
    assert results.splits is not None
    pair = ("[red]", "green", 1)
    test = dataclasses.replace(results.splits["test"], most_confused=(ConfusedPair(*pair),))
    print_end(dataclasses.replace(results, splits={**results.splits, "test": test}), quiet=True)
    assert "Most confused: [red] taken for green (1 image)" in capsys.readouterr().out


def test_long_commands_keep_their_own_line(wide: None, capsys: pytest.CaptureFixture[str]) -> None:
    print_next({"headstart ui": "see"})
    assert capsys.readouterr().out == "\nNext\n  headstart ui   see\n"
    print_next({"headstart " + "x" * 100: "see"})
    assert capsys.readouterr().out == f"\nNext\n  see:\n    headstart {'x' * 100}\n"


def test_paths_below_the_working_directory_are_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert short_path(tmp_path / "outputs" / "a b") == "'outputs/a b'"
    assert short_path("/elsewhere") == "/elsewhere"
