"""The argument parser of the commands of `headstart`, which suggests corrections for mistyped arguments."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from typing import NoReturn

RUN_HELP = "directory of a run or a classifier, MLflow run id, latest or best"


class CommandParser(argparse.ArgumentParser):
    """A parser that reports errors in one line, with the flag or value that was probably meant."""

    def error(self, message: str) -> NoReturn:
        """Print the error and exit with code 2.

        Args:
            message: error message of argparse.
        """
        sys.stderr.write(f"Error: {message}{suggestion(message, self)} `{self.prog} --help` lists the arguments.\n")
        sys.exit(2)


def suggestion(message: str, parser: argparse.ArgumentParser) -> str:
    """Return the end of an error message: the flag or value that was probably meant, or a full stop.

    Args:
        message: error message of argparse about an unknown flag or an invalid choice.
        parser: the parser, for its flags.
    """
    choice = re.search(r"invalid choice: '?([^' ]*)'? \(choose from (.*)\)", message)
    if choice:
        word, known = choice[1], re.findall(r"[^\s',]+", choice[2])
    else:
        found = re.search(r"unrecognized arguments: .*?(-[^\s=]+)", message)
        word, known = found[1] if found else "", [flag for action in parser._actions for flag in action.option_strings]
    return did_you_mean(word, known)


def did_you_mean(word: str, known: list[str]) -> str:
    """Return the end of an error message with the closest known word, or a full stop if none is close.

    Args:
        word: the mistyped word.
        known: the valid words.
    """
    similar = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {similar[0]}?" if similar else "."
