"""`headstart soup` averages runs into a classifier that loads like any other, and refuses what does not fit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY

from headstart.classifier.saved import load_classifier
from headstart.cli import soup as command
from headstart.comparison.collect import read_run
from headstart.config import compose
from headstart.core.errors import HeadstartError
from headstart.run.experiment import run
from headstart.soup.ingredients import candidates_of


@pytest.fixture(scope="module")
def sweep(finished_run: Path, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with two runs that differ in the seed."""
    directory = tmp_path_factory.mktemp("sweep")
    shutil.copytree(finished_run, directory / "0", ignore=shutil.ignore_patterns("figures"))
    (directory / "1").mkdir()
    run(compose([*TINY, f"dataset.root={folder}", "freeze=last_block", "epochs=2", "seed=1"]), directory / "1")
    return directory


def test_a_soup_of_runs_is_saved_evaluated_and_tested(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([str(sweep)]) == 0
    made = json.loads((sweep / "soup" / "soup.json").read_text())
    assert {Path(one["run"]).name for one in made["ingredients"]} == {"0", "1"}
    assert made["ingredients"][0]["added"]
    for split in ("validation", "test"):
        assert made["tests"][split]["accuracy_after"] == pytest.approx(made["splits"][split]["accuracy"])
    added = [Path(one["run"]) for one in made["ingredients"] if one["added"]]
    members = [load_classifier(one).model.get_weights() for one in added]
    soup = load_classifier(sweep / "soup")
    for found, *expected in zip(soup.model.get_weights(), *members, strict=True):
        np.testing.assert_allclose(found, np.mean(expected, axis=0), atol=1e-6)
    assert soup.card is not None
    assert soup.card.run.startswith("soup of runs like last_block linear s1")
    assert soup.card.measured is not None
    assert soup.card.measured.accuracy == pytest.approx(made["splits"]["test"]["accuracy"])
    assert soup.familiarity is not None
    text = capsys.readouterr().out.replace("\n", " ")
    assert "against the best single run" in text
    assert f"headstart predict {sweep / 'soup'}" in text


@pytest.mark.slow
def test_a_soup_of_the_same_run_twice_is_the_run(sweep: Path, tmp_path: Path) -> None:
    shutil.copytree(sweep / "0", tmp_path / "twin")
    assert command.main([str(sweep / "0"), str(tmp_path / "twin"), "--output", str(tmp_path / "soup")]) == 0
    made = json.loads((tmp_path / "soup" / "soup.json").read_text())
    assert [one["added"] for one in made["ingredients"]] == [True, True]
    assert all(test["p_value"] == 1 for test in made["tests"].values())
    single, soup = load_classifier(sweep / "0"), load_classifier(tmp_path / "soup")
    for found, expected in zip(soup.model.get_weights(), single.model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


def changed(source: Path, place: Path, before: str, after: str) -> Path:
    """Copy a run with a change of its configuration."""
    shutil.copytree(source, place)
    text = (place / "config.yaml").read_text()
    assert before in text
    (place / "config.yaml").write_text(text.replace(before, after))
    return place


@pytest.mark.parametrize(
    ("before", "after", "received"),
    [
        ("name: small_cnn", "name: vgg16", "backbone small_cnn in 0 and vgg16 in other"),
        ("pooling: average", "pooling: flatten", "head.pooling average in 0 and flatten in other"),
        ("tta: none", "tta: flip", "tta none in 0 and flip in other"),
    ],
)
def test_runs_of_different_architectures_are_refused(
    before: str, after: str, received: str, sweep: Path, tmp_path: Path
) -> None:
    other = changed(sweep / "0", tmp_path / "other", before, after)
    with pytest.raises(HeadstartError, match=f"Expected runs of one architecture.*Received: {received}"):
        candidates_of([read_run(sweep / "0"), read_run(other)])


def test_one_run_alone_is_no_soup(finished_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([str(finished_run)]) == 1
    assert "Expected at least two finished runs to average" in capsys.readouterr().err.replace("\n", " ")
