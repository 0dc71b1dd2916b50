"""Write docs/results.md, the reference of results.json, from the types in `headstart.results`.

python scripts/docs/results_page.py          writes the page
python scripts/docs/results_page.py --check  fails if the page is not up to date
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import inspect
import sys
import types
import typing
from pathlib import Path
from typing import Any

from headstart.classifier import description
from headstart.core.console import console
from headstart.core.files import write_text
from headstart.results import types as results_types
from headstart.results.soup import Soup

PAGE = Path(__file__).absolute().parents[2] / "docs" / "results.md"
PLAIN = {str: "text", int: "integer", float: "number", bool: "true or false"}
TOP = f"""# The results of a run

<!-- Written by scripts/docs/results_page.py from the types in headstart.results: change those. -->

Every run writes `results.json` to its directory when it ends, and `running.json` with the same keys while it is in
progress. In Python, `headstart.results.file.read_results(directory)` returns them as a `RunResults`.

`schema_version` is {results_types.SCHEMA_VERSION}. Older files, which have a lower one or none, are upgraded when they
are read; files of a newer version are refused.
"""
MIDDLE = f"""
# The description of a saved classifier

The directory of a saved classifier holds `labels.json`, whose `schema_version` is {description.SCHEMA_VERSION}.
"""
SOUP = """
# The record of a soup

`headstart soup` writes `soup.json`.
"""


def main(arguments: list[str] | None = None) -> int:
    """Write or check the page, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the page is not up to date")
    options = parser.parse_args(arguments)
    text = page()
    if not options.check:
        write_text(PAGE, text)
        return 0
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    console.print(f"{PAGE} is not up to date. Run: python scripts/docs/results_page.py", markup=False, soft_wrap=True)
    return 1


def page() -> str:
    """Return the page."""
    parts: list[str] = []
    shown: set[type] = set()
    for head, root in ((TOP, results_types.RunResults), (MIDDLE, description.ClassifierDescription), (SOUP, Soup)):
        new = [kind for kind in _sections_of(root) if kind not in shown]
        parts += [head, *(_section(kind) for kind in new)]
        shown.update(new)
    return "\n".join(parts)


def _sections_of(kind: type) -> list[type]:
    """Return a dataclass and all that its fields hold, each once, in the order of the fields."""
    found = [kind]
    for hint in typing.get_type_hints(kind).values():
        for inner in _classes_in(hint):
            found += [one for one in _sections_of(inner) if one not in found]
    return list(dict.fromkeys(found))


def _classes_in(hint: Any) -> list[type]:
    """Return the dataclasses and named tuples in a type."""
    if dataclasses.is_dataclass(hint) or hasattr(hint, "_fields"):
        return [hint]
    return [one for argument in typing.get_args(hint) for one in _classes_in(argument)]


def _section(kind: type) -> str:
    """Return the table of a section."""
    hints = typing.get_type_hints(kind)
    lines = [
        f"## {kind.__name__}",
        "",
        inspect.cleandoc(kind.__doc__ or ""),
        "",
        "| key | value | meaning |",
        "| --- | --- | --- |",
    ]
    for name, text in _field_docstrings(kind).items():
        lines.append(f"| {_key(kind, name)} | {_words(hints[name], kind, name)} | {_cell(text)} |")
    return "\n".join([*lines, ""])


def _field_docstrings(kind: type) -> dict[str, str]:
    """Return the docstring below each field, those of the base classes first.

    Raises:
        ValueError: for a field without one.
    """
    found: dict[str, str] = {}
    for one in reversed([base for base in kind.__mro__ if base.__module__.startswith("headstart.")]):
        [body] = [node for node in ast.parse(inspect.getsource(one)).body if isinstance(node, ast.ClassDef)]
        for field, after in zip(body.body, [*body.body[1:], None], strict=True):
            if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
                continue
            if not (isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)):
                raise ValueError(f"{kind.__name__}.{field.target.id} has no docstring")
            found[field.target.id] = str(after.value.value)
    return found


def _key(kind: type, name: str) -> str:
    """Return the key of a field in the file."""
    metadata = _metadata(kind, name)
    if metadata.get("inline"):
        return "(these keys stand here)"
    return f"`{metadata['prefix']}NAME`" if "prefix" in metadata else f"`{name}`"


def _metadata(kind: type, name: str) -> dict[str, Any]:
    if not dataclasses.is_dataclass(kind):
        return {}
    [item] = [item for item in dataclasses.fields(kind) if item.name == name]
    return dict(item.metadata)


def _words(hint: Any, kind: type, name: str) -> str:
    """Return a type in words."""
    arguments, origin = typing.get_args(hint), typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        [inner] = [argument for argument in arguments if argument is not types.NoneType]
        has_default = dataclasses.is_dataclass(kind) and not _is_required(kind, name)
        return _words(inner, kind, name) + (", may be absent" if has_default else " or null")
    if origin is dict:
        if "prefix" in _metadata(kind, name):
            return _words(arguments[1], kind, name)
        return f"{_words(arguments[1], kind, name)} by name"
    if origin is tuple and arguments[-1] is Ellipsis:
        return f"list of {_words(arguments[0], kind, name)}"
    if origin is tuple:
        return f"list [{', '.join(_words(argument, kind, name) for argument in arguments)}]"
    return PLAIN.get(hint) or f"[{hint.__name__}](#{hint.__name__.lower()})"


def _is_required(kind: Any, name: str) -> bool:
    [item] = [item for item in dataclasses.fields(kind) if item.name == name]
    return item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
