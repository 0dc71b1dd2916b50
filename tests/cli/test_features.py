"""`headstart features`: the features of a run's images as NPZ, and a map of them on one page."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from tiny import index_of

from headstart.classifier.saved import load_classifier
from headstart.cli import features
from headstart.evaluation.feature_map import choose_points, map_page, project
from headstart.evaluation.features import NOT_PREDICTED

Written = tuple[dict[str, np.ndarray], str]


@pytest.fixture(scope="module")
def written(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Return what a command wrote: the arrays, and the map."""
    directory = tmp_path_factory.mktemp("features")
    table, page = directory / "new" / "features.npz", directory / "map.html"
    assert features.main([str(finished_run), "--output", str(table), "--map", str(page)]) == 0
    with np.load(table, allow_pickle=False) as archive:
        return dict(archive), page.read_text(encoding="utf-8")


def test_every_image_is_there_with_its_class_and_split(written: Written, finished_run: Path) -> None:
    arrays, _ = written
    assert set(arrays) == {"features", "labels", "predicted", "paths", "splits", "class_names"}
    assert arrays["class_names"].tolist() == ["blue", "green", "red"]
    with (finished_run / "splits.csv").open(newline="", encoding="utf-8") as opened:
        known = {row["path"]: (row["split"], row["label"]) for row in csv.DictReader(opened)}
    names = arrays["class_names"][arrays["labels"]].tolist()
    pairs = zip(arrays["splits"].tolist(), names, strict=True)
    assert dict(zip(arrays["paths"].tolist(), pairs, strict=True)) == known
    assert list(dict.fromkeys(arrays["splits"].tolist())) == ["train", "validation", "test"]


def test_the_features_are_what_the_saved_classifier_reads(written: Written, finished_run: Path, folder: Path) -> None:
    arrays, _ = written
    classifier = load_classifier(finished_run)
    pixels = np.stack([classifier.load(folder / path) for path in arrays["paths"]]).astype(np.float32)
    probabilities = classifier.probabilities(pixels)
    evaluated = arrays["splits"] != "train"
    np.testing.assert_array_equal(arrays["predicted"][evaluated], probabilities.argmax(axis=1)[evaluated])
    assert (arrays["predicted"][~evaluated] == NOT_PREDICTED).all()
    assert arrays["features"].dtype == np.float32
    output = classifier.model.get_layer("head").get_layer("output")  # below it, the head only averages
    kernel, bias = (weight.numpy() for weight in output.weights)
    exponentials = np.exp(arrays["features"] @ kernel + bias)
    np.testing.assert_allclose(exponentials / exponentials.sum(axis=1, keepdims=True), probabilities, atol=1e-4)


def test_the_map_shows_every_image_and_marks_the_mistakes(written: Written) -> None:
    arrays, page = written
    points = [text.split() for text in re.findall(r'class="(point [^"]*)"', page)]
    wrong = (arrays["splits"] != "train") & (arrays["predicted"] != arrays["labels"])
    assert len(points) == len(wrong) == 30
    assert sum("wrong" in point for point in points) == wrong.sum()
    assert sum("train" in point for point in points) == (arrays["splits"] == "train").sum()
    details = json.loads(re.search(r"details = (.*);\n", page)[1])  # type: ignore[index]
    assert {path for path, *_ in details} == set(arrays["paths"].tolist())
    assert "://" not in page  # it needs no network


def test_names_cannot_break_the_page(folder: Path) -> None:
    index = index_of(folder)
    names, paths = ("</script><b>", "$^_{", "\u202e"), ("<i>.png", *index.paths[1:])
    odd = type(index)(index.root, names, paths, index.labels, index.splits)
    projection = project(np.random.default_rng(0).random((len(odd), 5)), "pca")
    page = map_page(odd, (odd.labels + 1) % 3, projection, "Map", "run: <a>")
    assert page.count("</script>") == 1
    assert not {"<b>", "<i>", "<a>"} & set(re.findall(r"<\w>", page))


@pytest.mark.parametrize("method", ["pca", pytest.param("tsne", marks=pytest.mark.slow)])
def test_a_projection_keeps_classes_apart_and_is_the_same_again(method: str) -> None:
    labels = np.repeat([0, 1], 20)
    values = np.random.default_rng(0).normal(size=(40, 30)) + 20 * labels[:, None]
    first, again = project(values, method), project(values, method)
    np.testing.assert_array_equal(first.positions, again.positions)
    centres = np.stack([first.positions[labels == label].mean(axis=0) for label in (0, 1)])
    nearest = np.linalg.norm(first.positions[:, None] - centres, axis=2).argmin(axis=1)
    np.testing.assert_array_equal(nearest, labels)


def test_of_too_many_images_the_evaluated_ones_come_first(folder: Path) -> None:
    index = index_of(folder)
    splits = np.where(np.arange(30) % 3, "train", "test")
    index = type(index)(index.root, index.class_names, index.paths, index.labels, splits)
    assert choose_points(index, 100).tolist() == list(range(30))
    chosen = choose_points(index, 12)
    assert (splits[chosen] == "test").sum() == 10
    assert chosen.tolist() == sorted(chosen.tolist()) == choose_points(index, 12).tolist()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "one of --output and --map is required"),
        (["--map", "a.html", "--images", "2"], "--images must be at least 3"),
    ],
)
def test_arguments_that_give_nothing_are_refused(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        features.main(["latest", *arguments])
    assert says in capsys.readouterr().err


def test_what_is_no_finished_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert features.main([str(tmp_path), "--map", str(tmp_path / "map.html")]) == 1
    printed = capsys.readouterr()
    text = " ".join((printed.out + printed.err).split())
    assert "Expected a finished run that trained and evaluated a classifier" in text
    assert not (tmp_path / "map.html").exists()
