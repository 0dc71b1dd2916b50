"""The reference of all keys is made from the schema."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

from headstart.config import Config
from headstart.config.keys import keys_of

ROOT = Path(__file__).parents[2]


def script() -> ModuleType:
    """Return the program as a module."""
    file = ROOT / "scripts" / "docs" / "configuration_page.py"
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8") == script().page()


def test_every_key_is_on_the_page() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    for key in keys_of(Config):
        if not key.name.startswith("freeze.stages.*.optimizer."):  # which are those of `optimizer`
            assert f"| `{key.name.replace('*', 'N')}` |" in page
    assert "(formerly `block_decay`)" in page
