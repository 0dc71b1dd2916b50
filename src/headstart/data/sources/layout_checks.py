"""Checks for folders that may not be classes; each raises an error that names the key to decide it."""

from __future__ import annotations

import re
from collections import Counter
from itertools import combinations

from headstart.core.errors import HeadstartError
from headstart.data.files.walk import Folder
from headstart.data.index import first_few
from headstart.data.sources.split_folders import override, root_override

# Names of folders that are not classes: parts of a dataset (images_001, images_002), or images and their masks.
PART = re.compile(
    r"(?:^|[^a-z])(?:parts?|batch|fold|chunk|shard|images?|imgs?|photos|pictures|data|archive|folder)[ _-]*\(?\d+\)?$",
    re.IGNORECASE,
)
NO_CLASS = re.compile(r"(?:jpeg)?(?:images?|imgs?|masks?|labels?|annotations?|data)$", re.IGNORECASE)


def expect_class(top: Folder, folders: dict[str, Folder], named: dict[str, str], no_splits: str) -> list[str]:
    """Return a note that a folder with the name of a split was read as a class.

    Raises:
        HeadstartError: when its subfolders suggest that it is a split.
    """
    others = [name for name in folders if name not in named]
    inside = {name: folder.compared_names for name, folder in folders.items()}
    apart = all(inside.values()) and all(inside[name].isdisjoint(inside[other]) for name in named for other in others)
    if any(inside.values()) and not apart:
        name, split = next(iter(named.items()))
        alike = [other for other in others if inside[other] & inside[name]] or others
        example = override({split: name, ("test" if split == "train" else "train"): alike[0]})
        raise HeadstartError(
            f"Expected split folders alone, or classes alone, in {top.path}. Received: {name}, the usual name of a "
            f"split, beside {first_few(alike)}",
            f"name the folder of each split, for example {example}, or {no_splits} if all of them are classes",
        )
    return [
        f"{first_few(list(named))}, the usual name of a split, was read as a class beside {first_few(others)}; "
        f"dataset.splits names the split folders, {no_splits} confirms that there are none"
    ]


def expect_no_wrapper(top: Folder, folders: dict[str, Folder]) -> None:
    """Raise if the root contains a single folder that contains everything else."""
    inner = next(iter(folders.values()))
    if len(folders) == 1 and inner.children:
        raise HeadstartError(
            f"Expected split folders or a folder for each class in {top.path}. Received: a single folder, "
            f"{top.names[0]}",
            f"{root_override(inner.path)} reads the folders in {inner.relative} ({first_few(inner.names)})",
        )


def expect_different_folders(top: Folder, folders: dict[str, Folder], no_splits: str) -> None:
    """Raise if two folders have mostly the same subfolders, as splits, folds or cameras have."""
    inside = {name: folder.compared_names for name, folder in folders.items()}
    often = Counter(inner for names in inside.values() for inner in names)
    shared = {name: {inner for inner in names if often[inner] > 1} for name, names in inside.items()}
    candidates = [name for name, names in shared.items() if len(names) > 1]
    for first, second in combinations(candidates, 2):
        same = len(shared[first] & shared[second])
        if same > 1 and 2 * same > min(len(inside[first]), len(inside[second])):
            example = override({"train": folders[first].relative, "test": folders[second].relative})
            raise HeadstartError(
                f"Expected classes, or split folders under their usual names, in {top.path}. Received: {first} and "
                f"{second}, which hold the same folders ({first_few(folders[first].names)})",
                f"name the folder of each split, for example {example}, or one data set of several, "
                f"{root_override(folders[first].path)}, or {no_splits} if {first} and {second} are classes",
            )


def expect_no_parts(top: Folder, no_splits: str) -> None:
    """Raise if the folders are named like parts of one dataset, or like images and their masks."""
    if len(top.names) > 1 and (all(map(PART.search, top.names)) or all(map(NO_CLASS.match, top.names))):
        raise HeadstartError(
            f"Expected a folder for each class in {top.path}. Received: {first_few(top.names)}, which are "
            "unlikely names of classes",
            f"{no_splits} if they are classes, dataset=csv if a table has the labels",
        )


def deeper_notes(folders: dict[str, Folder]) -> list[str]:
    """Return a sentence about classes with subfolders, whose images belong to the class, or no sentence."""
    deeper = [f"{name} ({first_few(folder.names)})" for name, folder in folders.items() if folder.children]
    if not deeper:
        return []
    return [f"Images in folders within a class belong to that class ({len(deeper)}: {'; '.join(deeper[:3])})"]
