"""Images with more than 8 bits: one range of values per dataset, measured, reported, stored with the classifier."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import TINY, write_pictures
from image_files import FLOAT, SIGNED, png16, tiff
from PIL import Image

from headstart.classifier.saved import load_classifier
from headstart.config import DatasetConfig, compose
from headstart.core.errors import HeadstartError
from headstart.data.files.checks import DataReport, check_images
from headstart.data.files.high_bit_depth import Values
from headstart.data.files.images import UnreadableImageError, load_image, verify_image
from headstart.data.files.value_range import choose_value_range, value_range_warnings
from headstart.data.index import ImageIndex
from headstart.data.load import load_index
from headstart.data.pixel_cache import Files

TRAINED = ("freeze=none", "epochs=3", "optimizer.learning_rate=1e-2")


def grey(seed: int = 0, size: int = 20) -> np.ndarray:
    """Return a picture of 8 bits that uses all of them."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size))
    pixels[0, :2] = 0, 255
    return pixels


def colour() -> np.ndarray:
    return np.stack([grey(1), grey(2), grey(3)], axis=-1)


def twelve_bits(pixels: np.ndarray) -> np.ndarray:
    return np.rint(pixels * (4095 / 255)).astype(int)


def opaque(values: np.ndarray) -> np.ndarray:
    """Return values with a last channel of full opacity."""
    values = values if values.ndim == 3 else values[..., None]
    return np.concatenate([values, np.full_like(values[..., :1], 65535)], axis=-1)


FILES = {
    "png grey": png16(twelve_bits(grey())),
    "png grey and alpha": png16(opaque(twelve_bits(grey()))),
    "png colours": png16(twelve_bits(colour())),
    "png colours and alpha": png16(opaque(twelve_bits(colour()))),
    "tiff": tiff(twelve_bits(grey())),
    "tiff big-endian": tiff(twelve_bits(grey()), order=">"),
    "tiff deflate": tiff(twelve_bits(grey()), deflate=True),
    "tiff big-endian deflate": tiff(twelve_bits(grey()), order=">", deflate=True),
    "tiff signed": tiff(twelve_bits(grey()), form=SIGNED),
    "tiff signed big-endian deflate": tiff(twelve_bits(grey()), form=SIGNED, order=">", deflate=True),
    "tiff 32 bits": tiff(twelve_bits(grey()), bits=32),
    "tiff signed 32 bits": tiff(twelve_bits(grey()), bits=32, form=SIGNED),
    "tiff signed 32 bits big-endian deflate": tiff(twelve_bits(grey()), bits=32, form=SIGNED, order=">", deflate=True),
    "tiff float": tiff(twelve_bits(grey()), bits=32, form=FLOAT),
    "tiff float big-endian deflate": tiff(twelve_bits(grey()), bits=32, form=FLOAT, order=">", deflate=True),
    "tiff white is zero": tiff(4095 - twelve_bits(grey()), photometric=0),
    "tiff colours": tiff(twelve_bits(colour()), photometric=2),
    "tiff colours big-endian": tiff(twelve_bits(colour()), photometric=2, order=">"),
    "tiff colours deflate": tiff(twelve_bits(colour()), photometric=2, deflate=True),
    "tiff colours big-endian deflate": tiff(twelve_bits(colour()), photometric=2, order=">", deflate=True),
    "tiff colours and alpha": tiff(opaque(twelve_bits(colour())), photometric=2, more=[(338, 3, [2])]),
}


def as_eight_bits(name: str, size: int = 20) -> np.ndarray:
    pixels = colour() if "colours" in name else np.repeat(grey()[..., None], 3, axis=-1)
    return np.asarray(Image.fromarray(pixels.astype(np.uint8)).resize((size, size), Image.Resampling.BILINEAR))


@pytest.mark.parametrize("name", FILES)
def test_twelve_bits_look_like_eight_bits(name: str) -> None:
    found = verify_image(FILES[name])
    assert found is not None
    assert (found.low, found.high) == (0, 4095)
    for size in (20, 11):
        pixels = load_image(FILES[name], size, "stretch", value_range=(0, 4095))
        np.testing.assert_array_equal(pixels, as_eight_bits(name, size))


@pytest.mark.parametrize(
    "data",
    [
        png16(grey() * 257),
        png16(colour() * 257),
        tiff(grey() * 257, order=">"),
        tiff(colour() * 257, photometric=2, planar=True),
        tiff(colour() * 257, photometric=2, planar=True, deflate=True),
        tiff(65535 - grey() * 257, photometric=0),
    ],
)
def test_fully_used_sixteen_bits_need_no_range(data: bytes) -> None:
    three = data in (png16(colour() * 257), *(tiff(colour() * 257, 16, 1, 2, "<", True, packed) for packed in (0, 1)))
    expected = as_eight_bits("colours" if three else "grey")
    for value_range in (None, (0.0, 65535.0)):
        np.testing.assert_array_equal(load_image(data, 20, "stretch", value_range=value_range), expected)


