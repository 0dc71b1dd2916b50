"""The command `headstart`: imports only the module of the subcommand, so that help and errors appear fast."""

from __future__ import annotations

import importlib
import sys
import time

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
        sys.stderr.write(f"Error: {_explain(words)}\n")
        return 2
    if name == "train":  # Hydra reads sys.argv itself
        from headstart.cli.train import train

        sys.argv = ["headstart train", *words[1:]]
        return train(started)
    from headstart.core.program import run_program

    command = importlib.import_module(f"headstart.cli.{name}")
    return run_program(lambda: command.main(words[1:]))


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


def _explain(words: list[str]) -> str:
    """Return the error message for a command line that does not begin with a command."""
    import shlex

    from headstart.cli.parser import did_you_mean

    if "=" in words[0] or words[0] in ("-m", "--multirun", "--cfg", "--config-dir"):
        return f"Expected a command before {words[0]}; did you mean `{shlex.join(['headstart', 'train', *words])}`?"
    known = [*COMMANDS, "--help", "--version"]
    return f"Expected a command that `headstart --help` lists. Received: {words[0]}{did_you_mean(words[0], known)}"
