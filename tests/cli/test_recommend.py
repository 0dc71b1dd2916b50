"""The recommendation: measured, printed, written, with a command that composes."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from conftest import write_pictures

from headstart.cli import data_arguments, recommend
from headstart.config import compose


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("my photos") / "pets", {"cat": 12, "dog": 12})


def test_a_folder_gets_a_square_a_curve_a_ranking_and_a_command(
    photos: Path, outputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = set((outputs / "runs").glob("*")) if (outputs / "runs").exists() else set()
    words = [str(photos), "image_size=32", "--output", str(tmp_path / "new"), "--seconds", "0"]
    assert recommend.main([*words, "--backbones", "efficientnet_lite0,inceptionv3,efficientnet_lite1"]) == 0
    printed = capsys.readouterr().out
    assert "Scenario: small_similar, by the features of" in printed
    assert "inceptionv3: Expected image_size to be at least 75" in printed

    found = json.loads((tmp_path / "new" / "recommendation.json").read_text(encoding="utf-8"))
    assert found["scenario"]["cell"] == "small_similar"
    names, scores = zip(*((one["backbone"], one["accuracy"]) for one in found["backbones"]), strict=True)
    assert set(names[:2]) == {"efficientnet_lite0", "efficientnet_lite1"}
    assert scores[0] >= scores[1]
    assert (names[2], scores[2]) == ("inceptionv3", None)
    assert (tmp_path / "new" / "probes.png").stat().st_size > 10_000

    assert all(one["logme"] is not None for one in found["backbones"][:2])
    assert found["strategies"]["strategy"] == "multi_depth"
    assert "Not tried (the time for trials is 0): last_two_blocks" in printed
    assert "The frozen probe of all depths alone (head=multi_depth freeze=all) has" in printed

    train, compare, *_ = found["commands"].values()
    assert train in printed
    config = compose(shlex.split(train)[2:])
    assert (config.head.name, config.freeze.name, config.image_size) == ("multi_depth", "all", 32)
    assert config.dataset.root == str(photos)
    assert shlex.split(compare)[2] == "-m"
    assert set((outputs / "runs").glob("*")) == before if (outputs / "runs").exists() else True


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["a", "b"], "Expected one FOLDER. Received: a, b"),
        (["image_size=32"], "Expected FOLDER, or dataset=NAME. Received: neither"),
        (["dataset=digits", "scenario=small_similar"], "Expected no scenario, because this command measures it"),
        (["no_such_folder"], "Expected dataset.root to be the directory of the images"),
        (["dataset=digits", "backbone=small_cnn"], "Expected a backbone with ImageNet weights"),
        (["dataset=digits", "--backbones", "vgg61"], "unknown backbone 'vgg61'"),
        (["dataset=digits", "--backbones", "small_cnn"], "Expected --backbones to have ImageNet weights"),
        (["dataset=digits", "freze=all"], "unknown key 'freze'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(words: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert recommend.main(words) == 1
    said = capsys.readouterr()
    problem, _, tip = said.err.partition("\n")
    assert problem.startswith("error: ")
    assert expected in problem
    assert (said.out, tip.count("\n") <= 1) == ("", True)


def test_a_data_set_of_the_configuration_and_one_elsewhere() -> None:
    assert data_arguments.overrides_of(["dataset=digits"]) == ["dataset=digits"]
    elsewhere = data_arguments.overrides_of(["dataset=dogs_vs_cats", "/data/pets"])
    assert elsewhere == ["dataset=dogs_vs_cats", "dataset.root=/data/pets"]
