"""Print a completion script. To enable completion, add the line for your shell to its start-up file:

eval "$(headstart completion bash)"        ~/.bashrc
eval "$(headstart completion zsh)"         ~/.zshrc, after compinit
headstart completion fish | source         ~/.config/fish/config.fish
"""

# No library (shtab, argcomplete): those complete argparse commands, but only Hydra can complete `headstart train`.

from __future__ import annotations

import argparse
import importlib
import sys

from headstart.cli.main import COMMANDS
from headstart.cli.parser import CommandParser

BASH = r"""
_headstart() {
    local IFS=$'\n' line="${COMP_LINE:0:COMP_POINT}"
    local word="${line##* }"
    local before="${word%"${word##*[=:]}"}"  # bash completes only the part after = and :
    COMPREPLY=($(headstart completion query "$line" 2>/dev/null))
    COMPREPLY=("${COMPREPLY[@]#"$before"}")
}
complete -o default -o nospace -F _headstart headstart
"""

ZSH = r"""
_headstart() {
    local -a found
    found=("${(@f)$(headstart completion query "${LBUFFER}" 2>/dev/null)}")
    if [[ -n "${found[1]}" ]]; then compadd -Q -S '' -a found; else _files; fi
}
compdef _headstart headstart
"""

FISH = r"""
complete -c headstart -n 'test (count (commandline -opc)) -eq 1' -f
complete -c headstart -a '(headstart completion query (commandline -cp) 2>/dev/null | string trim)'
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def main(arguments: list[str] | None = None) -> int:
    """Print the script of a shell, or the completions of a line, and return the exit code."""
    options = build_parser().parse_args(arguments)
    if options.shell == "query":
        sys.stdout.write("".join(f"{word}\n" for word in complete(options.line or "")))
    else:
        sys.stdout.write(SCRIPTS[options.shell].lstrip())
    return 0


def build_parser() -> CommandParser:
    """Return the parser of the command line."""
    parser = CommandParser(
        prog="headstart completion", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shell", choices=(*SCRIPTS, "query"), help="shell of the script; query: used by the scripts")
    parser.add_argument("line", nargs="?", help="with query: the command line up to the cursor")
    return parser


def complete(line: str) -> list[str]:
    """Return the completions of the last word of a command line.

    A complete word ends with a space; a word that needs a value, such as `backbone=`, does not.

    Args:
        line: the command line from `headstart` up to the cursor.
    """
    words = line.split()
    word = "" if not words or line[-1].isspace() else words.pop()
    if len(words) <= 1:
        return [f"{name} " for name in (*COMMANDS, "--help", "--version") if name.startswith(word)]
    if words[1] == "train":
        return complete_overrides(words[2:], word)
    if words[1] not in COMMANDS:
        return []
    parser: argparse.ArgumentParser = importlib.import_module(f"headstart.cli.{words[1]}").build_parser()
    return [f"{known} " for known in choices(parser, words[2:]) if known.startswith(word)]


def choices(parser: argparse.ArgumentParser, words: list[str]) -> list[str]:
    """Return the flags, values and subcommands that may follow; empty if a file or a number is expected.

    Args:
        parser: parser of the command.
        words: the arguments so far, without the command.
    """
    positional = [action for action in parser._actions if not action.option_strings and action.choices]
    for action in positional:
        if isinstance(action, argparse._SubParsersAction) and words and words[0] in action.choices:
            return choices(action.choices[words[0]], words[1:])
    flags = {flag: action for action in parser._actions for flag in action.option_strings}
    if words and words[-1] in flags and flags[words[-1]].nargs != 0:
        return [str(choice) for choice in flags[words[-1]].choices or ()]
    names = [str(choice) for action in positional for choice in action.choices or ()] if not words else []
    return [*names, *(flag for flag in flags if flag.startswith("--"))]


def complete_overrides(words: list[str], word: str) -> list[str]:
    """Return Hydra's own completions: flags, groups with their options, keys with their values.

    Args:
        words: arguments of `headstart train` before the last one.
        word: the last argument.
    """
    from hydra import initialize_config_dir
    from hydra._internal.core_plugins.bash_completion import BashCompletion
    from hydra._internal.utils import get_args_parser
    from hydra.core.global_hydra import GlobalHydra

    from headstart.config import register_schema
    from headstart.core.paths import conf_directory

    if word.startswith("-"):
        flags = [flag for action in get_args_parser()._actions for flag in action.option_strings]
        return [f"{flag} " for flag in flags if flag.startswith("--") and flag.startswith(word)]
    register_schema()
    with initialize_config_dir(str(conf_directory()), version_base="1.3"):
        plugin = BashCompletion(GlobalHydra.instance().config_loader())
        found = plugin._query("config", " ".join([*words, word]) if word else " ".join([*words, ""]))
    return [name if name.endswith(("=", ".", "/")) else f"{name} " for name in found if name.startswith(word)]
