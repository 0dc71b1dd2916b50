"""The commit of headstart's code, the command of this process, and a clock for the phases of a run."""

from __future__ import annotations

import hashlib
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable

from headstart.core.paths import conf_directory


def commit() -> str | None:
    """Return the commit of headstart's code, with a digest of later changes; None outside a git clone of it."""
    root = conf_directory().parent
    if shutil.which("git") is None or _git("rev-parse", "--show-toplevel") != str(root.resolve()).encode():
        return None  # else it could be the commit of a project that headstart is installed in
    changes = _git("diff", "HEAD", "--", "run.py", "src", "conf")
    digest = f" changed {hashlib.sha256(changes).hexdigest()[:8]}" if changes else ""
    return _git("rev-parse", "HEAD").decode() + digest


def _git(*arguments: str) -> bytes:
    """Return the output of a git command in the directory of the code; empty if it fails."""
    command = ["git", "-C", str(conf_directory().parent), *arguments]
    return subprocess.run(command, capture_output=True, check=False).stdout.strip()


def command_line() -> str:
    """Return the command that started this process, as it can be typed again."""

    program, *arguments = sys.argv
    # `headstart train` is set by the command itself; any other program is a file.
    start = program.split() if program.startswith("headstart ") else ["python", program]
    return shlex.join([*start, *arguments])


class Clock:
    """Measures the seconds of each phase of a run; they add up to the total, as every moment belongs to one phase."""

    def __init__(self, started: float, on_begin: Callable[[str], None] = lambda phase: None) -> None:
        """Start in the phase `start_up`.

        Args:
            started: when the process began, seconds since the epoch.
            on_begin: called with the name of each phase that begins.
        """
        self.phase, self.since, self.started, self.on_begin = "start_up", started, started, on_begin
        self.seconds: dict[str, float] = {}

    def begin(self, phase: str) -> None:
        """End the present phase and begin another one, or an earlier one again."""
        now = time.time()
        self.seconds[self.phase] = self.seconds.get(self.phase, 0.0) + now - self.since
        if phase != self.phase:
            self.on_begin(phase)
        self.phase, self.since = phase, now

    def summary(self) -> dict[str, float]:
        """Return the seconds of each phase so far, and in all (`total`), rounded to a millisecond."""
        self.begin(self.phase)
        phases = {name: round(value, 3) for name, value in self.seconds.items()}
        return {**phases, "total": round(sum(self.seconds.values()), 3)}
