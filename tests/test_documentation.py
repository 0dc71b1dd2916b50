"""The pages: commands compose or parse, links and file names lead somewhere, what states the version agrees."""

from __future__ import annotations

import functools
import importlib
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import jobs_of

from headstart.config import compose

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8") for page in PAGES}
PROGRAM = re.compile(r"python (?:run|scripts/[\w/]+)\.py\b|headstart(?= [a-z])")
OF_HYDRA = ("-m", "hydra", "+hydra")


def commands_of(text: str) -> Iterator[str]:
    """Yield the commands of a page: of the lines of its blocks, and of what stands between backticks."""
    parts = re.split(r"^```.*$", text, flags=re.MULTILINE)
    lines = [line for block in parts[1::2] for line in block.splitlines()]
    for line in [*lines, *(code for prose in parts[::2] for code in re.findall(r"`([^`\n]+)`", prose))]:
        for match in PROGRAM.finditer(line):
            if not line[: match.start()].strip("# ") or line[: match.start()].endswith(("runs ", "-- ", "&& ")):
                yield line[match.start() :]


def headings_of(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


# One that is now another one is named where it changed.
COMMANDS = sorted({command for page, text in TEXTS.items() if page != "CHANGELOG.md" for command in commands_of(text)})
TRAINING = re.compile(r"(?:python run\.py|headstart train)(?: |$)")


@pytest.mark.parametrize("command", [command for command in COMMANDS if TRAINING.match(command)])
def test_every_run_in_the_documentation_composes(command: str) -> None:
    words = shlex.split(command, comments=True)[2:]
    if {"--help", "--cfg"} & set(words):
        return
    # Whatever the seed, a job composes or does not.
    words = [word for word in words if not word.startswith((*OF_HYDRA, "seed="))]
    for overrides in jobs_of(words):
        if "freeze=from_mixed9" not in overrides:  # the file that the README shows how to write
            compose_once(overrides)


@functools.cache
def compose_once(overrides: tuple[str, ...]) -> None:
    """Compose what several commands have in common once."""
    compose(overrides)


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("headstart ")])
def test_every_command_in_the_documentation_is_understood(command: str) -> None:
    main = pytest.importorskip("headstart.cli.main")
    _, name, *words = shlex.split(command, comments=True)
    assert name in main.COMMANDS
    if words and name != "train":  # which Hydra reads, see above
        importlib.import_module(f"headstart.cli.{name}").build_parser().parse_args(words)


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("python scripts/")])
def test_every_script_in_the_documentation_is_there(command: str) -> None:
    assert (ROOT / shlex.split(command, comments=True)[1]).is_file()


def test_the_pages_have_commands_of_every_kind() -> None:
    for beginning in ("python run.py ", "headstart train ", "headstart predict ", "python scripts/"):
        assert any(command.startswith(beginning) for command in COMMANDS), beginning


@pytest.mark.parametrize("page", sorted(TEXTS))
def test_every_link_leads_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXTS[page]):
        if not target.startswith("http"):
            path, _, anchor = target.partition("#")
            file = (ROOT / page).parent / path if path else ROOT / page
            assert file.is_file(), target
            assert not anchor or anchor in headings_of(file.read_text(encoding="utf-8")), target


def test_the_page_of_the_architecture_names_every_room_and_only_what_is_there() -> None:
    page = TEXTS["docs/architecture.md"]
    source = ROOT / "src" / "headstart"
    paths = re.findall(r"`([\w./]+(?:/|\.py))`", page)
    assert len(paths) > 40
    for path in paths:
        assert (source / path).exists() or (ROOT / path).exists(), path
    rooms = {f"{room.name}/" for room in source.iterdir() if (room / "__init__.py").exists()}
    assert rooms == set(re.findall(r"^\| `(\w+/)` \|", page, flags=re.MULTILINE))


def test_the_version_is_stated_once_and_the_citation_agrees() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= citation.keys()
    assert (str(citation["version"]), citation["license"]) == (project["version"], project["license"])


def test_the_changelog_has_the_sections_of_keep_a_changelog() -> None:
    versions = re.split(r"^## ", TEXTS["CHANGELOG.md"], flags=re.MULTILINE)[1:]
    assert versions[0].startswith("[Unreleased]\n")
    for text in versions:
        sections = re.findall(r"^### (.+)$", text, flags=re.MULTILINE)
        assert set(sections) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
        assert len(sections) == len(set(sections))


@pytest.mark.parametrize("form", ["bug.yml", "feature.yml"])
def test_the_issue_forms_are_valid(form: str) -> None:
    read: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / form).read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= read.keys()
    fields = [field for field in read["body"] if field["type"] != "markdown"]
    assert len({field["id"] for field in fields}) == len(fields)
    assert all(field["attributes"]["label"] for field in fields)
