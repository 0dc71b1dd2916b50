"""See whether requirements.lock agrees with pyproject.toml, without a network: `python scripts/check_lock.py`.

Every requirement has to be pinned at a version that it allows, and nothing may be pinned that nobody requires. What the
pinned packages require themselves is read from those that are installed here.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import tomllib
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from headstart.core.console import console
from headstart.core.program import exit_with

ROOT = Path(__file__).absolute().parents[1]
EXTRA = "dev"  # of pyproject.toml, which `make lock` pins too


def main(arguments: list[str] | None = None) -> int:
    """Print what disagrees, one line each, and return the exit code: 1 when anything does."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=ROOT, metavar="DIR", help="of the two files (the project)")
    root = parser.parse_args(arguments).root
    lock = (root / "requirements.lock").read_text(encoding="utf-8")
    problems = disagreements((root / "pyproject.toml").read_text(encoding="utf-8"), lock)
    for problem in problems:
        console.print(f"Error: {problem}", markup=False, soft_wrap=True)
    if not problems:
        console.print(f"requirements.lock agrees with pyproject.toml: {len(lock.splitlines())} pinned packages")
    return 1 if problems else 0


def disagreements(pyproject: str, lock: str) -> list[str]:
    """Return a sentence for everything in a lock file that does not follow from a project's requirements.

    Args:
        pyproject: text of pyproject.toml.
        lock: text of requirements.lock, one `name==version` a line, with a marker where it is for some systems only.
    """
    project = tomllib.loads(pyproject)["project"]
    required = [Requirement(line) for line in project["dependencies"] + project["optional-dependencies"][EXTRA]]
    pinned, problems = _read_lock(lock)
    reached: set[str] = set()
    waiting = [(requirement, "pyproject.toml") for requirement in required]
    while waiting:
        requirement, by = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name not in pinned:
            problems.append(f"Expected {name}, which {by} requires, in requirements.lock. Received: no line")
        for pin in pinned.get(name, []):
            version = pinned_version(pin)
            if not requirement.specifier.contains(version, prereleases=True):
                wanted = f"{requirement.name}{requirement.specifier}"
                problems.append(f"Expected {wanted}, which {by} requires, in requirements.lock. Received: {version}")
            if (key := f"{name} {version} {sorted(requirement.extras)}") not in reached:
                reached |= {key, name}
                waiting += [(inner, name) for inner in _requirements_of(name, version, requirement.extras)]
    # What is installed in another version says nothing about what the pinned one requires, so neither does the walk.
    complete = all(
        _installed(name) == pinned_version(pin) for name, pins in pinned.items() for pin in pins if _here(pin)
    )
    for package, pins in pinned.items():
        if complete and package not in reached and any(_here(pin) for pin in pins):
            problems.append(
                f"Expected only what is required in requirements.lock. Received: {package}, which nobody requires"
            )
    return sorted(set(problems))


def pinned_version(pin: Requirement) -> str:
    """Return the version of a line `name==version`."""
    return next(iter(pin.specifier)).version


def _here(pin: Requirement) -> bool:
    """Tell whether a line is for this system."""
    return pin.marker is None or pin.marker.evaluate()


def _read_lock(lock: str) -> tuple[dict[str, list[Requirement]], list[str]]:
    """Return the lines by the package's name, and a sentence for each that is no pin or pins a second time."""
    pinned: dict[str, list[Requirement]] = {}
    problems = []
    for number, line in enumerate(lock.splitlines(), start=1):
        try:
            pin = Requirement(line)
        except InvalidRequirement:
            pin = None
        if pin is None or [part.operator for part in pin.specifier] != ["=="]:
            problems.append(f"Expected name==version in line {number} of requirements.lock. Received: {line}")
            continue
        others = pinned.setdefault(canonicalize_name(pin.name), [])
        if any(_here(pin) and _here(other) for other in others):
            problems.append(f"Expected {pin.name} once in requirements.lock. Received: again in line {number}")
        others.append(pin)
    return pinned, problems


def _requirements_of(name: str, version: str, extras: set[str]) -> list[Requirement]:
    """Return what a package requires on this system; nothing where another version of it is installed, or none."""
    if _installed(name) != version:
        return []
    found = []
    for line in importlib.metadata.requires(name) or ():
        requirement = Requirement(line)
        environments = [{"extra": extra} for extra in ("", *extras)]
        if requirement.marker is None or any(requirement.marker.evaluate(one) for one in environments):
            found.append(requirement)
    return found


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    exit_with(main)
