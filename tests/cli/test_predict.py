"""Labelling pictures with a finished run, in every form of answer; what cannot be read is named."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import HEADSTART, TINY
from image_files import png16
from PIL import Image

from headstart.classifier.saved import load_classifier, save_classifier
from headstart.cli import predict
from headstart.config import compose
from headstart.evaluation.plots import labelled
from headstart.model.imagenet import imagenet_classes


@pytest.fixture(scope="module")
def run_id(finished_run: Path) -> str:
    return json.loads((finished_run / "results.json").read_text())["run_id"]


@pytest.fixture(scope="module")
def odd_classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an untrained classifier with one sigmoid and names that mean something to rich, CSV and fonts."""
    from headstart.model.network import build_network

    config = compose([*TINY, "head.output=sigmoid"])
    network = build_network(config.backbone, config.head, 2, 32, seed=0)
    directory = tmp_path_factory.mktemp("odd") / "classifier"
    reference = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    save_classifier(directory, network.classifier, ("[red] Käfer, 猫", "[/red] " + "long " * 30), 32, config, reference)
    return directory


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("form", ["run", "classifier", "id", "beginning of the id"])
def test_a_run_by_any_of_its_names(
    finished_run: Path, run_id: str, folder: Path, capsys: pytest.CaptureFixture, form: str
) -> None:
    names = {"run": finished_run, "classifier": finished_run / "classifier", "id": run_id}
    picture = folder / "red" / "000.png"
    assert predict.main([str(names.get(form, run_id[:8])), str(picture), "--format", "json"]) == 0
    [row] = json.loads(capsys.readouterr().out)
    classifier = load_classifier(finished_run)
    probabilities = classifier.probabilities(classifier.load(picture)[None])[0]
    assert row["path"] == str(picture)
    assert [best["label"] for best in row["top"]] == [classifier.class_names[i] for i in np.argsort(-probabilities)]
    assert [best["confidence"] for best in row["top"]] == pytest.approx(sorted(probabilities, reverse=True), abs=1e-5)
    assert (row["label"], row["confidence"]) == (row["top"][0]["label"], row["top"][0]["confidence"])


def test_files_and_folders_in_one_go(finished_run: Path, folder: Path, capsys: pytest.CaptureFixture) -> None:
    single = folder / "blue" / "003.png"
    arguments = [str(finished_run), str(single), str(folder), "--format", "csv", "--top", "2", "--batch-size", "7"]
    assert predict.main(arguments) == 0
    rows = rows_of(capsys.readouterr().out)
    assert [row["path"] for row in rows] == [str(single), *map(str, sorted(folder.glob("*/*.png")))]
    labels = ["label", "confidence", "label_2", "confidence_2"]
    assert list(rows[0]) == ["path", *labels, "unfamiliar", "distance", "error"]
    assert float(rows[0]["confidence"]) >= float(rows[0]["confidence_2"])
    assert rows[0] == rows[4]


