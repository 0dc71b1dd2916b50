"""The reference of results.json is made from the types, and is up to date."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def script() -> ModuleType:
    specification = importlib.util.spec_from_file_location(
        "results_page", ROOT / "scripts" / "docs" / "results_page.py"
    )
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(script: ModuleType) -> None:
    assert script.main(["--check"]) == 0


def test_a_page_that_is_not_up_to_date_is_reported_and_written(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(script, "PAGE", tmp_path / "results.md")
    (tmp_path / "results.md").write_text("another page\n")
    assert script.main(["--check"]) == 1
    assert "is not up to date" in capsys.readouterr().out
    assert script.main([]) == 0
    assert script.main(["--check"]) == 0


def test_every_key_of_a_run_is_on_the_page(finished_run: Path) -> None:
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    results = json.loads((finished_run / "results.json").read_text(encoding="utf-8"))
    sections = [results, *(results[name] for name in ("dataset", "environment", "best_epoch", "parameters", "cache"))]
    sections += [results["splits"]["test"], results["splits"]["test"]["per_class"][0]]
    assert [key for section in sections for key in section if f"`{key}`" not in page] == []


def test_a_field_without_a_docstring_is_refused(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Undocumented, "__module__", "headstart.results.undocumented")
    monkeypatch.setattr(script.inspect, "getsource", lambda kind: "class Undocumented:\n    accuracy: float\n")
    with pytest.raises(ValueError, match=r"Undocumented\.accuracy has no docstring"):
        script._field_docstrings(Undocumented)


@dataclass(frozen=True)
class Undocumented:
    """A section."""

    accuracy: float
