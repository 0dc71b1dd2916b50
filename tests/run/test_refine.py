"""Runs that refine their classifier: what is saved is what was evaluated, and the results say what changed."""

from __future__ import annotations

from pathlib import Path

import mlflow
import numpy as np
import pytest
from conftest import TINY, with_figures
from run_files import predictions_of

from headstart.classifier.saved import load_classifier
from headstart.config import compose
from headstart.config.identity import config_hash
from headstart.core.errors import HeadstartError
from headstart.results.file import read_results
from headstart.run.experiment import run
from headstart.run.preflight import check_configuration


def refined(output: Path, folder: Path, *overrides: str) -> Path:
    output.mkdir(parents=True)
    run(compose([*TINY, f"dataset.root={folder}", "freeze=last_block", "epochs=2", *overrides]), output)
    return output


def saved_probabilities(run_directory: Path, folder: Path) -> np.ndarray:
    paths, _ = predictions_of(run_directory)
    found = load_classifier(run_directory).predict([folder / path for path in paths])
    return np.array([row for _, row in found])


@pytest.mark.slow
def test_a_temperature_changes_confidence_but_no_prediction(
    folder: Path, finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = refined(tmp_path / "run", folder, "calibrate=temperature")
    assert "temperature" in capsys.readouterr().out
    before, after = read_results(finished_run), read_results(directory)
    assert before is not None
    assert after is not None
    assert before.calibration is None
    assert before.splits
    assert after.splits
    found = after.calibration
    assert found is not None
    assert set(found.before) == {"validation", "test"}
    for split, figures in found.before.items():
        assert figures.log_loss == pytest.approx(before.splits[split].log_loss, abs=1e-5)
        assert after.splits[split].accuracy == before.splits[split].accuracy
    assert after.splits["validation"].log_loss <= found.before["validation"].log_loss
    plain, scaled = predictions_of(finished_run)[1], predictions_of(directory)[1]
    by_hand = plain ** (1 / found.temperature)
    np.testing.assert_allclose(scaled, by_hand / by_hand.sum(axis=1, keepdims=True), atol=1e-4)
    np.testing.assert_allclose(saved_probabilities(directory, folder), scaled, atol=1e-5)
    metrics = mlflow.MlflowClient(after.tracking_uri).get_run(after.run_id).data.metrics
    assert metrics["temperature"] == pytest.approx(found.temperature)
    assert metrics["before_calibration/test_log_loss"] == pytest.approx(found.before["test"].log_loss)


EVERYTHING = ("interpolate=wise_ft", "tta=flip", "calibrate=temperature")


@pytest.fixture(scope="module")
def with_everything(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run with all refinements, whose activations are cached."""
    return refined(tmp_path_factory.mktemp("refined") / "run", folder, *EVERYTHING)


@pytest.mark.slow
def test_calibration_is_drawn_before_and_after_and_mistakes_are_explained(folder: Path, tmp_path: Path) -> None:
    with with_figures():
        figures = refined(tmp_path / "run", folder, *EVERYTHING) / "figures"
    drawn = {file.name for file in figures.glob("*_temperature.*")}
    assert drawn == {f"{split}_temperature.{kind}" for split in ("validation", "test") for kind in ("png", "svg")}
    assert len(list(figures.glob("*_mistakes_explained.png"))) == 2


def test_a_run_with_all_refinements_saves_what_it_evaluated(with_everything: Path, folder: Path) -> None:
    np.testing.assert_allclose(
        saved_probabilities(with_everything, folder), predictions_of(with_everything)[1], atol=1e-5
    )
    assert len(list((with_everything / "figures").glob("*_temperature.png"))) == 2


def test_the_results_have_each_refinement_with_its_paired_test(with_everything: Path) -> None:
    results = read_results(with_everything)
    assert results is not None
    found, flips = results.interpolation, results.flips
    assert found is not None
    assert flips is not None
    if found.points:
        assert [point.alpha for point in found.points] == [number / 10 for number in range(11)]
        best = max(found.points, key=lambda point: (point.accuracy, -point.log_loss))
        assert found.alpha == best.alpha
        assert results.best_epoch is not None
        tuned = found.tests["validation"].accuracy_before
        assert tuned == pytest.approx(results.best_epoch.validation_accuracy)
    for tests in (flips.tests, found.tests or flips.tests):
        assert set(tests) == {"validation", "test"}
        assert all(0 <= test.p_value <= 1 for test in tests.values())
    assert results.calibration is not None
    metrics = mlflow.MlflowClient(results.tracking_uri).get_run(results.run_id).data.metrics
    assert metrics["flips/val_p_value"] == pytest.approx(flips.tests["validation"].p_value)
    assert metrics["interpolation/alpha"] == found.alpha


@pytest.mark.slow
def test_flips_with_and_without_the_cache_agree(with_everything: Path, folder: Path, tmp_path: Path) -> None:
    overrides = ("interpolate=wise_ft", "tta=flip", "calibrate=temperature", "cache=off")
    uncached = refined(tmp_path / "run", folder, *overrides)
    np.testing.assert_allclose(predictions_of(uncached)[1], predictions_of(with_everything)[1], atol=1e-4)


@pytest.mark.parametrize(
    ("overrides", "received"),
    [
        (["freeze=all"], "freeze=all"),
        (["freeze=scratch"], "freeze=scratch"),
        (["freeze.stages.1.batch_norm=train"], "batch_norm=train in stage last_two_blocks"),
        (["head=flatten64_bn"], "head.batch_norm=true in flatten64_bn"),
    ],
)
def test_weights_that_cannot_be_interpolated_are_refused(overrides: list[str], received: str) -> None:
    with pytest.raises(HeadstartError, match=f"Expected interpolate=wise_ft.*Received: {received}"):
        check_configuration(compose(["interpolate=wise_ft", *overrides]))


def test_refining_changes_the_digest_of_a_configuration() -> None:
    words = ("", "calibrate=temperature", "tta=flip", "interpolate=wise_ft")
    assert len({config_hash(compose(word.split())) for word in words}) == 4


def test_unlabelled_images_give_no_temperature() -> None:
    config = compose(["experiment=classify", "dataset.root=.", "calibrate=temperature"])
    with pytest.raises(HeadstartError, match="Expected calibrate=none with head=imagenet"):
        check_configuration(config)