def test_transparent_colours_of_sixteen_bits_are_white() -> None:
    values = twelve_bits(colour())
    hidden = tuple(int(value) for value in values[3, 4])
    data = png16(values, (b"tRNS", np.array(hidden, ">u2").tobytes()))
    for value_range in (None, (0, 4095)):
        assert load_image(data, 20, "stretch", value_range=value_range)[3, 4].tolist() == [255, 255, 255]
    grey_value = int(twelve_bits(grey())[3, 4])
    data = png16(twelve_bits(grey()), (b"tRNS", np.array([grey_value], ">u2").tobytes()))
    assert load_image(data, 20, "stretch", value_range=(0, 4095))[3, 4].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (tiff(np.full((4, 4), np.nan), 32, FLOAT), "infinite or not a number"),
        (tiff(np.full((4, 4), np.inf), 32, FLOAT), "infinite or not a number"),
        (tiff(np.full((4, 4), 0.5), 64, FLOAT), "TIFF of 1 samples of 64 bits, floating-point"),
        (tiff(twelve_bits(colour()), photometric=2, planar=True), "only their high bytes can be read"),
    ],
)
def test_values_that_cannot_be_used_are_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableImageError, match=reason):
        verify_image(data)


def test_negative_signed_bytes_are_not_bright() -> None:
    found = verify_image(tiff(np.array([[-5, 100]]), 8, SIGNED))
    assert found is not None
    assert (found.kind, found.low, found.high) == ("signed 8-bit", -5, 100)
    pixels = load_image(tiff(np.array([[-128, 127]]), 8, SIGNED), 2, "stretch", value_range=(-128, 127))
    assert pixels[0, :, 0].tolist() == [0, 255]


def values(low: float, high: float, kind: str = "16-bit", bright: float | None = None, whole: bool = True) -> Values:
    return Values(kind, low, high, high if bright is None else bright, whole)


def fractions(low: float, high: float) -> Values:
    return values(low, high, "floating-point", whole=False)


@pytest.mark.parametrize(
    ("setting", "measured", "expected"),
    [
        ("auto", [], None),
        ([0, 10], [], None),
        ("auto", [values(3, 4080)], (0, 4095)),
        ("auto", [values(3, 900), values(0, 1023)], (0, 1023)),
        ("auto", [values(0, 4096)], (0, 8191)),
        ("auto", [values(0, 1)], (0, 255)),
        ("auto", [values(0, 65535)], (0, 65535)),
        ("auto", [values(0, 70_000, "32-bit")], (0, 131_071)),
        ("auto", [values(0, 4000, "floating-point")], (0, 4095)),
        ("auto", [values(0, 1, "floating-point")], (0, 1)),
        ("auto", [fractions(0, 0.7)], (0, 1)),
        ("full", [values(0, 4095)], (0, 65535)),
        ([-1000, 3000], [values(-1024, 3071, "signed 16-bit")], (-1000, 3000)),
        ([0, 50], [fractions(0, 37.2)], (0, 50)),
    ],
)
def test_the_range_of_a_dataset(setting: Any, measured: list[Values], expected: tuple[float, float] | None) -> None:
    chosen, _ = choose_value_range(setting, {f"{number}.png": one for number, one in enumerate(measured)})
    assert chosen == expected


@pytest.mark.parametrize(
    ("setting", "measured", "sentence"),
    [
        (
            "auto",
            [values(-1024, 3071, "signed 16-bit")],
            r"\[LOW,HIGH\] for values below zero.*use values -1024 to 3071",
        ),
        ("auto", [fractions(0, 254.5)], r"\[LOW,HIGH\].*floating-point images .* 0 to 254.5"),
        ("auto", [fractions(-0.2, 1)], r"\[LOW,HIGH\].*floating-point images .* -0.2 to 1"),
        ("auto", [fractions(0, 1), values(0, 4095)], "the same range of values.*floating-point.*, but 16-bit"),
        ("full", [values(0, 70_000, "32-bit")], "from 0 to 65535 for dataset.value_range=full.*70000"),
        ("full", [fractions(0, 1)], "value_range=full.*floating-point"),
    ],
)
def test_an_ambiguous_range_is_refused(setting: Any, measured: list[Values], sentence: str) -> None:
    with pytest.raises(HeadstartError, match=sentence):
        choose_value_range(setting, {f"{number}.png": one for number, one in enumerate(measured)})


