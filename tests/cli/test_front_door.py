"""The command `headstart`: help on one screen, answers to what is mistyped, completion, and what it does not import."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from forked import ForkServer

from headstart.cli.completion import SCRIPTS, complete
from headstart.cli.main import COMMANDS, help_text, main
from headstart.core.environment import command_line
from headstart.core.paths import outputs_directory, use_project_directories

ROOT = Path(__file__).parents[2]
MOVED = ("predict", "audit", "recommend", "preview", "prepare", "compare", "export", "demo", "cache", "sync")


def test_help_is_one_screen_with_five_examples_and_every_command() -> None:
    lines = help_text().splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert sum(line.startswith("  headstart ") for line in lines) == 5
    for command in COMMANDS:
        assert re.search(rf"^  {command} +\w", help_text(), re.MULTILINE)


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert capsys.readouterr().out == help_text()


def test_help_imports_nothing_large() -> None:
    """Times would depend on what else the machine does; what is imported does not."""
    script = (
        "import sys, headstart, headstart.cli.main; headstart.cli.main.main(['--help']); "
        "sys.stderr.write(' '.join({'numpy', 'tensorflow', 'keras', 'hydra', 'omegaconf', 'rich', 'mlflow'} "
        "& set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stderr == ""


def test_the_lazy_names_of_the_package_are_there() -> None:
    import headstart
    from headstart.classifier.saved import Classifier, load_classifier

    assert headstart.Classifier is Classifier
    assert headstart.load_classifier is load_classifier
    assert {"Classifier", "HeadstartError", "load_classifier"} <= set(dir(headstart))
    with pytest.raises(AttributeError, match="no attribute 'Classifer'"):
        headstart.Classifer  # noqa: B018


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["predcit"], "error: unknown command 'predcit'\ntip: did you mean headstart predict?\n"),
        (["trian"], "error: unknown command 'trian'\ntip: did you mean headstart train?\n"),
        (["--versoin"], "error: unknown command '--versoin'\ntip: did you mean headstart --version?\n"),
        (
            ["backbone=vgg16"],
            "error: Expected a command before backbone=vgg16\ntip: did you mean headstart train backbone=vgg16?\n",
        ),
        (
            ["-m", "seed=0,1"],
            "error: Expected a command before -m\ntip: did you mean headstart train -m seed=0,1?\n",
        ),
        (["help", "train"], "error: unknown command 'help'\ntip: did you mean headstart train --help?\n"),
        (
            ["tests"],
            "error: unknown command 'tests'\ntip: did you mean headstart train dataset=folder dataset.root=tests?\n",
        ),
        (["--epochs", "3"], "error: unknown command '--epochs'\ntip: did you mean headstart train epochs=3?\n"),
        (["zzz"], "error: unknown command 'zzz'\ntip: headstart --help lists the commands\n"),
    ],
)
def test_a_mistyped_command_gets_a_suggestion(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert main(words) == 2
    assert capsys.readouterr() == ("", says)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["predict", "latest", "photo.jpg", "--formta", "csv"], "tip: did you mean --format?"),
        (["predict", "latest", "photo.jpg", "--format", "jsn"], "tip: did you mean json?"),
        (["predict"], "tip: for example headstart predict latest photo.jpg folder/; headstart predict --help"),
        (["predict", "--model", "latest", "photo.jpg"], "error: unknown flag '--model'\ntip: headstart predict --help"),
        (["cache", "lst"], "tip: did you mean list?"),
        (["cache", "prune", "--max-bg", "3"], "--max-gb"),
        (["ui", "--no-browsr"], "tip: did you mean --no-browser?"),
        (["ui", "--port", "abc"], "error: Expected --port to be a whole number. Received: abc\n"),
        (["export", "latest"], "tip: for example headstart export latest --format onnx;"),
    ],
)
def test_a_mistyped_flag_gets_a_suggestion(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert re.fullmatch(r"error: .+\ntip: .+\n", said)
    assert says in said


def test_a_mistyped_flag_of_train_gets_a_suggestion(fork_server: ForkServer) -> None:
    answer = fork_server.run(["-m", "headstart", "train", "--multirn"])
    assert answer.returncode == 1  # as python run.py always has
    assert (answer.stdout, answer.stderr) == ("", "error: unknown flag '--multirn'\ntip: did you mean --multirun?\n")


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - {"train"}))
def test_each_command_has_its_own_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert not end.value.code
    said = capsys.readouterr().out
    assert said.startswith(f"Usage: headstart {command}")
    assert "\nOptions:\n" in said


def test_train_help_is_that_of_run_py(fork_server: ForkServer) -> None:
    commands = (["-m", "headstart", "train", "--help"], ["run.py", "--help"])
    texts = [fork_server.run(command, cwd=ROOT).stdout for command in commands]
    assert texts[0] == texts[1]
    assert "headstart train" in texts[0]


def test_a_command_line_can_be_typed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["headstart train", "dataset.root=my photos", "seed=1"])
    assert command_line() == "headstart train 'dataset.root=my photos' seed=1"
    monkeypatch.setattr(sys, "argv", ["run.py", "seed=1"])
    assert command_line() == "python run.py seed=1"


def test_outputs_are_below_the_working_directory_unless_the_environment_or_the_project_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HEADSTART_OUTPUTS")
    monkeypatch.delenv("HEADSTART_DATA", raising=False)
    assert outputs_directory() == tmp_path / "outputs"
    monkeypatch.setenv("HEADSTART_DATA", "mine")
    monkeypatch.setenv("HEADSTART_OUTPUTS", "kept")
    use_project_directories(ROOT)
    assert outputs_directory() == tmp_path / "kept"
    assert os.environ["HEADSTART_DATA"] == "mine"
    monkeypatch.delenv("HEADSTART_OUTPUTS")
    use_project_directories(ROOT)
    assert outputs_directory() == ROOT / "outputs"


@pytest.mark.parametrize("script", sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("scripts/**/*.py")))
def test_no_program_changes_the_environment_when_it_is_imported(script: str) -> None:
    body = (ROOT / script).read_text(encoding="utf-8")
    assert not re.findall(r"^(?:os\.environ|os\.putenv|use_project_directories).*", body, re.MULTILINE)
    assert re.search(r'^if __name__ == "__main__":', body, re.MULTILINE) or "def main" not in body


@pytest.mark.parametrize("command", MOVED)
def test_moved_programs_say_what_they_are_called_now(command: str, tmp_path: Path, fork_server: ForkServer) -> None:
    answer = fork_server.run([ROOT / "scripts" / f"{command}.py", "--help"], cwd=tmp_path)
    assert answer.returncode == 0
    assert answer.stderr.startswith(f"python scripts/{command}.py is now: headstart {command} ")
    assert answer.stderr.count("\n") == 1
    assert f"Usage: headstart {command}" in answer.stdout


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("headstart pre", ["predict ", "preview ", "prepare "]),
        ("headstart predict latest --fo", ["--format ", "--follow-links "]),
        ("headstart predict latest --format ", ["table ", "csv ", "json "]),
        ("headstart predict ", None),
        ("headstart cache prune --o", ["--older-than "]),
        ("headstart cache v", ["verify "]),
        ("headstart train backbone=vgg", ["backbone=vgg16 ", "backbone=vgg19 "]),
        ("headstart train backbone=vgg16 optimizer.learning", ["optimizer.learning_rate="]),
        ("headstart train --mul", ["--multirun "]),
        ("headstart nothing ", []),
    ],
)
def test_words_are_completed(line: str, words: list[str] | None) -> None:
    found = complete(line)
    if words is None:
        assert "--explain " in found
    else:
        assert sorted(found) == sorted(words)


@pytest.mark.parametrize("shell", SCRIPTS)
def test_every_shell_understands_its_script(shell: str) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    subprocess.run([program, "-n", "-c", SCRIPTS[shell]], check=True)


def test_bash_completes_a_group_behind_its_equals_sign(tmp_path: Path) -> None:
    """In bash itself, which splits words at = and wants the part behind it alone."""
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    program = tmp_path / "headstart"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m headstart "$@"\n')
    program.chmod(0o755)
    script = f"""
    {SCRIPTS["bash"]}
    for line in "headstart pred" "headstart train freeze=last_b" "headstart export latest --format o"; do
        COMP_LINE="$line" COMP_POINT=${{#line}} COMPREPLY=()
        _headstart
        printf '%s|' "${{COMPREPLY[@]}}"
        echo
    done
    complete -p headstart
    """
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    answer = subprocess.run(
        ["bash", "--norc", "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert answer.stdout.splitlines()[:3] == ["predict |", "last_block |", "onnx |openvino |"]
    assert "-F _headstart headstart" in answer.stdout
