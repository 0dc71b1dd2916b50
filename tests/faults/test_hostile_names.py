"""Names of files and classes that mean something to terminals, tables, figures and pages go through a whole run."""

from __future__ import annotations

import contextlib
import csv
import json
import os
from pathlib import Path

import pytest
from conftest import TINY, with_figures, write_pictures

from headstart.classifier.saved import load_classifier
from headstart.config import compose
from headstart.data.label_spelling import normalize_name
from headstart.run.experiment import run

NAMES = [
    *("new\nline", "tab\there", "\x1b[31mred", "quo\"te's", "emoji 😀", "עברית\u202e", "=HYPERLINK(1)", "<b>&amp;"),
    *("$x^{2$", "[red]x[bold]", "a,b;c", "back\\slash", "%s{0}", os.fsdecode(b"caf\xe9"), "x.jpg", " space "),
]


@pytest.mark.filterwarnings("ignore:Glyph:UserWarning")
@pytest.mark.parametrize("drawn", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_hostile_names_go_through_a_run(
    outputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], drawn: bool
) -> None:
    root = write_pictures(tmp_path / "root", dict.fromkeys(NAMES, 5))
    for name in NAMES:
        (root / name / "000.png").rename(root / name / f"{name}.png")
    directory = outputs / "runs" / f"hostile_{drawn}"
    directory.mkdir(parents=True)
    with with_figures() if drawn else contextlib.nullcontext():
        run(compose([*TINY, f"dataset.root={root}", "freeze=scratch", "epochs=1"]), directory)

    assert "\x1b[31m" not in capsys.readouterr().out
    rows = []
    for table in ("splits.csv", "predictions.csv"):
        with (directory / table).open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            rows.append(list(csv.DictReader(file)))
        assert all((root / row["path"]).is_file() for row in rows[-1])
        assert all(row["label"] == normalize_name(row["path"].split("/")[0]) for row in rows[-1])
    shown = {
        normalize_name(name) for name in NAMES
    }  # without the blanks around a name, and what nobody sees at its end
    assert {row["label"] for row in rows[0]} == shown
    assert {f"probability_{name}" for name in shown} < set(rows[1][0])
    results = json.loads((directory / "results.json").read_text(encoding="utf-8"))
    assert {found["name"] for found in results["splits"]["validation"]["per_class"]} == shown
    assert set(load_classifier(directory).class_names) == shown
    assert len(list((directory / "figures").glob("*.png"))) > (8 if drawn else 0)