@pytest.mark.parametrize(
    ("setting", "measured", "sentence"),
    [
        (
            "auto",
            [values(0, 4095)] * 3,
            "16-bit images (3, for example 0.png) use values 0 to 4095: read as 12 bits (dataset.value_range=auto); "
            "dataset.value_range=full reads 0 to 65535",
        ),
        (
            [0, 100],
            [values(0, 90), values(0, 200)],
            "16-bit images (2, for example 0.png) use values 0 to 200: those outside dataset.value_range=[0,100] "
            "become black or white (1 images, for example 1.png)",
        ),
        (
            "auto",
            [values(0, 65535, bright=3900), values(0, 4095, bright=4000), values(0, 60_000)],
            "Images that are nearly black when their values are read as 0 to 65535 (2 of 3): 99 % of the values of "
            "each are at most 4000, 0.png, 1.png; dataset.value_range=[0,HIGH] sets another range for all images",
        ),
    ],
)
def test_the_notes_on_the_range(setting: Any, measured: list[Values], sentence: str) -> None:
    _, notes = choose_value_range(setting, {f"{number}.png": one for number, one in enumerate(measured)})
    assert notes == (sentence,)


def test_usual_data_gets_no_note() -> None:
    assert choose_value_range("auto", {"0.png": values(0, 65535)}) == ((0, 65535), ())
    assert choose_value_range("full", {"0.png": values(0, 4095)}) == ((0, 65535), ())


@pytest.mark.parametrize(
    "setting", ["[1]", "[2,1]", "[0,0]", "[a,b]", "[0,.inf]", "[0,1,2]", "bits", "7", "null", "{a: 1}"]
)
def test_a_wrong_setting_is_refused(setting: str) -> None:
    with pytest.raises(HeadstartError, match=r"dataset\.value_range to be auto, full or \[LOW,HIGH\]"):
        compose([f"dataset.value_range={setting}"])


def test_valid_settings_are_accepted() -> None:
    for given, expected in (("auto", "auto"), ("full", "full"), ("[-3,2.5]", [-3, 2.5])):
        assert compose([f"dataset.value_range={given}"]).dataset.value_range == expected


# Data sets


