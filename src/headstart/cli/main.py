"""The command `headstart`: imports only the module of the subcommand, so that help and errors appear fast."""

from __future__ import annotations

import importlib
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headstart.core.errors import HeadstartError

# One line per command for `headstart --help`; the module of a command has the same name.
COMMANDS = {
    "train": "train, evaluate, save and track a classifier, or run a sweep (-m)",
    "predict": "label images with a trained classifier",
    "audit": "find duplicates, mislabelled images and shortcuts in a data set",
    "recommend": "recommend a scenario and a backbone for a data set",
    "preview": "show what an augmentation does to your images",
    "prepare": "split a folder of images into train, valid and test",
    "compare": "compare runs in one table and one HTML page",
    "soup": "average the weights of several runs into one classifier",
    "features": "write the features of a run's images, or a map of them",
    "export": "export a classifier to LiteRT, ONNX, OpenVINO or SavedModel",
    "serve": "serve a classifier over HTTP",
    "demo": "try a classifier on a local web page",
    "cache": "list, verify or prune the activation cache",
    "sync": "send entries that runs logged while the tracking server was down",
    "ui": "show the runs in the MLflow UI",
    "completion": "print the completion script for bash, zsh or fish",
}

EXAMPLES = """\
  headstart train                                   on built-in data, 2 minutes
  headstart train dataset=folder dataset.root=~/photos backbone=efficientnetb0
  headstart audit ~/photos                          before you train
  headstart predict latest photo.jpg                with the newest run
  headstart ui                                      browse the runs\
"""


def main(arguments: list[str] | None = None) -> int:
    """Run a subcommand and return the exit code: 2 for an unknown command.

    Args:
        arguments: the arguments of `headstart`; None: those in `sys.argv`.
    """
    started = time.time()
    words = sys.argv[1:] if arguments is None else arguments
    name = words[0] if words else "--help"
    if name in ("--help", "-h"):
        sys.stdout.write(help_text())
        return 0
    if name == "--version":
        from importlib.metadata import version

        sys.stdout.write(f"headstart {version('headstart')}\n")
        return 0
    if name not in COMMANDS:
        from headstart.core.error_output import print_error

        print_error(unknown_command(words))
        return 2
    if name == "train":
        sys.argv = ["headstart train", *words[1:]]
        return train(started)
    from headstart.core.program import run_program

    command = importlib.import_module(f"headstart.cli.{name}")
    return run_program(lambda: command.main(words[1:]))


def train(started: float) -> int:
    """Run `headstart train` with the arguments in `sys.argv`, which Hydra reads itself, and return the exit code.

    Args:
        started: when the process began, in seconds since the epoch.
    """
    if {"--help", "-h"} & set(sys.argv[1:]):  # without Hydra, which takes longer to import than the help to print
        from headstart.cli.help import print_help

        return print_help(sys.argv[1:])
    from headstart.core.console import activity, quiet_console

    with quiet_console("quiet=true" in sys.argv), activity("starting"):  # Hydra takes a second to import
        from headstart.cli.train import train

    return train(started)


def help_text() -> str:
    """Return the text of `headstart --help`: one screen of 24 lines and 80 columns."""
    lines = [f"  {name:<11} {meaning}" for name, meaning in COMMANDS.items()]
    return "\n".join(
        [
            "headstart runs transfer-learning experiments for image classification.",
            EXAMPLES,
            "",
            "Commands (details: headstart COMMAND --help; version: headstart --version):",
            *lines,
            "",
        ]
    )


def unknown_command(words: list[str]) -> HeadstartError:
    """Return the error for a command line that does not begin with a command."""
    import shlex
    from pathlib import Path

    from headstart.core.errors import HeadstartError, closest_name

    word, rest = words[0], words[1:]
    problem = f"unknown command '{word}'"
    if "=" in word or word in ("-m", "--multirun", "--cfg", "--config-dir"):
        return HeadstartError(f"Expected a command before {word}", f"did you mean {shlex.join(_train(*words))}?")
    if word == "help":
        return HeadstartError(problem, f"did you mean {shlex.join(['headstart', *rest[:1], '--help'])}?")
    if Path(word).expanduser().is_dir():
        from headstart.config.suggestions import folder_words

        return HeadstartError(problem, f"did you mean headstart train {folder_words(word)}?")
    similar = closest_name(word, [*COMMANDS, "--help", "--version"])
    meant = f"did you mean headstart {similar}?" if similar else ""
    if not meant and word.startswith("-"):
        from headstart.config.mistyped import as_override

        override = as_override(word, words)
        meant = f"did you mean headstart train {override}?" if override else ""
    return HeadstartError(problem, meant or "headstart --help lists the commands")


def _train(*words: str) -> list[str]:
    return ["headstart", "train", *words]
