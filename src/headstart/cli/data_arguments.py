"""The words that name a data set on the command lines of `headstart audit` and `headstart recommend`."""

from __future__ import annotations

from pathlib import Path

from headstart.config import Config, about, quoted, without_group
from headstart.core.errors import HeadstartError


def overrides_of(words: list[str]) -> list[str]:
    """Return the configuration of the words: one that is no key=value, or is a directory, is the folder of the images.

    Raises:
        HeadstartError: when there are two folders, no data at all, or a scenario, which is what is asked here.
    """
    folders = [word for word in words if "=" not in word or Path(word).expanduser().is_dir()]
    overrides = [word for word in words if word not in folders]
    if len(folders) > 1:
        raise HeadstartError(f"Expected one FOLDER. Received: {', '.join(folders)}")
    if without_group(overrides, "scenario") != overrides:
        raise HeadstartError("Expected no scenario, which is what is measured here. Received: one")
    named = bool(about(overrides, ["dataset", "experiment"]))
    if folders:
        root = str(Path(folders[0]).expanduser().absolute())
        value = root if all(letter.isalnum() or letter in "/._-" for letter in root) else quoted(root)
        overrides = [*([] if named else ["dataset=folder"]), *overrides, f"dataset.root={value}"]
    elif not named:
        raise HeadstartError("Expected FOLDER, or dataset=NAME. Received: neither")
    return overrides


def dataset_name(config: Config) -> str:
    """Return what a data set is called in titles and directories: its folder's name, else the option's.

    Args:
        config: of the data.
    """
    return Path(config.dataset.root).name if config.dataset.root else config.dataset.name
