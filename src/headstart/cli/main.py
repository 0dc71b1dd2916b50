"""The command `headstart`: imports the one subcommand that was typed, so that help and mistakes are answered fast."""

from __future__ import annotations

import importlib
import sys
import time

# Of each command, one line for `headstart --help`; its module has the same name.
COMMANDS = {
    "train": "train, evaluate, save and track a classifier, or a sweep (-m)",
    "predict": "label images with a trained classifier",
    "audit": "find duplicates, wrong labels and shortcuts in a data set",
    "recommend": "measure which scenario and backbone suit a data set",
    "preview": "show what an augmentation does to your images",
    "prepare": "split a folder of images into train, valid and test",
    "compare": "compare runs in one table and one page",
    "export": "write a classifier for LiteRT, ONNX, OpenVINO or as SavedModel",
    "serve": "answer HTTP requests with a classifier",
    "demo": "try a classifier on a web page of this computer",
    "cache": "list, verify and prune the activation cache",
    "sync": "send what runs logged while the tracking server was away",
    "ui": "show the runs in MLflow's web page",
    "completion": "print the completion script for bash, zsh or fish",
}

EXAMPLES = """\
  headstart train                                   on embedded data, 2 minutes
  headstart train dataset=folder dataset.root=~/photos backbone=efficientnetb0
  headstart audit ~/photos                          before you train
  headstart predict latest photo.jpg                with the newest run
  headstart ui                                      look at the runs\
"""


def main(arguments: list[str] | None = None) -> int:
    """Run a subcommand and return the exit code: 2 for a command line that is not understood.

    Args:
        arguments: the words behind `headstart`; None takes them from `sys.argv`.
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
    """Return what `headstart --help` prints: one screen of 24 lines and 80 columns."""
    lines = [f"  {name:<11} {meaning}" for name, meaning in COMMANDS.items()]
    return "\n".join(
        [
            "headstart trains image classifiers on pretrained backbones, and shows why.",
            "",
            EXAMPLES,
            "",
            "Commands (headstart COMMAND --help says more; headstart --version):",
            *lines,
            "",
        ]
    )


def _explain(words: list[str]) -> str:
    """Return what is wrong with a command line that begins with no command."""
    import shlex

    from headstart.cli.parser import did_you_mean

    if "=" in words[0] or words[0] in ("-m", "--multirun", "--cfg", "--config-dir"):
        return f"Expected a command before {words[0]}; did you mean `{shlex.join(['headstart', 'train', *words])}`?"
    known = [*COMMANDS, "--help", "--version"]
    return f"Expected a command that `headstart --help` lists. Received: {words[0]}{did_you_mean(words[0], known)}"
