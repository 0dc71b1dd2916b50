"""Figures are written with the pixels that Matplotlib would save, those of a run as vectors too."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from conftest import with_figures
from matplotlib.figure import Figure
from PIL import Image
from tiny import index_of

from headstart.config import compose
from headstart.evaluation import writing
from headstart.evaluation.plots import calibration_figure
from headstart.evaluation.writing import save_figure


def test_a_figure_is_saved_with_the_pixels_of_matplotlib(tmp_path: Path) -> None:
    def figure() -> object:
        return calibration_figure(np.array([0, 1]), np.array([[0.75, 0.25], [0.4, 0.6]]), "Calibration")

    figure().savefig(tmp_path / "expected.png")  # type: ignore[attr-defined]
    save_figure(figure(), tmp_path / "written.png")  # type: ignore[arg-type]
    with Image.open(tmp_path / "written.png") as written, Image.open(tmp_path / "expected.png") as expected:
        assert written.format == "PNG"
        assert np.round(written.info["dpi"]).tolist() == np.round(expected.info["dpi"]).tolist() == [100, 100]
        np.testing.assert_array_equal(np.asarray(written), np.asarray(expected.convert("RGB")))


def test_the_source_names_the_directory_of_ones_own_images(folder: Path) -> None:
    config = compose(["dataset=folder", f"dataset.root={folder}", "freeze=last_block", "seed=3"])
    source = writing.figure_source("last_block s3", config, index_of(folder))
    assert source == f"run: last_block s3  ·  data: {folder.name}, 3 classes, 30 images"


def test_a_figure_of_a_run_is_written_for_print_and_as_vectors(tmp_path: Path) -> None:
    def figure() -> Figure:
        return calibration_figure(np.array([0, 1]), np.array([[0.75, 0.25], [0.4, 0.6]]), "Calibration", "run: a")

    with with_figures():
        writing.write_figure(figure(), tmp_path / "first.png")
        writing.write_figure(figure(), tmp_path / "second.png")
        writing.write_figure(figure(), tmp_path / "photographs.png", vector=False)
    with Image.open(tmp_path / "first.png") as written:
        assert np.round(written.info["dpi"]).tolist() == [200, 200]
        assert written.width == 1800
    drawn = (tmp_path / "first.svg").read_text(encoding="utf-8")
    assert drawn == (tmp_path / "second.svg").read_text(encoding="utf-8")
    assert ElementTree.fromstring(drawn).get("viewBox") == "0 0 648 576"  # 9 x 8 inches
    assert not (tmp_path / "photographs.svg").exists()
