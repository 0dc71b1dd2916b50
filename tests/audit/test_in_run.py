"""In a run, the audit adds a section to the data report, warnings, a page and a table."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from planted import named, scenes, write

from headstart.audit.in_run import audit_run
from headstart.config import Config, compose
from headstart.data.files.checks import check_images
from headstart.data.load import load_index


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pictures = scenes(48)
    training = named(pictures[:24], ("train/cat", "train/dog"))
    others = named(pictures[24:], ("validation/cat", "validation/dog", "test/cat", "test/dog"))
    copy = {"test/cat/copy.png": pictures[0].resize((150, 150))}
    return write(tmp_path_factory.mktemp("run") / "pictures", {**training, **others, **copy})


def audited(root: Path, output: Path, *overrides: str) -> tuple[Config, dict, list[str]]:
    config = compose(["dataset=folder", f"dataset.root={root}", "cache=off", *overrides])
    index, report = check_images(load_index(config.dataset, output), "fail", output)
    described, warnings = audit_run(config, index, report, 32, output)
    return config, described, warnings


def test_the_data_report_has_a_section_and_a_sentence(root: Path, tmp_path: Path) -> None:
    _, described, warnings = audited(root, tmp_path)
    sentence = (
        "1 of 13 test images are duplicates or near-duplicates of training images, so test scores are inflated by "
        "leakage: see data_report/audit.html"
    )
    assert sentence in warnings
    assert described["warnings"] == warnings
    assert described["audit"]["level"] == "quick"
    assert described["audit"]["findings"]["near_duplicate"] == 1
    assert (tmp_path / "data_report" / "audit.html").stat().st_size > 1000
    assert (tmp_path / "data_report" / "audit.csv").exists()


def test_off_checks_nothing(root: Path, tmp_path: Path) -> None:
    _, described, warnings = audited(root, tmp_path, "audit=off")
    assert "audit" not in described
    assert warnings == []
    assert not (tmp_path / "data_report").exists()


def test_excluded_images_are_recorded_and_reported(root: Path, tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    audited(root, tmp_path / "first")
    table = tmp_path / "first" / "data_report" / "audit.csv"
    with table.open(encoding="utf-8", newline="") as file:
        assert [row["path"] for row in csv.DictReader(file)] == ["train/cat/000.png"]
    (tmp_path / "second").mkdir()
    config, described, warnings = audited(root, tmp_path / "second", f"dataset.exclude={table}")
    assert warnings == [f"dataset.exclude={table} left 1 image out"]
    assert described["excluded"]["file"] == config.dataset.exclude == str(table)
    copy = tmp_path / "second" / described["excluded"]["copy"]
    assert copy.read_bytes() == table.read_bytes()
