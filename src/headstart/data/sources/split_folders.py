"""Split folders that the configuration names (`dataset.splits`), and helpers for all split folders."""

from __future__ import annotations

import difflib
import posixpath
import re
import shlex
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

from headstart.core.errors import HeadstartError, expect_one_of
from headstart.data.files.walk import Folder, images_below, read_folder
from headstart.data.index import SPLITS, first_few
from headstart.data.sources.split_names import USUAL_NAMES

AUTO = "auto"  # recognize split folders by their names
NONE = "none"  # no folder is a split folder, whatever its name
NO_SPLITS = f"dataset.splits={NONE}"
SplitFolder = tuple[str, Folder]  # the split and its folder


def configured_splits(top: Folder, splits: Any) -> list[SplitFolder]:
    """Return the split folders that `dataset.splits` names.

    Args:
        top: the root.
        splits: for each split a folder, or a list of folders, relative to the root.

    Raises:
        HeadstartError: when a split is unknown, or a folder does not exist, is outside the root or is named twice.
    """
    if not isinstance(splits, dict) or not splits:
        raise HeadstartError(
            f"Expected dataset.splits to be {AUTO}, {NONE} or the folders of the splits, such as "
            f"{{train: learn, test: final}}. Received: {splits}"
        )
    found: list[SplitFolder] = []
    for split, value in splits.items():
        expect_one_of("a key of dataset.splits", split, SPLITS)
        values = value if isinstance(value, list) else [] if value is None else [value]
        found += [(split, _configured_folder(top, split, name)) for name in values]
    if not any(split == "train" for split, _ in found):
        raise HeadstartError(f"Expected dataset.splits to name the folder of train. Received: {splits}")
    for first, second in pairwise(sorted(f"{folder.relative}/" for _, folder in found)):
        if second.startswith(first):
            raise HeadstartError(
                f"Expected dataset.splits to name folders that are not within each other. "
                f"Received: {first[:-1]} and {second[:-1]}"
            )
    return sorted(found, key=lambda folder: SPLITS.index(folder[0]))


def _configured_folder(top: Folder, split: str, name: Any) -> Folder:
    """Return one folder that `dataset.splits` names."""
    if not isinstance(name, str):
        raise HeadstartError(
            f"Expected dataset.splits.{split} to be the name of a folder as text, a number in quotes: "
            f'{{{split}: "{name}"}}. Received: {name}'
        )
    relative = posixpath.normpath(name) if name else "."
    if relative == "." or relative.startswith(("/", "..")):
        raise HeadstartError(f"Expected dataset.splits.{split} to be a folder within {top.path}. Received: {name}")
    above, current = top.path, top.path
    for part in relative.split("/"):
        above, current = current, current / part
        if not current.is_dir():
            key = f"dataset.splits.{split} ({name})" if "/" in relative else f"dataset.splits.{split}"
            folders = read_folder(above).folders
            similar = difflib.get_close_matches(part, folders, n=1)
            hint = f"; did you mean {similar[0]}?" if similar else ""
            raise HeadstartError(
                f"Expected {key} to be one of the folders in {above} ({first_few(folders) or 'none'}). "
                f"Received: {part}{hint}"
            )
    return read_folder(current, relative)


def override(splits: dict[str, str]) -> str:
    """Return the override for the command line that names these split folders.

    Args:
        splits: a folder for each split.
    """
    ordered = sorted(splits.items(), key=lambda item: SPLITS.index(item[0]))
    return shlex.quote(f"dataset.splits={{{', '.join(f'{split}: {_quoted(name)}' for split, name in ordered)}}}")


def root_override(path: Path) -> str:
    """Return the override for the command line that sets another root."""
    plain = all(letter.isalnum() or letter in "/._-" for letter in str(path))
    return f"dataset.root={path}" if plain else shlex.quote(f'dataset.root="{_escaped(str(path))}"')


def _quoted(name: str) -> str:
    """Return a name as a string of Hydra's override grammar."""
    plain = re.match(r"(?!(?:null|true|false|nan|inf|yes|no|on|off)$)[a-z][\w./-]*$", name, re.ASCII | re.IGNORECASE)
    return name if plain else f'"{_escaped(name)}"'


def _escaped(text: str) -> str:
    """Escape a text for Hydra's quotes, where a backslash has a meaning only before a quote."""
    return re.sub(r'(\\*)("|$)', lambda found: 2 * found[1] + ('\\"' if found[2] else ""), text)


def expect_one_folder_each(top: Folder, splits: list[SplitFolder]) -> None:
    """Raise unless each recognized split has a single folder, and one of them is train.

    Args:
        top: the root.
        splits: the split folders that were recognized by their names.

    Raises:
        HeadstartError: naming the folders, and the override that decides.
    """
    folders: dict[str, str] = {}
    for split, folder in splits:
        if split in folders:
            chosen = {other: one.relative for other, one in reversed(splits)}
            raise HeadstartError(
                f"Expected one folder for each split in {top.path}. Received: both {folders[split]} and "
                f"{folder.relative} for {split}",
                f"name the one to use, for example {override(chosen)}, or a list of both",
            )
        folders[split] = folder.relative
    if "train" not in folders:
        others = [name for name in top.names if name not in folders.values()]
        example = override({"train": others[0] if others else "FOLDER", **folders})
        raise HeadstartError(
            f"Expected a folder of training images in {top.path} under a usual name ({USUAL_NAMES}). "
            f"Received: {_listed(splits)}",
            f"name the folder of each split, for example {example}",
        )


def _listed(splits: Iterable[SplitFolder]) -> str:
    return first_few([f"{folder.relative} for {split}" for split, folder in splits])


def stray_notes(folders: Iterable[Folder], beside: str) -> list[str]:
    """Return a sentence for each folder with unlabelled images beside the folders that are read.

    Args:
        folders: the folders to look into.
        beside: `classes` or `splits`: the kind of folders that are read.
    """
    notes = []
    for folder in folders:
        if folder.images:
            more = ", ..." if folder.images > len(folder.examples) else ""
            file = shlex.quote(str(folder.path / folder.examples[0]))
            notes.append(
                f"Images beside the folders of {beside} have no label and were left out ({folder.images:,} in "
                f"{folder.path}: {', '.join(folder.examples)}{more}); label them after training: "
                f"headstart predict latest {file}{' ...' if folder.images > 1 else ''}"
            )
    return notes


def unlabelled_notes(folders: Iterable[Folder]) -> list[str]:
    """Return a sentence for each folder beside the splits that has images but no class folders."""
    return [
        f"Pictures in {folder.relative} are in no folder of a class and were left out "
        f"({sum(1 for _ in images_below(folder.path)):,}); "
        f"label them after training: headstart predict latest {shlex.quote(str(folder.path))}"
        for folder in folders
    ]


def left_out_note(top: Folder, splits: list[SplitFolder]) -> list[str]:
    """Return a sentence about folders with images that `dataset.splits` does not name, or no sentence."""
    named = [folder.relative for _, folder in splits]
    others = [
        f"{child.name}: {sum(1 for _ in images_below(child.path)):,} images"
        for child in top.children
        if not any(f"{name}/".startswith(f"{child.name}/") for name in named)
    ]
    return [f"Folders that dataset.splits does not name were left out ({first_few(others)})"] if others else []
