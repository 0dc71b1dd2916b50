"""What speaks against reading the folders of a root as classes; each doubt is refused with the key that settles it."""

from __future__ import annotations

import re
from collections import Counter
from itertools import combinations

from headstart.core.errors import HeadstartError
from headstart.data.files.walk import Folder
from headstart.data.index import shortened
from headstart.data.sources.split_folders import override, root_override

# Names of folders by which a model must not be trained: images_001 against images_002, images against masks.
PART = re.compile(
    r"(?:^|[^a-z])(?:parts?|batch|fold|chunk|shard|images?|imgs?|photos|pictures|data|archive|folder)[ _-]*\(?\d+\)?$",
    re.IGNORECASE,
)
NO_CLASS = re.compile(r"(?:jpeg)?(?:images?|imgs?|masks?|labels?|annotations?|data)$", re.IGNORECASE)


def expect_class(top: Folder, folders: dict[str, Folder], named: dict[str, str], no_splits: str) -> list[str]:
    """Return a note that a folder with the name of a split was read as a class.

    Raises:
        HeadstartError: when the folders in it speak against that.
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
            f"split, beside {shortened(alike)}; name the folder of each split, for example {example}, or {no_splits} "
            "if all of them are classes"
        )
    return [
        f"{shortened(list(named))}, the usual name of a split, was read as a class beside {shortened(others)}; "
        f"dataset.splits names split folders, {no_splits} says that there are none"
    ]


def expect_no_wrapper(top: Folder, folders: dict[str, Folder]) -> None:
    """Raise when the root holds a single folder, which holds everything else."""
    inner = next(iter(folders.values()))
    if len(folders) == 1 and inner.children:
        raise HeadstartError(
            f"Expected split folders or a folder for each class in {top.path}. Received: a single folder, "
            f"{top.names[0]}; {root_override(inner.path)} reads the folders in {inner.relative} "
            f"({shortened(inner.names)})"
        )


def expect_different_folders(top: Folder, folders: dict[str, Folder], no_splits: str) -> None:
    """Raise when two folders hold mostly the same folders, as splits, folds or cameras do."""
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
                f"{second}, which hold the same folders ({shortened(folders[first].names)}); name the folder of each "
                f"split, for example {example}, or one data set of several, "
                f"{root_override(folders[first].path)}, or {no_splits} if {first} and {second} are classes"
            )


def expect_no_parts(top: Folder, no_splits: str) -> None:
    """Raise when the folders are named like the parts of one set, or like pictures and what was drawn on them."""
    if len(top.names) > 1 and (all(map(PART.search, top.names)) or all(map(NO_CLASS.match, top.names))):
        raise HeadstartError(
            f"Expected a folder for each class in {top.path}. Received: {shortened(top.names)}, which no class is "
            f"called; {no_splits} if they are classes, dataset=csv if a table has the labels"
        )


def deeper_notes(folders: dict[str, Folder]) -> list[str]:
    """Return a sentence about classes that hold folders of images, which count for the class, or none."""
    deeper = [f"{name} ({shortened(folder.names)})" for name, folder in folders.items() if folder.children]
    if not deeper:
        return []
    return [f"Images in folders within a class belong to that class ({len(deeper)}: {'; '.join(deeper[:3])})"]
