"""Text on the console: a terminal breaks it between words, a pipe or file not at all."""

from __future__ import annotations

import io

import pytest

from headstart.core.text_console import TextConsole

SENTENCE = "Most confused: 猫 taken for 犬 (4 images), 8 taken for 7 (2 images), 8 taken for 9 (2 images)"


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> TextConsole:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    return TextConsole(file=io.StringIO())


def printed(console: TextConsole, *objects: object, **options: object) -> list[str]:
    console.print(*objects, **options)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_a_terminal_breaks_a_sentence_between_words(terminal: TextConsole) -> None:
    lines = printed(terminal, SENTENCE, markup=False)
    assert lines == [
        "Most confused: 猫 taken for 犬 (4",
        "  images), 8 taken for 7 (2 images), 8",
        "  taken for 9 (2 images)",
    ]


def test_what_follows_a_label_stands_below_its_text(terminal: TextConsole) -> None:
    lines = printed(terminal, "  [bold]data[/]       1,042 images of ten classes, none of them broken\nnext")
    assert [line.replace("\x1b[1m", "").replace("\x1b[0m", "") for line in lines] == [
        "  data       1,042 images of ten",
        "             classes, none of them",
        "             broken",
        "next",
    ]


def test_a_word_and_what_is_copied_are_never_broken(terminal: TextConsole) -> None:
    path = "/tmp/" + "directory/" * 6
    assert printed(terminal, f"  directory  {path} is new") == [f"  directory  {path}", "             is new"]
    command = "headstart predict latest " + "image " * 10
    assert printed(terminal, command, soft_wrap=True)[2:] == [command]


def test_elsewhere_a_text_is_one_line_without_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert printed(TextConsole(file=io.StringIO()), "[red]red[/]", SENTENCE, ":cat:.png") == [
        f"red {SENTENCE} :cat:.png"
    ]
