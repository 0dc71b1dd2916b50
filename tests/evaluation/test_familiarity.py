"""What a run learns of its training images: the limit holds for new ones, and predict finds what the run found."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.classifier.familiarity import Familiarity
from headstart.classifier.saved import Classifier, Prediction, load_classifier
from headstart.data.index import ImageIndex
from headstart.evaluation.familiarity import MOST_BYTES, PER_CLASS, SAMPLE, images_kept, sample_of, with_limit

ONE = Familiarity(np.eye(2, dtype=np.float16))


@pytest.fixture(scope="module")
def classifier(finished_run: Path) -> Classifier:
    return load_classifier(finished_run)


@pytest.mark.parametrize(
    ("images", "rank", "share", "expected"), [(359, 357, 0.99, 3 / 360), (99, 99, 1.0, 0.01), (6, 6, 1.0, 1 / 7)]
)
def test_the_limit_is_a_distance_of_the_validation_images(
    images: int, rank: int, share: float, expected: float
) -> None:
    distances = np.random.default_rng(0).permutation(np.arange(1, images + 1))
    found, meaning = with_limit(ONE, distances)
    assert found.limit == pytest.approx(rank, rel=2e-3)
    assert (distances > found.limit).sum() == images - rank
    assert meaning.validation_images == images
    assert meaning.validation_share == share
    assert meaning.expected_share == pytest.approx(expected)


def test_as_many_new_images_are_beyond_the_limit_as_it_says() -> None:
    generator = np.random.default_rng(0)
    for images in (20, 150):
        beyond = []
        for _ in range(300):
            found, meaning = with_limit(ONE, generator.exponential(size=images))
            beyond.append((generator.exponential(size=500) > found.limit).mean())
        assert np.mean(beyond) == pytest.approx(meaning.expected_share, rel=0.2)


def test_a_sample_of_many_images_has_all_classes(tmp_path: Path) -> None:
    labels = np.array([0] * 5000 + [1] * 50 + [2] * 5000, np.int32)
    paths = tuple(f"{number}.png" for number in range(len(labels)))
    index = ImageIndex(tmp_path, ("a", "b", "c"), paths, labels, np.array(["train"] * len(labels)))
    sample = sample_of(index)
    assert len(sample) == SAMPLE
    counts = np.bincount(sample.labels)
    assert counts.min() >= 2
    assert list(sample_of(index).paths) == list(sample.paths)
    names = tuple(f"class {number}" for number in range(2 * SAMPLE // PER_CLASS))
    many = ImageIndex(tmp_path, names, paths, labels, np.array(["train"] * len(labels)))
    assert len(sample_of(many)) == 2 * SAMPLE


def test_what_is_kept_is_bounded() -> None:
    assert images_kept(1000, 1280) == 1000
    assert images_kept(1000, 10_000) * 10_000 * 2 <= MOST_BYTES
    assert images_kept(3, 10**9) == 1


def predictions_of(classifier: Classifier, files: list[Path]) -> list[Prediction]:
    found = [prediction for _, prediction in classifier.examine_files(files, batch_size=7)]
    assert all(isinstance(prediction, Prediction) for prediction in found)
    return [prediction for prediction in found if isinstance(prediction, Prediction)]


def test_predict_finds_what_the_run_found(finished_run: Path, folder: Path, classifier: Classifier) -> None:
    results = json.loads((finished_run / "results.json").read_text())
    with (finished_run / "splits.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for split in ("validation", "test"):
        found = predictions_of(classifier, [folder / row["path"] for row in rows if row["split"] == split])
        assert sum(bool(one.unfamiliar) for one in found) == results["unfamiliar"]["images"][split]
    assert results["unfamiliar"]["images"]["validation"] == 0  # fewer than 99 images: the farthest sets the limit
    trained = predictions_of(classifier, [folder / row["path"] for row in rows if row["split"] == "train"])
    assert max(one.distance or 0 for one in trained) < 1e-2  # each is its own nearest training image


def test_images_of_another_kind_are_unfamiliar(classifier: Classifier, tmp_path: Path) -> None:
    stripes = np.zeros((24, 24, 3), np.uint8)
    stripes[:, ::2] = 255
    colours = {"stripes": stripes, "yellow": np.full((24, 24, 3), (255, 255, 0), np.uint8)}
    for name, pixels in colours.items():
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    found = predictions_of(classifier, sorted(tmp_path.glob("*.png")))
    assert [one.unfamiliar for one in found] == [True, True]


def test_the_card_says_what_the_results_say(finished_run: Path, classifier: Classifier) -> None:
    results = json.loads((finished_run / "results.json").read_text())
    card = classifier.card
    assert card is not None
    assert card.measured is not None
    assert card.unfamiliar is not None
    assert card.run.startswith("last_block linear s0 small_cnn")
    assert card.run_id == results["run_id"]
    assert card.training_images == results["dataset"]["images"]["train"]
    test = results["splits"]["test"]
    assert card.measured.split == "test"
    assert (card.measured.accuracy, card.measured.images) == (test["accuracy"], test["images"])
    assert card.unfamiliar.expected_share == results["unfamiliar"]["limit"]["expected_share"]
