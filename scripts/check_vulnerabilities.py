"""Ask a database of vulnerabilities about the pinned packages: `make vulnerabilities`.

pip-audit asks; it is not among the pinned packages: `pip install pip-audit`. The exit code says which of three it was:
0 every package was looked up and nothing is known, 1 something is known, 2 something was not looked up.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from headstart.core.console import console
from headstart.core.program import exit_with

LOCK = Path(__file__).absolute().parents[1] / "requirements.lock"
SERVICES = ("pypi", "osv")  # pypi.org and osv.dev
CLEAN, VULNERABLE, UNCHECKED = 0, 1, 2


def main(arguments: list[str] | None = None) -> int:
    """Print what is known of the pinned packages and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lock", type=Path, default=LOCK, metavar="FILE", help="the pinned packages (the project's)")
    parser.add_argument("--service", choices=SERVICES, default="pypi", help="who is asked (pypi)")
    options = parser.parse_args(arguments)
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(options.lock), "--no-deps", "--disable-pip"]
    command += ["--format", "json", "--progress-spinner", "off", "--vulnerability-service", options.service]
    answer = subprocess.run(command, capture_output=True, text=True)
    try:
        packages = json.loads(answer.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        said = [line.strip() for line in answer.stderr.splitlines() if line.strip()]
        _say(
            f"Nothing was checked: pip-audit gave no answer ({said[-1] if said else 'without a word'}). On a machine "
            f"that reaches {options.service}, run: pip install pip-audit && make vulnerabilities"
        )
        return UNCHECKED
    return report(packages)


def report(packages: list[dict[str, Any]]) -> int:
    """Print what is known of each package, and return the exit code.

    Args:
        packages: as pip-audit gives them: name and version with `vulns`, or `skip_reason`.
    """
    skipped = [package for package in packages if "skip_reason" in package]
    looked_up = len(packages) - len(skipped)
    if not looked_up:
        why = skipped[0]["skip_reason"] if skipped else "there are none"
        _say(f"Nothing was checked: the database answered for none of the {len(packages)} packages ({why})")
        return UNCHECKED
    vulnerable = [package for package in packages if package.get("vulns")]
    for package in vulnerable:
        for known in package["vulns"]:
            fixed = ", ".join(known.get("fix_versions") or ["no version yet"])
            _say(f"{package['name']} {package['version']}: {known['id']}, fixed in {fixed}")
    for package in skipped:
        _say(f"{package['name']} was not looked up: {package['skip_reason']}")
    _say(
        f"{looked_up} of {len(packages)} packages were looked up, {len(vulnerable)} of those have known vulnerabilities"
    )
    if vulnerable:
        return VULNERABLE
    return UNCHECKED if skipped else CLEAN


def _say(line: str) -> None:
    console.print(line, markup=False, soft_wrap=True)


if __name__ == "__main__":
    exit_with(main)
