"""`headstart train --help` is one screen; `--help GROUP` and `--help KEY` say the rest."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from headstart.cli.help import FIRST_KEYS, GROUPS, print_help
from headstart.cli.options import option_groups, recipe_options
from headstart.config import Config
from headstart.config.fields import Decides
from headstart.config.keys import keys_of
from headstart.config.suggestions import group_names
from headstart.core.console import console

Shown = Callable[..., str]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shown:
    """Return a function that gives what `headstart train --help` prints about topics, 100 columns wide."""
    monkeypatch.setattr(console, "_width", 100)

    def show(*topics: str) -> str:
        assert print_help(["--help", *topics]) == 0
        return capsys.readouterr().out

    return show


def test_the_first_screen_is_one_screen_with_every_group_and_every_key_outside_of_groups(shown: Shown) -> None:
    text = shown()
    lines = text.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 100
    for group in GROUPS:
        assert re.search(rf"^  {group}(=\w+)?  +\w", text, re.MULTILINE), group
    for key in keys_of(Config):
        if "." not in key.name:
            assert re.search(rf"\b{key.name}\b", text), key.name
    assert text.index("epochs=null") < text.index("Other keys") < text.index("label_smoothing")


def test_what_the_first_screen_lists_exists() -> None:
    assert set(FIRST_KEYS) <= {key.name for key in keys_of(Config)}
    assert set(GROUPS) | {"recipe"} == set(group_names())


@pytest.mark.parametrize("group", GROUPS)
def test_the_help_of_a_group_has_its_options_and_keys(group: str, shown: Shown) -> None:
    text = shown(group)
    for option in option_groups().get(group, {}):
        assert len(re.findall(rf"^  {option}  +\S", text, re.MULTILINE)) == 1, option
    for key in keys_of(Config):
        if key.name.startswith(f"{group}.") and ".optimizer." not in key.name and key.field.default_factory is not dict:
            named = re.search(rf"^  {re.escape(key.name.replace('*', 'N'))}(=\S*)?  +\S", text, re.MULTILINE)
            assert (named is None) == (key.decides is Decides.NAME), key.name


def test_options_that_only_a_recipe_needs_come_apart(shown: Shown) -> None:
    of_recipes = {"birds_finetune", "birds_inceptionv3", "food11", "sign_language", "sign_language_lite0"}
    assert recipe_options("freeze") == of_recipes
    text = shown("freeze")
    assert text.index("  two_thirds  ") < text.index("Of recipes") < text.index("  birds_finetune  ")
    assert recipe_options("head") == set()


def test_common_keys_come_first(shown: Shown) -> None:
    text = shown("dataset")
    assert text.index("  dataset.root=") < text.index("  dataset.fraction=") < text.index("  dataset.max_pixels=")


def test_the_help_of_a_key_says_what_it_accepts_and_its_default(shown: Shown) -> None:
    text = shown("optimizer.learning_rate=0.1")
    assert text.startswith("optimizer.learning_rate: learning rate of the head and the top block\n")
    assert re.search(r"accepts +a number above 0\n", text)
    assert re.search(r"default +0.001 \(of optimizer=adam\)\n", text)
    assert "accepts       none, balanced, inverse\n" in shown("class_weight")
    assert "that of optimizer.learning_rate" in shown("freeze.stages.1.optimizer.learning_rate")
    assert "the schedule sets it" in shown("freeze.stages.0.epochs")


def test_the_help_of_a_part_of_a_group_has_its_keys(shown: Shown) -> None:
    assert shown("optimizer.schedule").count("\n  optimizer.schedule.") >= 3


def test_an_unknown_topic_gets_a_tip(capsys: pytest.CaptureFixture[str]) -> None:
    assert print_help(["--help", "bakbone"]) == 1
    said = capsys.readouterr()
    assert (said.out, said.err.splitlines()[0]) == ("", "error: unknown key 'bakbone'")
    assert "tip: did you mean backbone?" in said.err
