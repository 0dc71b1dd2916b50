"""What README and docs tell people to type: it composes, and the files they name are there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from conftest import jobs_of

from headstart.config import compose

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = {page.name: page.read_text(encoding="utf-8") for page in PAGES}
# A command is a line of a block, or stands between backticks.
COMMANDS = sorted(
    {
        match[0]
        for text in TEXTS.values()
        for match in re.finditer(r"python (?:run\.py|scripts/\w+\.py)[^\n`|]*", text)
        if "GROUP=OPTION" not in match[0]
    }
)


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("python run.py ")])
def test_every_run_in_the_documentation_composes(command: str) -> None:
    if {"--help", "--cfg"} & set(shlex.split(command, comments=True)):
        return
    words = [word for word in shlex.split(command, comments=True)[2:] if not word.startswith(("-m", "hydra", "+hydra"))]
    for overrides in jobs_of(words):
        if "freeze=from_mixed9" not in overrides:  # the file that the README shows how to write
            compose(overrides)


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("python scripts/")])
def test_every_script_in_the_documentation_is_there(command: str) -> None:
    assert (ROOT / shlex.split(command, comments=True)[1]).is_file()


@pytest.mark.parametrize("page", sorted(TEXTS))
def test_every_link_to_a_file_leads_somewhere(page: str) -> None:
    directory = ROOT if page == "README.md" else ROOT / "docs"
    for target in re.findall(r"\]\(([^)#]+)\)", TEXTS[page]):
        assert target.startswith("http") or (directory / target).is_file(), target
