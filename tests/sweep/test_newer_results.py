"""A job whose results a newer version of headstart wrote is left as it is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from conftest import TINY

from headstart.config import compose
from headstart.results.types import SCHEMA_VERSION
from headstart.sweep.results import find_job_directory, is_free


def test_a_job_of_a_newer_version_is_kept(finished_run: Path, folder: Path, tmp_path: Path) -> None:
    directory = tmp_path / "0"
    directory.mkdir()
    shutil.copy(finished_run / "results.json", directory)
    config = compose([*TINY, f"dataset.root={folder}", "freeze=last_block", "epochs=2"])
    assert find_job_directory(tmp_path, directory, config).state == "done"
    content = json.loads((directory / "results.json").read_text(encoding="utf-8"))
    (directory / "results.json").write_text(json.dumps({**content, "schema_version": SCHEMA_VERSION + 1}))
    place = find_job_directory(tmp_path, directory, config)
    assert place.state == "kept"
    assert "written by a newer headstart" in place.reason
    assert not is_free(directory, config)
