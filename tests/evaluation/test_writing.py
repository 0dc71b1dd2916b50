"""Figures are written with the pixels that Matplotlib would save."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

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
