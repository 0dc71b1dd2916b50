"""Overrides are parsed by Hydra's own grammar, in one place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from headstart.config import (
    drop_overrides,
    find_override_value,
    override_key,
    override_value,
    quote_value,
    select_overrides,
    swept_values,
)

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("word", "key", "value"),
    [
        ("seed=3", "seed", "3"),
        ("+seed=1e3", "seed", "1e3"),
        ("++dataset.root='/a b'", "dataset.root", "/a b"),
        ("head@other=linear", "head", "linear"),
        ("~experiment", "experiment", ""),
        ("resume=/runs/2026-01-01_10-00-00", "resume", "/runs/2026-01-01_10-00-00"),
        ("resume=1e34", "resume", "1e34"),
        ("resume=/runs/a,b", "resume", "/runs/a,b"),
        ("resume=/runs/a(b", "resume", "/runs/a(b"),
        ('sweep.name="it\'s"', "sweep.name", "it's"),
        ("--multirun", "--multirun", ""),
    ],
)
def test_key_and_value_of_a_word(word: str, key: str, value: str) -> None:
    assert (override_key(word), override_value(word)) == (key, value)


def test_the_last_value_of_a_key_is_the_one_that_is_given() -> None:
    words = ["seed=1", "-m", "optimizer.learning_rate=1", "seed=2"]
    assert find_override_value(words, "seed") == "2"
    assert find_override_value(words, "learning_rate") is None
    assert drop_overrides(words, ["seed"]) == ["-m", "optimizer.learning_rate=1"]
    assert select_overrides(words, ["seed", "-m"]) == ["seed=1", "-m", "seed=2"]


@pytest.mark.parametrize("value", ["plain", "it's", "a\\", "a\\'b", "a, b=(c)", ""])
def test_a_quoted_value_is_read_as_it_was(value: str) -> None:
    assert override_value(f"sweep.name={quote_value(value)}") == value


@pytest.mark.parametrize(
    ("word", "values"),
    [
        ("head=linear,dense512", ["linear", "dense512"]),
        ("cv.fold=range(3)", ["0", "1", "2"]),
        ("head=linear", []),
        ("nothing", []),
    ],
)
def test_the_values_of_a_sweep(word: str, values: list[str]) -> None:
    assert swept_values(word) == values


def test_no_other_code_takes_overrides_apart() -> None:
    pattern = re.compile(r"""partition\(["']=["']\)|split\(["']=["']|startswith\(\(?f?["'][\w.{}]+=|OverridesParser""")
    files = [*(ROOT / "src").rglob("*.py"), *(ROOT / "scripts").rglob("*.py"), ROOT / "run.py"]
    found = {file.name for file in files if pattern.search(file.read_text(encoding="utf-8"))}
    assert found == {"overrides.py", "option_files.py"}  # the second one joins and parts a sweeper's parameters
