"""What people get wrong, through the real command line: one sentence, exit code 1, no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import TINY, write_pictures
from forked import Answer, ForkServer

from headstart.config import compose
from headstart.core.errors import HeadstartError
from headstart.core.paths import conf_directory
from headstart.run.experiment import run

RUN = conf_directory().parent / "run.py"


class Mistake:
    """A command line that cannot work, and what the answer has to say."""

    def __init__(self, *overrides: str, says: str, needs_tensorflow: bool = False) -> None:
        self.overrides, self.says, self.needs_tensorflow = overrides, says, needs_tensorflow


def one_class(place: Path) -> None:
    write_pictures(place, {"cat": 4})


def two_classes(place: Path) -> None:
    write_pictures(place, {"cat": 6, "dog": 6})


def three_classes(place: Path) -> None:
    write_pictures(place, {"cat": 6, "dog": 6, "owl": 6})


def class_absent_from_validation(place: Path) -> None:
    write_pictures(place / "train", {"cat": 4, "dog": 4})
    write_pictures(place / "valid", {"cat": 4})


def all_corrupt(place: Path) -> None:
    two_classes(place)
    for file in place.glob("*/*.png"):
        file.write_bytes(file.read_bytes()[:40])


def one_corrupt(place: Path) -> None:
    two_classes(place)
    (place / "dog" / "003.png").write_text("no picture")


def weights_of_something_else(place: Path) -> None:
    import h5py

    two_classes(place)
    with h5py.File(place / "other.weights.h5", "w") as file:
        file["layers/dense/vars/0"] = np.zeros((3, 3), np.float32)


# What is on disk, then the overrides after the tiny ones; {place} is the directory of pictures.
MISTAKES: dict[str, tuple[Callable[[Path], None], Mistake]] = {
    "missing root": (two_classes, Mistake("dataset.root={place}/nowhere", says="nowhere (does not exist)")),
    "no root": (two_classes, Mistake("dataset.root=null", says="Expected dataset.root to be")),
    "root is a file": (one_corrupt, Mistake("dataset.root={place}/dog/003.png", says="003.png (is a file)")),
    "empty folder": (Path.mkdir, Mistake(says="Received: no images")),
    "one class": (one_class, Mistake(says="Expected at least two classes")),
    "class absent from validation": (class_absent_from_validation, Mistake(says="none of dog")),
    "all images corrupt": (all_corrupt, Mistake(says="12 of 12 that are not")),
    "all images corrupt, skipped": (all_corrupt, Mistake("dataset.bad_images=skip", says="12 of 12 that are not")),
    "one image corrupt": (one_corrupt, Mistake(says="dog/003.png")),
    "no epochs": (two_classes, Mistake("epochs=-1", says="Expected epochs to be at least 1. Received: -1")),
    "no batch": (two_classes, Mistake("batch_size=0", says="Expected batch_size to be at least 1. Received: 0")),
    "misspelt key": (two_classes, Mistake("optimizer.learning_rat=1", says="did you mean optimizer.learning_rate=1?")),
    "misspelt option": (two_classes, Mistake("freeze=last_blok", says="did you mean freeze=last_block?")),
    "misspelt backbone": (two_classes, Mistake("backbone.name=vgg61", says="vgg16")),
    "no server": (
        two_classes,
        Mistake("tracking=server", "tracking.uri=null", says="Expected tracking.uri to be the address"),
    ),
    "output below a file": (one_corrupt, Mistake("hydra.run.dir={place}/dog/003.png/run", says="dog/003.png")),
    "unknown block": (
        two_classes,
        Mistake(
            "freeze.stages=[{{name: a, train: {{from: nowhere}}, epochs: 1}}]",
            says="the blocks of small_cnn are block1, block2, block3",
            needs_tensorflow=True,
        ),
    ),
    "pictures too small": (
        two_classes,
        Mistake("backbone=inceptionv3", "image_size=16", says="at least 75 for inceptionv3", needs_tensorflow=True),
    ),
    "pictures for a head to learn from": (
        two_classes,
        Mistake("dataset=unlabelled", "dataset.root={place}", says="Expected head=imagenet for images without"),
    ),
    "labels for a head that learns nothing": (
        two_classes,
        Mistake("head=imagenet", "backbone=efficientnet_lite0", says="Expected dataset=unlabelled for head.output"),
    ),
    "no layers of its own": (two_classes, Mistake("head=include_top", says="Received: small_cnn")),
    "own layers of another size": (
        two_classes,
        Mistake("head=include_top", "backbone=vgg16", says="image_size=224 for head.pooling=include_top of vgg16"),
    ),
    "missing weights": (
        two_classes,
        Mistake("backbone.weights={place}/nothing.h5", says="nothing.h5"),
    ),
    "weights of something else": (
        weights_of_something_else,
        Mistake("backbone.weights={place}/other.weights.h5", says="other.weights.h5", needs_tensorflow=True),
    ),
    "one sigmoid for three": (
        three_classes,
        Mistake("head.output=sigmoid", says="use head.output=softmax", needs_tensorflow=True),
    ),
    "dead server": (
        two_classes,
        Mistake("tracking=server", "tracking.uri=http://127.0.0.1:9", says="127.0.0.1:9", needs_tensorflow=True),
    ),
}
QUICK = [name for name, (_, mistake) in MISTAKES.items() if not mistake.needs_tensorflow]
THOROUGH = [name for name, (_, mistake) in MISTAKES.items() if mistake.needs_tensorflow]


def set_up_run(name: str, tmp_path: Path) -> tuple[list[str], str]:
    """Write the pictures of a mistake and return its overrides and what has to be said."""
    write, mistake = MISTAKES[name]
    place = tmp_path / "pictures"
    write(place)
    overrides = [*TINY, f"dataset.root={place}", "freeze=scratch", "epochs=1", *mistake.overrides]
    return [override.format(place=place) for override in overrides], mistake.says


def environment_of(tmp_path: Path) -> dict[str, str]:
    """Make an empty working directory, and return an environment with outputs of its own."""
    for name in ("elsewhere", "outputs"):
        (tmp_path / name).mkdir(exist_ok=True)
    environment = {**os.environ, "HEADSTART_OUTPUTS": str(tmp_path / "outputs"), "COLUMNS": "80"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    return environment


def answer_of(words: list[str], tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of Python from an empty directory with outputs of its own."""
    environment = environment_of(tmp_path)
    return subprocess.run(
        [sys.executable, *words], cwd=tmp_path / "elsewhere", env=environment, capture_output=True, text=True
    )


