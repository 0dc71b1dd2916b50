"""Finds the class folders of a dataset: in split folders or at the top.

A wrong guess would train a classifier of `Testing` against `Training`. So split folders are recognized by their names
and their subfolders, and an ambiguous layout raises an error that names the key to decide it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from headstart.core.errors import HeadstartError
from headstart.data.files.walk import Folder, read_folder
from headstart.data.index import SPLITS, first_few
from headstart.data.sources.layout_checks import (
    deeper_notes,
    expect_class,
    expect_different_folders,
    expect_no_parts,
    expect_no_wrapper,
)
from headstart.data.sources.split_folders import (
    AUTO,
    NO_SPLITS,
    NONE,
    SplitFolder,
    configured_splits,
    expect_one_folder_each,
    left_out_note,
    override,
    root_override,
    stray_notes,
    unlabelled_notes,
)
from headstart.data.sources.split_names import name_splits


class ClassFolder(NamedTuple):
    """A folder whose images, at any depth, belong to one class and one split."""

    split: str | None
    label: str
    path: Path


@dataclass(frozen=True)
class Layout:
    """The folders of a dataset.

    Args:
        classes: the folders whose images are read.
        empty: names of other folders, which have no images.
        notes: what was left out or is ambiguous, one sentence each.
    """

    classes: list[ClassFolder]
    empty: list[str]
    notes: list[str]


def find_classes(root: Path, splits: Any = AUTO, no_splits: str = NO_SPLITS) -> Layout:
    """Return the class folders of a dataset.

    Args:
        root: an existing directory.
        splits: `dataset.splits`: auto, none, or the folder of each split.
        no_splits: the setting for "no split folders", for messages.

    Raises:
        HeadstartError: when the layout is ambiguous or invalid.
    """
    top = read_folder(root)
    if splits == NONE:
        return _classes_at_the_top(top, [])
    if splits != AUTO:
        chosen = configured_splits(top, splits)
        return _classes_in_splits(top, chosen, left_out_note(top, chosen))
    if not top.children:
        return Layout([], list(top.folders), stray_notes([top], "classes"))

    folders = {child.name: _unwrapped(child) for child in top.children}
    named = name_splits(folders)
    if len(set(named.values())) > 1 or len(named) == len(folders):
        return _recognized_splits(top, folders, named, no_splits)
    if named:
        return _classes_at_the_top(top, expect_class(top, folders, named, no_splits))
    folders = {child.name: _innermost(child) for child in top.children}
    if any(_holds_splits(folder) for folder in folders.values()):
        return _splits_within_classes(top, folders, no_splits)
    expect_no_wrapper(top, folders)
    expect_different_folders(top, folders, no_splits)
    expect_no_parts(top, no_splits)
    return _classes_at_the_top(top, deeper_notes(folders))


def _classes_at_the_top(top: Folder, notes: list[str]) -> Layout:
    """Return every folder in the root as a class."""
    classes = [ClassFolder(None, child.name, child.path) for child in top.children]
    empty = [name for name in top.folders if name not in top.names]
    return Layout(classes, empty, [*stray_notes([top], "classes"), *notes])


def _classes_in_splits(top: Folder, splits: list[SplitFolder], notes: list[str]) -> Layout:
    """Return every folder in the split folders as a class.

    Raises:
        HeadstartError: when a split folder has no classes, a single folder around them, or classes of no other split.
    """
    train_classes = frozenset[str]().union(*(folder.compared_names for split, folder in splits if split == "train"))
    for split, folder in splits:
        if not folder.children:
            received = f"{folder.images:,} images without one" if folder.images else "no images"
            raise HeadstartError(f"Expected a folder for each class in {folder.path} ({split}). Received: {received}")
        if _is_wrapper(folder, splits):
            inner = {other: _within_wrapper(one, splits).relative for other, one in reversed(splits)}
            raise HeadstartError(
                f"Expected a folder for each class in {folder.path} ({split}). Received: a single folder, "
                f"{folder.names[0]}, which holds others",
                f"name the folder of each split, for example {override(inner)}",
            )
    foreign = [one for one in splits if train_classes.isdisjoint(one[1].compared_names)]
    for split, folder in foreign:
        remaining = {other: one.relative for other, one in splits if (other, one) not in foreign}
        raise HeadstartError(
            f"Expected the folders in {folder.path} ({split}) to be those of the training images. Received: "
            f"{first_few(folder.names)}",
            f"{override(remaining)} leaves it out",
        )
    classes = [ClassFolder(split, child.name, child.path) for split, folder in splits for child in folder.children]
    used = {folder.relative.split("/")[0] for _, folder in splits}
    labels = {one.label for one in classes}
    empty = {name for name in top.folders if name not in top.names and name not in used}
    empty |= {name for _, folder in splits for name in folder.folders if name not in labels}
    strays = [*stray_notes([top], "splits"), *stray_notes([folder for _, folder in splits], "classes")]
    return Layout(classes, sorted(empty), [*strays, *notes])


def _recognized_splits(top: Folder, folders: dict[str, Folder], named: dict[str, str], no_splits: str) -> Layout:
    """Return the classes in the folders that have the names of splits.

    Raises:
        HeadstartError: when these folders have no classes or further splits, or other folders have subfolders too.
    """
    splits = [(split, folders[name]) for split in SPLITS for name in named if named[name] == split]
    splits = [(split, folder) for split, folder in splits if folder.children]
    if not splits:
        raise HeadstartError(
            f"Expected a folder for each class in {first_few(list(named))} of {top.path}. Received: only images",
            f"{no_splits} if they are the classes themselves, dataset=csv if a table has the labels, "
            "dataset=flat if the files' names begin with the number of the class",
        )
    others = [folder for name, folder in folders.items() if name not in named]
    with_folders = [folder.relative for folder in others if folder.children]
    if with_folders:
        chosen = {split: folder.relative for split, folder in reversed(splits)}
        raise HeadstartError(
            f"Expected split folders alone, or classes alone, in {top.path}. Received: "
            f"{' and '.join(folder.relative for _, folder in splits)} beside {first_few(with_folders)}",
            f"name the folder of each split ({override(chosen)} leaves the others out), or {no_splits} if all of "
            "them are classes",
        )
    expect_one_folder_each(top, splits)
    chosen = {split: folder.relative for split, folder in splits}
    all_alike = len(splits) > 1 and len({folder.compared_names for _, folder in splits}) == 1  # so they are classes
    for _, folder in splits:
        if _holds_splits(folder) and not all_alike:
            inner = {split: f"{folder.relative}/{name}" for name, split in name_splits(folder.names).items()}
            raise HeadstartError(
                f"Expected a folder for each class in {folder.path}. Received: split folders, "
                f"{first_few(folder.names)}",
                f"name the folder of each split, for example {override(chosen | inner)}",
            )
    wrapped = [folder.relative for _, folder in splits if "/" in folder.relative]
    notes = [f"The classes were found one level deeper, in {' and '.join(wrapped)}"] if wrapped else []
    unlabelled = [folder for folder in folders.values() if not folder.children]
    return _classes_in_splits(top, splits, [*notes, *unlabelled_notes(unlabelled)])


def _splits_within_classes(top: Folder, folders: dict[str, Folder], no_splits: str) -> Layout:
    """Return the classes that contain split folders: cat/train and cat/test beside dog/train and dog/test.

    Raises:
        HeadstartError: when the folders with splits are datasets rather than classes.
    """
    classes: list[ClassFolder] = []
    for name, folder in folders.items():
        named = name_splits(folder.names)
        complete = "train" in named.values() and len(set(named.values())) == len(named) == len(folder.children)
        if folder.images or not complete or any(child.children for child in folder.children) or len(folders) == 1:
            inner = next(one for one in folders.values() if _holds_splits(one))
            raise HeadstartError(
                f"Expected split folders or classes in {top.path}. Received: split folders one level deeper, in "
                f"{inner.relative} ({first_few(inner.names)})",
                f"{root_override(inner.path)} reads them, or {no_splits} if the folders in {top.path} are classes",
            )
        classes += [ClassFolder(named[child.name], name, child.path) for child in folder.children]
    example = next(iter(folders.values()))
    note = f"Each class has its own split folders, as {example.relative} has {', '.join(example.names)}"
    return Layout(
        classes, [name for name in top.folders if name not in folders], [*stray_notes([top], "classes"), note]
    )


def _unwrapped(folder: Folder) -> Folder:
    """Return the innermost of nested folders of the same name without other content, which archives often have."""
    while not folder.images and len(folder.children) == 1 and folder.names[0].casefold() == folder.name.casefold():
        folder = folder.children[0]
    return folder


def _innermost(folder: Folder) -> Folder:
    """Return the innermost folder below a chain of single folders."""
    while not folder.images and len(folder.children) == 1:
        folder = folder.children[0]
    return folder


def _holds_splits(folder: Folder) -> bool:
    """Return whether the subfolders of a folder have names of several splits."""
    return len(set(name_splits(folder.names).values())) > 1


def _is_wrapper(folder: Folder, splits: list[SplitFolder]) -> bool:
    """Return whether a split folder contains only one folder with subfolders that is not a class of another split."""
    if len(folder.children) != 1 or len(folder.children[0].children) < 2:
        return False
    others = [other.names for _, other in splits if other is not folder]
    return all(len(names) == 1 for names in others) or not any(folder.names[0] in names for names in others)


def _within_wrapper(folder: Folder, splits: list[SplitFolder]) -> Folder:
    """Return the single folder in a wrapper, else the folder itself."""
    return folder.children[0] if _is_wrapper(folder, splits) else folder
