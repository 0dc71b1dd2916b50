"""Tips for paths that do not exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.core.paths import tip_for_missing


def test_the_path_of_a_similar_name_is_suggested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos" / "cats").mkdir(parents=True)
    assert tip_for_missing(tmp_path / "photo" / "cats") == f"did you mean {tmp_path / 'photos' / 'cats'}?"
    monkeypatch.chdir(tmp_path)
    assert tip_for_missing(Path("phtoos")) == f"did you mean {tmp_path / 'photos'}?"


def test_else_what_exists_of_the_path_is_named(tmp_path: Path) -> None:
    assert tip_for_missing(tmp_path / "somewhere" / "else") == f"there is no somewhere in {tmp_path}"
    (tmp_path / "file").touch()
    assert tip_for_missing(tmp_path / "file" / "below") == ""  # what is no directory has no names
