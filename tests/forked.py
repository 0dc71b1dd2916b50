"""Commands of headstart in forks of a process that has imported what they need before TensorFlow.

A new interpreter imports for two seconds before it reads its command line, which is most of a test of an error message.
As a program it reads a command in each line of its input, and prints what came of it.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIME_LIMIT = 600  # seconds for one command, on a machine with much else to do


@dataclass(frozen=True)
class Answer:
    """What a command printed, and its exit code."""

    returncode: int
    stdout: str
    stderr: str
    imported_tensorflow: bool


class ForkServer:
    """Runs commands one after the other, each in a process of its own."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__],
            env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"},  # as a terminal of most people
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(
        self, command: Sequence[str | Path], cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> Answer:
        """Run a command and return its answer.

        Args:
            command: a program's file and its arguments, or `-m`, a module and its arguments.
            cwd: working directory; None: that of the tests.
            env: environment; None: that of the tests. What Python itself reads at its start has no effect.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        given = {
            "command": [str(word) for word in command],
            "cwd": str(cwd or Path.cwd()),
            "env": dict(os.environ if env is None else env),
        }
        self.process.stdin.write(f"{json.dumps(given)}\n")
        self.process.stdin.flush()
        return Answer(**json.loads(self.process.stdout.readline()))

    def close(self) -> None:
        """End the process."""
        self.process.communicate()


def run_program(command: list[str]) -> None:
    """Run a program in this process as the interpreter would, and raise how it ends."""
    if command[0] == "-m":
        sys.argv = [command[1], *command[2:]]
        runpy.run_module(command[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = command
        sys.path.insert(0, str(Path(command[0]).absolute().parent))
        runpy.run_path(command[0], run_name="__main__")


def run_in_child(given: dict[str, Any], files: list[Any]) -> None:
    """Run a command with its output in files, and end this process."""
    signal.alarm(TIME_LIMIT)
    os.chdir(given["cwd"])
    os.environ.clear()
    os.environ.update(given["env"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, file in enumerate(files[:2], start=1):
        os.dup2(file.fileno(), number)
    code = 0
    try:
        run_program(given["command"])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 (as the interpreter does)
        code = 1
        traceback.print_exc()
    finally:
        files[2].write(str(int("tensorflow" in sys.modules)).encode())
        for stream in (files[2], sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def answer_to(given: dict[str, Any]) -> dict[str, Any]:
    """Run a command in a fork of this process and return its answer."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as imported:
        files = [out, errors, imported]
        child = os.fork()
        if child == 0:
            run_in_child(given, files)
        _, status = os.waitpid(child, 0)
        texts = []
        for file in files:
            file.seek(0)
            texts.append(file.read().decode(errors="backslashreplace"))
    return {
        "returncode": os.waitstatus_to_exitcode(status),
        "stdout": texts[0],
        "stderr": texts[1],
        "imported_tensorflow": texts[2] == "1",
    }


def main() -> None:
    """Answer every command."""
    import headstart.cli.train
    import headstart.run.experiment  # noqa: F401
    from headstart.config import compose

    compose()  # imports Hydra's plugins, and fills the caches of its parser
    gc.collect()
    gc.freeze()  # else each fork copies the memory of what it looks through for garbage
    for line in sys.stdin:
        print(json.dumps(answer_to(json.loads(line))), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
