"""A classifier becomes an MLflow model without a search through all installed packages, which takes a second."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import importlib_metadata
import pytest

from headstart.tracking import save_served_model


def test_the_requirements_are_written_without_reading_every_installed_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.utils import environment, requirements_utils

    def search() -> None:
        pytest.fail("searched all installed packages")

    monkeypatch.setattr(requirements_utils, "_MODULES_TO_PACKAGES", None)
    monkeypatch.setattr(importlib_metadata, "packages_distributions", search)
    before = environment.warn_dependency_requirement_mismatches
    (tmp_path / "classifier").mkdir()
    (tmp_path / "classifier" / "labels.json").write_text("{}")
    save_served_model(tmp_path / "classifier", tmp_path / "model")
    requirements = (tmp_path / "model" / "requirements.txt").read_text().splitlines()
    assert f"keras=={version('keras')}" in requirements
    assert environment.warn_dependency_requirement_mismatches is before  # for whoever else uses MLflow