def test_what_cannot_be_read_is_named_and_the_rest_goes_on(
    finished_run: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for name in ("a.png", "c.png"):
        (pictures / name).write_bytes((folder / "red" / "000.png").read_bytes())
    (pictures / "b.jpg").write_text("no picture")
    (pictures / "._a.png").write_text("left behind by a file system")
    (pictures / "notes.txt").write_text("no picture either, and not asked for")
    (pictures / "directory.png").mkdir()

    assert predict.main([str(finished_run), str(pictures)]) == 1
    answer = capsys.readouterr().out
    assert "a.png" in answer
    assert "c.png" in answer
    assert "Skipped: Expected an image that can be read" in answer
    assert "notes.txt" not in answer

    for form in ("csv", "json"):
        assert predict.main([str(finished_run), str(pictures), "--format", form, "--top", "1"]) == 1
        text = capsys.readouterr().out
        rows = rows_of(text) if form == "csv" else json.loads(text)
        assert [Path(row["path"]).name for row in rows] == ["a.png", "b.jpg", "c.png"]
        assert [bool(row.get("error")) for row in rows] == [False, True, False]
        assert [bool(row.get("label")) for row in rows] == [True, False, True]


def test_litter_of_other_programs_is_no_picture(
    finished_run: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    for name in ("a.png", "@eaDir/a.png/SYNOPHOTO_THUMB_M.jpg", "#recycle/b.png", "._a.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((folder / "red" / "000.png").read_bytes())
    assert predict.main([str(finished_run), str(tmp_path), "--format", "json"]) == 0
    answer = capsys.readouterr()
    assert [row["path"] for row in json.loads(answer.out)] == [str(tmp_path / "a.png")]
    assert "Note: " in answer.err
    assert "(3; " in answer.err


def test_an_engine_that_is_missing_is_named(
    finished_run: Path,
    folder: Path,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    arguments = [str(finished_run), str(folder / "red" / "000.png"), "--format", "json", "--engine"]
    assert predict.main([*arguments, "openvino"]) == 1
    answer = capsys.readouterr()
    assert answer.out == ""
    assert "pip install 'headstart[openvino]'" in answer.err
    assert predict.main([*arguments, "auto"]) == predict.main([*arguments, "tensorflow"]) == 0


def test_the_classifier_is_named_and_unfamiliar_images_are_counted(
    finished_run: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    test = json.loads((finished_run / "results.json").read_text())["splits"]["test"]
    Image.new("RGB", (24, 24), (255, 255, 0)).save(tmp_path / "yellow.png")
    assert predict.main([str(finished_run), str(folder / "red" / "000.png"), str(tmp_path)]) == 0
    answer = " ".join(capsys.readouterr().out.split())
    assert f"Model: last_block linear s0 small_cnn {folder.name} ({finished_run})" in answer
    assert "3 classes (blue, green, red) in images of 32 px" in answer
    assert f"images of {folder.name}; test accuracy {100 * test['accuracy']:.1f} % (" in answer
    assert f"on {test['images']} images" in answer
    assert "1 of 2 images looks unlike the training images (farther from them than all of the " in answer
    assert predict.main([str(finished_run), str(tmp_path), "--format", "csv"]) == 0
    [row] = rows_of(capsys.readouterr().out)
    assert row["unfamiliar"] == "yes"
    assert float(row["distance"]) > 1


def test_a_classifier_of_an_earlier_version_is_named_by_its_results(
    finished_run: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished_run / "classifier", run / "classifier")
    shutil.copy(finished_run / "results.json", run)
    (run / "classifier" / "familiarity.npz").unlink()
    labels = json.loads((run / "classifier" / "labels.json").read_text())
    del labels["card"]
    (run / "classifier" / "labels.json").write_text(json.dumps(labels))
    picture = str(folder / "red" / "000.png")
    assert predict.main([str(run), picture]) == 0
    answer = " ".join(capsys.readouterr().out.split())
    assert "Model: last_block linear s0 small_cnn" in answer
    assert "test accuracy" in answer
    assert answer.count("Unfamiliar images are not found: this classifier was saved without") == 1
    assert predict.main([str(run), picture, "--format", "csv"]) == 0
    [row] = rows_of(capsys.readouterr().out)
    assert (row["unfamiliar"], row["distance"]) == ("", "")


@pytest.mark.parametrize("name", ["answer.csv", "answer.json", "answer.txt"])
def test_the_answer_in_a_file(
    finished_run: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture, name: str
) -> None:
    output = tmp_path / "new" / name
    assert predict.main([str(finished_run), str(folder / "red"), "--output", str(output)]) == 0
    said = capsys.readouterr().out
    assert "Model: last_block linear s0 small_cnn" in said
    assert "009.png" not in said
    text = output.read_text(encoding="utf-8")
    if name.endswith("txt"):
        assert text.startswith(f"  images in {folder}")
        assert "confidence" in text.splitlines()[1]
        assert "009.png" in text
    else:
        rows = rows_of(text) if name.endswith("csv") else json.loads(text)
        assert len(rows) == 10


def test_names_that_mean_something_elsewhere(
    odd_classifier: Path,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)  # a path short enough for one line of the table
    picture = Path("[bold] photo.png")
    picture.write_bytes((folder / "red" / "000.png").read_bytes())
    names = load_classifier(odd_classifier).class_names
    arguments: list[Any] = [str(odd_classifier), str(picture), "--overlay", str(tmp_path / "drawn")]
    assert predict.main(arguments) == 0
    answer = capsys.readouterr().out
    assert "[bold]" in answer
    assert "[red]" in answer
    assert "[/red]" in answer
    assert predict.main([*arguments, "--format", "csv"]) == 0
    [row] = rows_of(capsys.readouterr().out)
    assert {row["label"], row["label_2"]} == set(names)
    assert float(row["confidence"]) + float(row["confidence_2"]) == pytest.approx(1, abs=1e-5)
    assert [file.name for file in (tmp_path / "drawn").iterdir()] == ["[bold] photo.png"]


def test_pictures_of_any_shape_with_their_label(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    Image.new("RGB", (3, 2), (255, 0, 0)).save(tmp_path / "a" / "same.png")
    Image.new("RGB", (40, 1200), (0, 255, 0)).save(tmp_path / "b" / "same.png")
    Image.new("I;16", (1500, 900), 65535).save(tmp_path / "deep.png")
    command = [str(finished_run), str(tmp_path / "a"), str(tmp_path / "b"), str(tmp_path / "deep.png")]
    for _ in range(2):  # the second time replaces the pictures of the first
        assert predict.main([*command, "--overlay", str(tmp_path / "drawn")]) == 0
    drawn = {file.name: np.asarray(Image.open(file)) for file in (tmp_path / "drawn").iterdir()}
    assert set(drawn) == {"same.png", "same_2.png", "deep.png"}
    side = labelled.SIDE
    for sheet in drawn.values():
        assert sheet.shape == (side + side // 10, side, 3)
        assert sheet[side:].max() > 200  # the label
    assert tuple(drawn["same.png"][side // 2, side // 2]) == (255, 0, 0)
    assert tuple(drawn["same_2.png"][side // 2, side // 2]) == (0, 255, 0)
    assert tuple(drawn["deep.png"][side // 2, side // 2]) == (255, 255, 255)


def test_explained_pictures(finished_run: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    pictures = tmp_path / "pictures"
    (pictures / "below").mkdir(parents=True)
    Image.new("RGB", (40, 300), (0, 255, 0)).save(pictures / "a.png")
    (pictures / "b.jpg").write_text("no picture")
    for name in ("below/a.png", "c.png", "d.png"):
        (pictures / name).write_bytes((folder / "red" / "000.png").read_bytes())
    command = [str(finished_run), str(pictures), "--batch-size", "3", "--explain", str(tmp_path / "explained")]
    assert predict.main(command) == 1
    assert "Skipped: Expected an image that can be read" in capsys.readouterr().out
    explained = {file.name: np.asarray(Image.open(file)) for file in (tmp_path / "explained").iterdir()}
    assert set(explained) == {"a.png", "a_2.png", "c.png", "d.png"}
    side = labelled.SIDE
    for sheet in explained.values():
        assert sheet.shape == (side + side // 10, 2 * side, 3)
        assert sheet[side:, :side].max() > 200  # the label
        assert sheet[side:, side:].max() > 200  # what the colours mean
    # The classifier stretches its pictures, so that is what it saw.
    np.testing.assert_array_equal(explained["a.png"][:side, :side], np.tile([0, 255, 0], (side, side, 1)))
    np.testing.assert_array_equal(explained["c.png"], explained["a_2.png"])


def test_explained_label_of_which_nothing_speaks_is_the_grey_picture() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (labelled.SIDE, labelled.SIDE, 3), dtype=np.uint8)
    for heat, coloured in ((np.zeros((4, 4)), False), (np.eye(4), True)):
        sheet = np.asarray(labelled.explain(picture, heat, "label", 0.5))
        right = sheet[: labelled.SIDE, labelled.SIDE :].astype(int)
        np.testing.assert_array_equal(sheet[: labelled.SIDE, : labelled.SIDE], picture)
        assert ((right.max(axis=2) - right.min(axis=2)).max() > 0) == coloured


@pytest.mark.parametrize("label", ["x", "a label that is much too long for the width " * 3, "W" * 200])
def test_a_label_stays_within_the_picture(tmp_path: Path, label: str) -> None:
    Image.new("RGB", (30, 30)).save(tmp_path / "black.png")
    sheet = np.asarray(labelled.draw(tmp_path / "black.png", label, 0.5))
    assert sheet.max() > 200
    assert sheet[:, -5:].max() == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["{run}", "{place}/nothing.jpg"], "nothing.jpg (does not exist)"),
        (["{run}", "{place}"], "Expected images"),
        (["no-such-run", "{picture}"], "no such directory or run"),
        (["abc", "{picture}"], "no such directory or run"),
        (["{place}", "{picture}"], "Expected a classifier with model.keras"),
        (["{run}", "{picture}", "--overlay", "{picture}/below"], "Expected a writable directory"),
        (["{run}", "{picture}", "--explain", "{picture}/below"], "Expected a writable directory"),
        (["{run}", "{picture}", "--output", "{picture}/below.csv"], "Expected a writable directory"),
        (["{run}", "{picture}", "--output", "{place}"], "Expected a writable file"),
    ],
)
def test_mistakes_end_in_one_sentence(
    finished_run: Path,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
    arguments: list[str],
    says: str,
) -> None:
    values = {"run": finished_run, "place": tmp_path, "picture": folder / "red" / "000.png"}
    assert predict.main([argument.format(**values) for argument in arguments]) == 1
    answer = capsys.readouterr()
    assert answer.out == ""
    assert answer.err.startswith("error: ")
    assert says in answer.err
    assert re.fullmatch(r"error: .+\n(tip: .+\n)?", answer.err)


@pytest.mark.parametrize("arguments", [["--top", "0"], ["--batch-size", "-1"], ["--format", "xml"]])
def test_options_out_of_range(capsys: pytest.CaptureFixture, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        predict.main(["latest", "picture.jpg", *arguments])
    assert caught.value.code == 2
    assert arguments[0] in capsys.readouterr().err


@pytest.mark.slow
def test_csv_from_the_command_line_is_nothing_but_csv(finished_run: Path, folder: Path, tmp_path: Path) -> None:
    strange = tmp_path / os.fsdecode(b"k\xe4fer.png")  # a name in Latin-1
    strange.write_bytes((folder / "red" / "000.png").read_bytes())
    command = [*HEADSTART, "predict", str(finished_run), str(folder / "red"), str(strange), "--format", "csv"]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path)
    rows = rows_of(answer.stdout)
    assert len(rows) == 11
    assert answer.stdout.splitlines()[0].startswith("path,label,confidence,label_2")
    assert all(0 < float(row["confidence"]) <= 1 for row in rows)
    assert answer.stderr.startswith("Model: last_block linear s0 small_cnn")
    assert "of 11 images" in answer.stderr.splitlines()[-1]


def test_files_that_are_not_read_and_values_that_are_nearly_black_are_noted(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    values = np.random.default_rng(0).integers(0, 4096, (24, 24))
    values[0, :2] = 0, 4095
    (tmp_path / "deep.png").write_bytes(png16(values))
    Image.fromarray(np.rint(values * (255 / 4095)).astype(np.uint8)).save(tmp_path / "plain.png")
    (tmp_path / "photo.cr2").write_bytes(b"content")
    assert predict.main([str(finished_run), str(tmp_path), "--format", "csv"]) == 0
    dark, said = capsys.readouterr()
    assert "camera raw: 1); camera raw: develop them" in said
    assert "use values 0 to 4095, which are nearly black" in said
    options = ["--value-range", "0", "4095", "--overlay", str(tmp_path / "drawn")]
    assert predict.main([str(finished_run), str(tmp_path), "--format", "csv", *options]) == 0
    bright, said = capsys.readouterr()
    assert "nearly black" not in said
    deep, plain = rows_of(bright)
    assert [value for name, value in deep.items() if name != "path"] == [
        value for name, value in plain.items() if name != "path"
    ]
    assert rows_of(dark)[0] != deep
    drawn = [Image.open(tmp_path / "drawn" / f"{name}.png").tobytes() for name in ("deep", "plain")]
    assert drawn[0] == drawn[1]


def test_a_pretrained_network_without_a_run(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    picture = folder / "red" / "000.png"
    # The first word is a picture here, wherever the options stand.
    arguments = [str(picture), "--format", "json", str(folder / "blue"), "--weights", "none"]
    drawn, output = tmp_path / "drawn", tmp_path / "answer.csv"
    assert predict.main(["--pretrained", "efficientnet_lite0", *arguments]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["path"] for row in rows] == [str(picture), *map(str, sorted((folder / "blue").glob("*.png")))]
    for row in rows:
        assert len(row["top"]) == 5
        assert {best["label"] for best in row["top"]} <= set(imagenet_classes())
    assert rows[1]["top"] != rows[0]["top"]

    more = ["--top", "2", "--overlay", str(drawn), "--output", str(output), "--weights", "none"]
    assert predict.main(["--pretrained", "efficientnet_lite0", str(picture), *more]) == 0
    [row] = rows_of(output.read_text())
    assert [row["label"], row["label_2"]] == [best["label"] for best in rows[0]["top"][:2]]  # the same random weights
    assert [file.name for file in drawn.iterdir()] == ["000.png"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["--pretrained", "efficientnet_lite", "{picture}"],
            "unknown backbone 'efficientnet_lite'\ntip: did you mean backbone=efficientnet_lite",
        ),
        (["--pretrained", "small_cnn", "{picture}"], "Expected a published network"),
        (["--pretrained", "vgg16", "{picture}", "--weights", "{picture}.h5"], "000.png.h5"),
        (["--pretrained", "vgg16", "{picture}.jpg"], "000.png.jpg (does not exist)"),
    ],
)
def test_mistakes_about_a_pretrained_network_end_in_one_sentence(
    folder: Path, capsys: pytest.CaptureFixture, arguments: list[str], says: str
) -> None:
    picture = folder / "red" / "000.png"
    assert predict.main([argument.format(picture=picture) for argument in arguments]) == 1
    answer = capsys.readouterr()
    assert answer.out == ""
    assert says in answer.err
    assert re.fullmatch(r"error: .+\n(tip: .+\n)?", answer.err)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["latest"], "error: Expected images. Received: nothing"),
        (["latest", "picture.jpg", "--weights", "none"], "--weights needs --pretrained"),
        (["--pretrained", "vgg16"], "error: Expected run and images. Received: nothing"),
    ],
)
def test_words_that_are_missing(capsys: pytest.CaptureFixture, arguments: list[str], says: str) -> None:
    with pytest.raises(SystemExit) as caught:
        predict.main(arguments)
    assert caught.value.code == 2
    assert says in capsys.readouterr().err


def test_links_out_of_a_folder_are_refused_unless_they_may(
    finished_run: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    album = tmp_path / "album"
    album.mkdir()
    (album / "linked.png").symlink_to(folder / "red" / "000.png")
    assert predict.main([str(finished_run), str(album)]) == 1
    assert "linked.png -> " in capsys.readouterr().err
    assert predict.main([str(finished_run), str(album), "--follow-links", "--format", "csv"]) == 0
    assert rows_of(capsys.readouterr().out)[0]["path"] == str(album / "linked.png")


def test_pipes_in_a_folder_are_named_and_not_opened(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert predict.main([str(finished_run), str(tmp_path), "--format", "csv"]) == 1
    assert "it is a named pipe" in rows_of(capsys.readouterr().out)[0]["error"]


def test_long_names_are_drawn_and_stay_different(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    pixels = Image.fromarray(np.zeros((8, 8, 3), np.uint8))
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        pixels.save(tmp_path / folder / ("猫" * 83 + ".png"))  # 253 bytes
    pixels.save(tmp_path / "one" / "A.png")
    pixels.save(tmp_path / "two" / "a.png")
    command = [str(finished_run), str(tmp_path / "one"), str(tmp_path / "two"), "--format", "csv"]
    drawn, explained = tmp_path / "drawn", tmp_path / "explained"
    assert predict.main([*command, "--overlay", str(drawn), "--explain", str(explained)]) == 0
    assert len(rows_of(capsys.readouterr().out)) == 4
    expected = ["A.png", "a_2.png", "猫" * 83 + ".png", "猫" * 83 + "_2.png"]
    assert sorted(os.listdir(drawn)) == sorted(os.listdir(explained)) == expected


def test_the_answers_are_there_when_a_picture_cannot_be_written(
    finished_run: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    drawn, pictures = tmp_path / "drawn", sorted((folder / "red").iterdir())[:2]
    (drawn / f"{pictures[0].stem}.png").mkdir(parents=True)  # where the first picture would be written
    command = [str(finished_run), *map(str, pictures), "--overlay", str(drawn), "--format", "csv"]
    assert predict.main(command) == 1
    said = capsys.readouterr()
    assert len(rows_of(said.out)) == 2
    assert f"\nWarning: cannot write {drawn / pictures[0].stem}.png (Is a directory" in said.err
    assert (drawn / f"{pictures[1].stem}.png").is_file()


def test_a_run_that_labelled_images_is_followed_by_heat_maps_and_the_demo() -> None:
    assert predict.next_commands(predict.parse(["latest", "my photos", "more"])) == {
        "headstart predict latest 'my photos' --explain DIR": "see which regions decide",
        "headstart demo latest": "try it on a web page",
    }
    assert list(predict.next_commands(predict.parse(["best", "a.jpg", "--explain", "maps"]))) == ["headstart demo best"]