def write_stripes(directory: Path, bits: int, count: int = 10) -> Path:
    """Write grey pictures with lines across or upright, of 8 bits, or the same ones of 12 bits in files of 16."""
    generator = np.random.default_rng(0)
    for name in ("across", "upright"):
        (directory / name).mkdir(parents=True)
        for number in range(count):
            lines = np.tile(np.arange(24) // 3 % 2 * 160, (24, 1)) + generator.integers(0, 95, (24, 24))
            pixels = lines.T if name == "across" else lines
            data = png16(twelve_bits(pixels))
            if bits == 8:
                Image.fromarray(pixels.astype(np.uint8)).save(directory / name / f"{number}.png")
            else:
                (directory / name / f"{number}.png").write_bytes(data)
    return directory


def checked(root: Path, cache: Path, **settings: Any) -> tuple[ImageIndex, DataReport]:
    config = DatasetConfig(name="folder", source="folder", root=str(root), **settings)
    return check_images(load_index(config, cache), config.bad_images, cache, config.value_range)


def pixels_of(index: ImageIndex) -> np.ndarray:
    return next(Files(index, 24, "stretch").batches(iter([np.arange(len(index))])))


def test_a_dataset_is_read_with_the_bits_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep, report = checked(write_stripes(tmp_path / "deep", 12), tmp_path / "cache")
    plain, plain_report = checked(write_stripes(tmp_path / "plain", 8), tmp_path / "cache")
    assert deep.value_range == (0, 4095)
    assert [warning for warning in report.warnings() if "read as 12 bits" in warning]
    np.testing.assert_array_equal(pixels_of(deep), pixels_of(plain))
    # Nothing changes for ordinary data: no range, no word, the keys that its cached pixels had.
    assert plain.value_range is None
    assert not [warning for warning in plain_report.warnings() if "value" in warning]
    assert plain.pixel_keys == plain.digests
    assert set(deep.pixel_keys).isdisjoint(deep.digests)

    monkeypatch.setattr("headstart.data.files.checks.verify_image", lambda *_: pytest.fail("a file was read again"))
    again, report_again = checked(tmp_path / "deep", tmp_path / "cache")
    assert (again.value_range, report_again) == (deep.value_range, report)
    full, _ = checked(tmp_path / "deep", tmp_path / "cache", value_range="full")
    assert full.value_range == (0, 65535)
    assert pixels_of(full).max() == 16
    assert not set(full.pixel_keys) & set(deep.pixel_keys)


def test_eight_bit_files_beside_deeper_ones_do_not_change(tmp_path: Path) -> None:
    root = write_pictures(tmp_path / "root", {"cat": 6, "dog": 6})
    Image.fromarray(grey().astype(np.uint8)).save(root / "cat" / "photo.jpg")
    before = pixels_of(checked(root, tmp_path / "cache")[0])
    (root / "dog" / "zzz.png").write_bytes(png16(twelve_bits(grey())))
    index, _ = checked(root, tmp_path / "cache")
    assert index.value_range == (0, 4095)
    plain = [position for position, path in enumerate(index.paths) if path != "dog/zzz.png"]
    after = pixels_of(index.take(plain))
    assert sorted(map(bytes, after)) == sorted(map(bytes, before))


def test_new_pictures_outside_the_range_are_noted(tmp_path: Path) -> None:
    (tmp_path / "dark.png").write_bytes(png16(twelve_bits(grey())))
    (tmp_path / "bright.tif").write_bytes(tiff(grey() * 257))
    (tmp_path / "none.png").write_bytes(b"no image")
    Image.new("RGB", (8, 8)).save(tmp_path / "plain.png")
    files = sorted(tmp_path.iterdir())
    [dark] = value_range_warnings(files, None)
    assert "use values 0 to 4095, which are nearly black: 0 to 65535 is read, since the classifier saw no such" in dark
    [clipped] = value_range_warnings(files, (0, 4095))
    assert "0 to 65535; those outside 0 to 4095 become black or white" in clipped
    assert value_range_warnings(files, (0, 65535)) != []
    assert value_range_warnings([tmp_path / "plain.png", tmp_path / "bright.tif"], None) == []


def run_on(directory: Path, bits: int, *overrides: str) -> Path:
    """Train on pictures of 8 bits or on the same ones of 12 bits in files of 16, and return the run's directory."""
    from headstart.run.experiment import run

    root = write_stripes(directory / "root", bits)
    (directory / "run").mkdir()
    run(compose([*TINY, f"dataset.root={root}", *overrides]), directory / "run")
    return directory / "run"


@pytest.fixture(scope="module")
def deep_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_on(tmp_path_factory.mktemp("deep"), 12, "epochs=1")


def predictions(run: Path) -> list[dict[str, str]]:
    with (run / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_the_saved_classifier_predicts_what_was_evaluated(deep_run: Path) -> None:
    assert json.loads((deep_run / "classifier" / "labels.json").read_text())["value_range"] == [0, 4095]
    assert json.loads((deep_run / "results.json").read_text())["dataset"]["value_range"] == [0, 4095]
    classifier = load_classifier(deep_run)
    rows = predictions(deep_run)
    files = [deep_run.parent / "root" / row["path"] for row in rows]
    answers = np.stack([answer for _, answer in classifier.predict(files)])
    expected = [[float(row[f"probability_{name}"]) for name in classifier.class_names] for row in rows]
    np.testing.assert_allclose(answers, expected, atol=1e-5)


@pytest.mark.slow
def test_serving_and_exports_read_by_the_same_range(deep_run: Path, tmp_path: Path) -> None:
    import pandas as pd

    from headstart.classifier.export import export_classifier
    from headstart.classifier.serving import PictureClassifier

    classifier = load_classifier(deep_run)
    served = PictureClassifier()
    served.classifier = classifier
    rows = predictions(deep_run)
    contents = [(deep_run.parent / "root" / row["path"]).read_bytes() for row in rows]
    answers = served.predict(None, pd.DataFrame({"image": contents}))["probabilities"]
    for answer, row in zip(answers, rows, strict=True):
        for name in classifier.class_names:
            assert answer[name] == pytest.approx(float(row[f"probability_{name}"]), abs=1e-5)
    exported = export_classifier(classifier, "savedmodel", tmp_path / "exported")
    assert json.loads((exported.directory / "labels.json").read_text())["value_range"] == [0, 4095]


@pytest.mark.slow
def test_twelve_bits_train_as_eight_bits_do_and_as_sixteen_they_do_not(tmp_path: Path) -> None:
    plain = run_on(tmp_path / "plain", 8, *TRAINED)
    deep = run_on(tmp_path / "deep", 12, *TRAINED)
    dark = run_on(tmp_path / "dark", 12, *TRAINED, "dataset.value_range=full")
    assert predictions(deep) == predictions(plain)
    results = [json.loads((run / "results.json").read_text()) for run in (plain, deep, dark)]
    accuracies = [found["splits"]["test"]["accuracy"] for found in results]
    assert accuracies[:2] == [1, 1]
    assert accuracies[2] < 1


@pytest.mark.parametrize("saved", [[1], [5, 1], "auto", [0, "1"], {"low": 0}])
def test_a_damaged_range_is_refused(deep_run: Path, saved: Any, tmp_path: Path) -> None:
    directory = Path(shutil.copytree(deep_run / "classifier", tmp_path / "classifier"))
    labels = json.loads((directory / "labels.json").read_text())
    (directory / "labels.json").write_text(json.dumps({**labels, "value_range": saved}))
    with pytest.raises(HeadstartError, match=r"value_range in labels\.json"):
        load_classifier(directory)
