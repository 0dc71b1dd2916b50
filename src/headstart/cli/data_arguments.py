"""The arguments that name a data set, shared by `headstart audit` and `headstart recommend`."""

from __future__ import annotations

from pathlib import Path

from headstart.cli.parser import CommandParser
from headstart.config import Config, drop_group, quote_value, select_overrides
from headstart.core.errors import HeadstartError


def add_data_arguments(parser: CommandParser) -> None:
    """Add the positional arguments that `overrides_of` reads, as `words`."""
    parser.add_argument(
        "words",
        nargs="+",
        metavar="FOLDER | key=value",
        help="a folder of images, or a configuration as for `headstart train`: dataset=digits image_size=128",
    )


def overrides_of(words: list[str]) -> list[str]:
    """Return the arguments as overrides; an argument without `=`, or that names a directory, is the image folder.

    Raises:
        HeadstartError: for two folders, no data set, or an override of the scenario.
    """
    folders = [word for word in words if "=" not in word or Path(word).expanduser().is_dir()]
    overrides = [word for word in words if word not in folders]
    if len(folders) > 1:
        raise HeadstartError(f"Expected one FOLDER. Received: {', '.join(folders)}")
    if drop_group(overrides, "scenario") != overrides:
        raise HeadstartError("Expected no scenario, because this command measures it. Received: one")
    named = bool(select_overrides(overrides, ["dataset", "experiment"]))
    if folders:
        root = str(Path(folders[0]).expanduser().absolute())
        value = root if all(letter.isalnum() or letter in "/._-" for letter in root) else quote_value(root)
        overrides = [*([] if named else ["dataset=folder"]), *overrides, f"dataset.root={value}"]
    elif not named:
        raise HeadstartError(
            "Expected FOLDER, or dataset=NAME. Received: neither", "for example ~/photos or dataset=digits"
        )
    return overrides


def dataset_name(config: Config) -> str:
    """Return the name of a data set for titles and directories: the name of its folder, else of its option.

    Args:
        config: configuration of the data set.
    """
    return Path(config.dataset.root).name if config.dataset.root else config.dataset.name
