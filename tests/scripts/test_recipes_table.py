"""The table of the recipes: written from real runs, and again the same."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from types import ModuleType

import pytest
from conftest import TINY

from headstart.config import compose
from headstart.core.paths import conf_directory
from headstart.run.experiment import run

ROOT = Path(__file__).parents[2]


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the script, with copies of the page and of the configuration in place of the real ones."""
    specification = importlib.util.spec_from_file_location(
        "recipes_table", ROOT / "scripts" / "docs" / "recipes_table.py"
    )
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    shutil.copytree(conf_directory() / "experiment", tmp_path / "conf" / "experiment")
    (tmp_path / "page.md").write_text("Before.\n\n<!-- recipes -->\n<!-- /recipes -->\n\nAfter.\n")
    monkeypatch.setattr(module, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(module, "MEASURED", tmp_path / "results")
    monkeypatch.setattr(module, "conf_directory", lambda: tmp_path / "conf")
    return module


@pytest.fixture(scope="module")
def recipe_run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a tiny run that says it follows a recipe."""
    directory = tmp_path_factory.mktemp("recipe")
    overrides = [*TINY, f"dataset.root={folder}", "freeze=last_block", "epochs=1", "evaluate_after_each_stage=true"]
    run(compose([*overrides, "recipe.name=dogs_vs_cats", "recipe.published=words"]), directory)
    return directory


@pytest.mark.slow
def test_a_run_appears_in_the_table_and_in_its_recipe(script: ModuleType, recipe_run: Path, tmp_path: Path) -> None:
    assert script.main([str(recipe_run)]) == 0
    results = json.loads((recipe_run / "results.json").read_text())
    page = (tmp_path / "page.md").read_text()
    test = results["splits"]["test"]
    row = next(line for line in page.splitlines() if "`dogs_vs_cats`" in line)
    assert f"{test['accuracy']:.2%} ({test['accuracy_low']:.1%} to {test['accuracy_high']:.1%}) of 6" in row
    assert f"after the stage head {results['stages']['head']['test']['accuracy']:.1%}" in row
    assert f"| {results['seconds']['total']:.0f} s |" in row
    assert "small_cnn" in row
    assert page.startswith("Before.")
    assert page.endswith("After.\n")
    recipe = (tmp_path / "conf" / "experiment" / "dogs_vs_cats.yaml").read_text()
    assert f"# Measured: {test['accuracy']:.2%}" in recipe
    kept = (tmp_path / "results" / "dogs_vs_cats-small_cnn.json").read_text()
    assert str(recipe_run.parent) not in kept.replace(json.dumps(results["command"]), "")  # no paths of the machine


@pytest.mark.slow
def test_unmeasured_recipes_are_marked_and_a_second_run_changes_nothing(
    script: ModuleType, recipe_run: Path, tmp_path: Path
) -> None:
    assert script.main([str(recipe_run)]) == 0
    files = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    row = next(line for line in (tmp_path / "page.md").read_text().splitlines() if "`food11`" in line)
    assert "76-78 % after the head, 88 % after fine-tuning" in row
    assert "not measured yet" in row
    assert "# Measured: not measured yet." in (tmp_path / "conf" / "experiment" / "food11.yaml").read_text()
    assert script.main([str(recipe_run)]) == 0
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == files


def test_a_run_without_a_recipe_is_refused(
    script: ModuleType, finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (tmp_path / "page.md").read_text()
    assert script.main([str(finished_run)]) == 1
    assert "Expected a finished run of a recipe" in capsys.readouterr().err.replace("\n", " ")
    assert (tmp_path / "page.md").read_text() == before


def test_the_page_of_the_project_is_what_the_script_writes(script: ModuleType) -> None:
    kept = [json.loads(file.read_text()) for file in sorted((ROOT / "docs" / "results").glob("*.json"))]
    assert script.recipes_block(kept) in (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
