"""The argument parser of the commands of `headstart`: one look of help and errors, and a tip for mistyped arguments."""

from __future__ import annotations

import argparse
import re
import sys
from typing import IO, NoReturn

from headstart.core.errors import HeadstartError, closest_flag, did_you_mean

RUN_HELP = "directory of a run or a classifier, MLflow run id, latest or best"
HEADINGS = {"usage": "Usage", "positional arguments": "Arguments", "options": "Options"}
KINDS = {"int": "a whole number", "float": "a number"}


class CommandParser(argparse.ArgumentParser):
    """A parser that reports an error with a tip: the flag or value that was probably meant, or an example."""

    def error(self, message: str) -> NoReturn:
        """Print the error and exit with code 2.

        Args:
            message: error message of argparse.
        """
        from headstart.core.error_output import print_error

        print_error(argument_error(message, self))
        sys.exit(2)

    def format_help(self) -> str:
        """Return the help with headstart's headings."""
        titles = "|".join(HEADINGS)
        return re.sub(rf"^({titles}):", lambda found: f"{HEADINGS[found[1]]}:", super().format_help(), flags=re.M)

    def print_help(self, file: IO[str] | None = None) -> None:  # type: ignore[override]
        """Print the help, with bold headings on a terminal."""
        from rich.text import Text

        from headstart.core.text_console import TextConsole

        text = Text(self.format_help().rstrip())
        text.highlight_regex(r"(?m)^[A-Z][a-z]+:", "bold")
        TextConsole(file=file).print(text)


def argument_error(message: str, parser: argparse.ArgumentParser) -> HeadstartError:
    """Return an error of argparse with a tip.

    Args:
        message: error message of argparse.
        parser: the parser, for its flags, its name and the example in its description.
    """
    lists = f"{parser.prog} --help lists the arguments"
    if choice := re.fullmatch(r"argument (.+?): invalid choice: '?(.*?)'? \(choose from (.*)\)", message):
        name, word, known = choice[1], choice[2], re.findall(r"[^\s',]+", choice[3])
        return HeadstartError(
            f"Expected {name} to be one of {', '.join(known)}. Received: {word}", did_you_mean(word, known) or lists
        )
    if kind := re.fullmatch(r"argument (.+?): invalid (\w+) value: '?(.*?)'?", message):
        return HeadstartError(f"Expected {kind[1]} to be {KINDS.get(kind[2], kind[2])}. Received: {kind[3]}", lists)
    if unknown := re.match(r"unrecognized arguments: (.*)", message):
        words = unknown[1].split()
        word = next((word for word in words if word.startswith("-")), words[0])
        flag = closest_flag(word, [flag for action in parser._actions for flag in action.option_strings])
        what = "flag" if word.startswith("-") else "argument"
        return HeadstartError(f"unknown {what} '{word}'", f"did you mean {flag}?" if flag else lists)
    if missing := re.match(r"the following arguments are required: (.*)", message):
        example = re.search(r"`(headstart [^`]+)`", parser.description or "")
        tip = f"for example {example[1]}; " if example else ""
        return HeadstartError(f"Expected {missing[1].replace(', ', ' and ')}. Received: nothing", f"{tip}{lists}")
    return HeadstartError(message, lists)
