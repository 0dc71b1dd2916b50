"""How the commands of `headstart` read their words, and answer one that they do not know with what is near."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from typing import NoReturn

RUN_HELP = "directory of a run or a classifier, MLflow run id, latest or best"


class CommandParser(argparse.ArgumentParser):
    """A parser that says what is wrong in one sentence, with the flag or value that was probably meant."""

    def error(self, message: str) -> NoReturn:
        """Print the sentence and end with exit code 2.

        Args:
            message: what argparse found.
        """
        sys.stderr.write(f"Error: {message}{nearest(message, self)} `{self.prog} --help` shows what it takes.\n")
        sys.exit(2)


def nearest(message: str, parser: argparse.ArgumentParser) -> str:
    """Return the rest of an error's sentence: the flag or value that was probably meant, if one is near.

    Args:
        message: what argparse found: an unknown flag, or a value that is none of the choices.
        parser: knows the flags.
    """
    choice = re.search(r"invalid choice: '?([^' ]*)'? \(choose from (.*)\)", message)
    if choice:
        word, known = choice[1], re.findall(r"[^\s',]+", choice[2])
    else:
        found = re.search(r"unrecognized arguments: .*?(-[^\s=]+)", message)
        word, known = found[1] if found else "", [flag for action in parser._actions for flag in action.option_strings]
    return did_you_mean(word, known)


def did_you_mean(word: str, known: list[str]) -> str:
    """Return the end of a sentence that names the known word nearest to a mistyped one; a full stop if none is near.

    Args:
        word: as it was typed.
        known: the words that would have been understood.
    """
    similar = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {similar[0]}?" if similar else "."
