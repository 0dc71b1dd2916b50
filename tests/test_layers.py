"""The architecture as a test: which room imports which, who may import MLflow and Hydra, how long a function may be."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "headstart"

ANY = "*"  # every room above
# Each room with the rooms that it imports, from the bottom up: a room only ever imports from those above it in this
# table. An import inside a function or under TYPE_CHECKING counts too: what a room knows is what its code names.
ROOMS = {
    "core": "",
    "config": "core",
    "results": "core config",
    "cache": "core",
    "data": "core config cache",
    "inference": "core",
    "model": "core config",
    "features": "core config results cache data inference model",
    "training": "core config results cache data model features",
    "classifier": "core config results data inference model",
    "evaluation": "core config results cache data inference model features training classifier",
    "scenario": "core config results data model features training evaluation",
    "audit": "core config cache data model features training",
    "tracking": "core config results evaluation",
    "run": "core config results data inference model features training classifier evaluation scenario audit tracking",
    "comparison": "core config results data evaluation tracking",
    "soup": "core config results data model features classifier evaluation comparison",
    "sweep": "core config results data model tracking run comparison",
    "cli": ANY,  # programs use whatever they need
}
ENTRANCES = {"", "__main__"}  # modules of no room: the package's public names, `python -m headstart`

# Everybody else reaches these packages through the modules named here.
IMPORTERS = {
    "mlflow": {
        "tracking",
        "classifier.serving",  # the model's own code, which MLflow runs where it serves it
    },
    "hydra": {
        "config",
        "run.directory",  # a callback of Hydra
        "sweep",  # callbacks and launchers of Hydra
        "cli",
    },
}

LONGEST, MOST_PARAMETERS = 60, 7
# Functions beyond that, each with its reason. A reason is about the function, not about the time it takes to mend it.
LONG: dict[str, str] = {}
MANY_PARAMETERS: dict[str, str] = {}


def module_name(file: Path) -> str:
    """Return what a file of the library is called within headstart, such as `data.sources.folder`."""
    return ".".join(file.relative_to(SOURCE).with_suffix("").parts).removesuffix("__init__").rstrip(".")


MODULES = {module_name(file): ast.parse(file.read_text(encoding="utf-8")) for file in sorted(SOURCE.rglob("*.py"))}


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the full name of everything a module imports, wherever in it; of `from a import b` it is `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"Imports are absolute. Received: a relative one in line {node.lineno}"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def own_imports(tree: ast.AST) -> set[str]:
    """Return the modules of headstart that a module imports."""
    names = {name.removeprefix("headstart.") for name in imported(tree) if name.startswith("headstart.")}
    return {name if name in MODULES else name.rpartition(".")[0] for name in names} - {""}


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Yield every function of the project by its file and name."""
    for file in (ROOT / "run.py", *sorted((ROOT / "src").rglob("*.py")), *sorted((ROOT / "scripts").rglob("*.py"))):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{file.relative_to(ROOT).as_posix()} {node.name}", node


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return how many parameters a function has, without `self` and `cls`."""
    given = function.args
    return sum(name.arg not in ("self", "cls") for name in (*given.posonlyargs, *given.args, *given.kwonlyargs))


def expect_listed(found: set[str], listed: dict[str, str]) -> None:
    """Assert that exactly the listed functions exceed a limit, and say what to change."""
    assert not found - listed.keys(), f"Split these, or list them with a reason: {sorted(found - listed.keys())}"
    assert not listed.keys() - found, f"Remove these from the list: {sorted(listed.keys() - found)}"


def test_every_room_is_in_the_table() -> None:
    assert {name.partition(".")[0] for name in MODULES} - ENTRANCES == set(ROOMS)


def test_the_table_has_no_import_upward() -> None:
    order = list(ROOMS)
    for room, others in ROOMS.items():
        assert set(others.replace(ANY, "").split()) <= set(order[: order.index(room)]), room


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_what_the_table_says(room: str) -> None:
    found: dict[str, list[str]] = {}
    for name, tree in MODULES.items():
        if name.partition(".")[0] == room:
            for target in own_imports(tree):
                found.setdefault(target.partition(".")[0], []).append(f"{name} imports {target}")
    found.pop(room, None)
    allowed = set(ROOMS) if ROOMS[room] == ANY else set(ROOMS[room].split())
    assert not found.keys() - allowed, [found[other] for other in found.keys() - allowed]
    assert ROOMS[room] == ANY or not allowed - found.keys(), (
        f"Remove these from the row of {room}: {sorted(allowed - found.keys())}"
    )


def test_no_module_imports_itself_through_others() -> None:
    TopologicalSorter({name: own_imports(tree) - {name} for name, tree in MODULES.items()}).prepare()  # or CycleError


@pytest.mark.parametrize("package", IMPORTERS)
def test_only_some_import_a_package(package: str) -> None:
    importers = {name for name, tree in MODULES.items() if package in {one.partition(".")[0] for one in imported(tree)}}
    allowed = IMPORTERS[package]
    assert not {name for name in importers if not {name, name.partition(".")[0]} & allowed}
    unused = {one for one in allowed if not any(name == one or name.startswith(f"{one}.") for name in importers)}
    assert not unused, f"Remove these from the list: {sorted(unused)}"


def test_functions_are_short() -> None:
    long = {name for name, node in functions() if (node.end_lineno or 0) - node.lineno + 1 > LONGEST}
    expect_listed(long, LONG)


def test_functions_have_few_parameters() -> None:
    expect_listed({name for name, node in functions() if parameters(node) > MOST_PARAMETERS}, MANY_PARAMETERS)