def expect_one_sentence(name: str, tmp_path: Path, answer_of: Callable[[list[str], Path], Any]) -> None:
    overrides, says = set_up_run(name, tmp_path)
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "pictures").rglob("*")}
    answer = answer_of([str(RUN), *overrides], tmp_path)
    assert answer.returncode == 1, answer.stdout
    lines = answer.stderr.splitlines()
    assert lines[0].startswith("error: "), answer.stderr
    assert all(line.startswith("tip: ") for line in lines[1:]), answer.stderr
    assert says in "; ".join(line.removeprefix("tip: ") for line in lines)
    assert len(lines) <= 2
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "pictures").rglob("*")} == before
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK[::3] else [pytest.mark.slow]) for name in QUICK]
)
def test_one_sentence_before_tensorflow_is_imported(name: str, tmp_path: Path, fork_server: ForkServer) -> None:
    def answer_of(words: list[str], tmp_path: Path) -> Answer:
        answer = fork_server.run(words, env=environment_of(tmp_path), cwd=tmp_path / "elsewhere")
        assert not answer.imported_tensorflow
        return answer

    expect_one_sentence(name, tmp_path, answer_of)


@pytest.mark.slow
@pytest.mark.parametrize("name", THOROUGH)
def test_one_sentence_from_the_command_line(name: str, tmp_path: Path) -> None:
    expect_one_sentence(name, tmp_path, answer_of)


@pytest.mark.parametrize("name", THOROUGH)
def test_one_sentence(name: str, tmp_path: Path) -> None:
    overrides, says = set_up_run(name, tmp_path)
    with pytest.raises(HeadstartError) as caught:
        run(compose(overrides), tmp_path)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "classifier").exists()


def test_a_defect_still_shows_its_traceback(tmp_path: Path) -> None:
    defect = f"""
import runpy, sys
import headstart.run.experiment
def run(*arguments, **more):
    return {{}}["a key that nobody wrote"]
headstart.run.experiment.run = run
sys.argv[0] = {str(RUN)!r}
runpy.run_path(sys.argv[0], run_name="__main__")
"""
    answer = answer_of(["-c", defect], tmp_path)
    assert answer.returncode == 1
    assert "Traceback (most recent call last)" in answer.stderr
    assert "KeyError: 'a key that nobody wrote'" in answer.stderr
    assert "error:" not in answer.stdout
