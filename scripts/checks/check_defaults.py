"""Which defaults suit one's own folder of images? `python scripts/checks/check_defaults.py FOLDER... --write`.

Trains each folder with every value of a setting, the others at their defaults, and shows the accuracy: a row for each
data set, and the mean over them. Settings of the input are measured on a frozen backbone with the multi-depth head,
which is quick and has no epochs; those of training are measured on the default schedule. Finished runs are reused.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from headstart.config import compose
from headstart.core.console import console
from headstart.core.markdown_page import row
from headstart.core.paths import cache_directory
from headstart.data.load import load_index
from measured_runs import ROOT, Measured, data_words, folders_parser, measure_seeds, show_table

PAGE = ROOT / "docs" / "defaults.md"
FROZEN = ("head=multi_depth", "freeze=all")
FINE_TUNED = ("head=linear", "freeze=last_two_blocks")


@dataclass(frozen=True)
class Setting:
    """A setting, what it is measured with, and the overrides of each value."""

    strategy: tuple[str, ...]
    values: dict[str, tuple[str, ...]]


SETTINGS = {
    "resize": Setting(
        FROZEN, {name: (f"dataset.resize={name}", "image_size=128") for name in ("stretch", "crop", "pad")}
    ),
    "image_size": Setting(FROZEN, {f"{size} px": (f"image_size={size}",) for size in (96, 128, 160, 224)}),
    "schedule": Setting(
        ("image_size=128",),
        {
            "linear, head alone": ("head=linear", "freeze=all"),
            "linear, last two blocks": FINE_TUNED,
            "linear solved first, last two blocks": ("head=linear", "freeze=linear_probe_then_finetune"),
            "every depth, head alone": FROZEN,
            "every depth, last two blocks": ("head=multi_depth", "freeze=last_two_blocks"),
        },
    ),
    "augmentation": Setting(
        FINE_TUNED, {name: (f"augmentation={name}", "image_size=128") for name in ("none", "flip", "light")}
    ),
    "label_smoothing": Setting(
        FINE_TUNED, {value: (f"label_smoothing={value}", "image_size=128") for value in ("0.0", "0.1")}
    ),
    "optimizer": Setting(FINE_TUNED, {name: (f"optimizer={name}", "image_size=128") for name in ("adam", "adamw")}),
}


def main(arguments: list[str] | None = None) -> int:
    """Train what is missing, print and write the tables, and return the exit code."""
    options = parse(arguments)
    for name in options.settings:
        setting = SETTINGS[name]
        lines = [row("data (train / judged by)", *setting.values), row(*["---"] * (len(setting.values) + 1))]
        found: list[list[Measured]] = []
        for folder in options.folders:
            label, measured = measure(folder, setting, options)
            found.append(measured)
            lines.append(row(label, *[f"{one.accuracy:.1%} ({one.seconds:.0f} s)" for one in measured]))
            console.print(lines[-1], markup=False, soft_wrap=True)
        means = [fmean(one.accuracy for one in column) for column in zip(*found, strict=True)]
        lines.append(row("mean", *[f"{mean:.1%}" for mean in means]))
        show_table(lines, PAGE, name, options.write)
    return 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = folders_parser(__doc__, PAGE, seeds=1)
    parser.add_argument(
        "--settings", nargs="+", default=list(SETTINGS), choices=list(SETTINGS), help="to measure (all)"
    )
    parser.add_argument("--images", type=int, metavar="N", help="at most so many training images of each (all)")
    return parser.parse_args(arguments)


def measure(folder: Path, setting: Setting, options: argparse.Namespace) -> tuple[str, list[Measured]]:
    """Return the name of a data set with its images, and what each value of a setting reached on it."""
    common = ["dataset=folder", f"dataset.root={folder.absolute()}", "audit=off", "backbone=efficientnet_lite0"]
    if options.images:
        share = options.images / load_index(compose(common).dataset, cache_directory()).counts()["train"].sum()
        common.append(f"dataset.fraction={min(share, 1.0):.4f}")
    measured = []
    for words in setting.values.values():
        # By its overrides, so that two settings share the runs that are the same in both.
        words_of_both = sorted({*setting.strategy, *words})
        name = "_".join([folder.name, str(options.images or "all"), *words_of_both]).replace("=", "-")
        one, first = measure_seeds("check_defaults", name, [*common, *setting.strategy, *words], options.seeds)
        measured.append(one)
    return data_words(folder, first), measured


if __name__ == "__main__":
    sys.exit(main())
