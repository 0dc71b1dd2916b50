"""Preview an augmentation: `headstart preview augmentation=strong dataset=folder dataset.root=photos`."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from headstart.cli.errors import report_error
from headstart.cli.parser import CommandParser
from headstart.config import Config, compose
from headstart.core.console import console, print_next, track
from headstart.core.errors import HeadstartError, expect_writable
from headstart.core.paths import cache_directory, outputs_directory
from headstart.core.tensorflow_import import import_tensorflow
from headstart.data.files.checks import check_images
from headstart.data.files.images import is_high_bit_depth, load_image
from headstart.data.load import load_index
from headstart.evaluation.plots.contact_sheet import contact_sheet, describe
from headstart.evaluation.writing import save_picture
from headstart.model.backbones.registry import get_entry
from headstart.model.image_size import choose_image_size

if TYPE_CHECKING:
    from headstart.data.index import ImageIndex


def main(arguments: list[str] | None = None) -> int:
    """Write the contact sheet and return the exit code: 1 after an error that the user can fix."""
    options = parse(arguments)
    try:
        config = compose(options.overrides)
        output = options.output or outputs_directory() / f"preview_{config.augmentation.name}.png"
        whole = load_index(config.dataset, cache_directory())
        generator = np.random.default_rng(config.seed)
        index = whole.split("train")
        index = index.take(generator.permutation(len(index))[: options.images])
        index = with_value_range(index, whole, config)
        image_size = choose_image_size(config, get_entry(config.backbone.name))
        sheet = contact_sheet(preview(config, index, image_size, options.versions))
        save(sheet, output)
    except HeadstartError as error:
        return report_error(error)
    console.print(
        f"{len(index)} training images of {image_size} px and {options.versions} versions of each: {output}",
        markup=False,
    )
    print_next({shlex.join(["headstart", "train", *options.overrides]): "train with this augmentation"})
    return 0


def build_parser() -> CommandParser:
    """Return the parser of the command line."""
    parser = CommandParser(prog="headstart preview", description=__doc__)
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="configuration, as for `headstart train`")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="PNG file to write (default: outputs/preview_NAME.png)"
    )
    parser.add_argument("--images", type=int, default=6, metavar="N", help="number of training images (default: 6)")
    parser.add_argument(
        "--versions", type=int, default=8, metavar="N", help="augmented versions of each image (default: 8)"
    )
    return parser


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = build_parser()
    options = parser.parse_intermixed_args(arguments)
    for name in ("images", "versions"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1")
    return options


def with_value_range(shown: ImageIndex, whole: ImageIndex, config: Config) -> ImageIndex:
    """Return the shown images with the value range that training uses.

    The range depends on the whole data set, which is read only if a shown image has more than 8 bits.
    """
    if not any(is_high_bit_depth(shown.file(position), shown.limits) for position in range(len(shown))):
        return shown
    checked, _ = check_images(whole, "skip", cache_directory(), config.dataset.value_range)
    return replace(shown, value_range=checked.value_range)


def preview(config: Config, index: ImageIndex, image_size: int, versions: int) -> list[list[tuple[np.ndarray, str]]]:
    """Return a row of captioned images for each image: the original, then its augmented versions.

    With mixup or CutMix the shown images are one batch, and the captions give the share of each class.

    Args:
        config: the resolved configuration.
        index: the images to show.
        image_size: side in pixels.
        versions: number of augmented versions of each image.
    """
    import_tensorflow()
    import tensorflow as tf

    from headstart.data.augmentation import Augmentation

    augmentation = Augmentation(config.augmentation)
    originals = np.stack(
        [
            load_image(index.file(position), image_size, config.dataset.resize, index.limits, index.value_range)
            for position in range(len(index))
        ]
    )
    one_hot = np.eye(len(index.class_names), dtype=np.float32)[index.labels]
    rows = [[(image, index.class_names[label])] for image, label in zip(originals, index.labels, strict=True)]
    for version in track(range(versions), versions, "Augmenting images"):
        seeds = np.stack([np.full(len(index), version), np.arange(len(index))], axis=1).astype(np.int32)
        images = augmentation.images(tf.cast(originals, tf.float32), tf.constant(seeds))
        images, labels = augmentation.mix(images, one_hot, tf.constant([config.seed, version]))
        pictures = np.asarray(tf.cast(tf.round(images), tf.uint8))
        for row, picture, label in zip(rows, pictures, np.asarray(labels), strict=True):
            row.append((picture, describe(label, index.class_names) if augmentation.mixes else ""))
    return rows


def save(sheet: Image.Image, output: Path) -> None:
    """Write the contact sheet as PNG.

    Raises:
        HeadstartError: when the file cannot be written.
    """
    with expect_writable(output, argument="--output"):
        output.parent.mkdir(parents=True, exist_ok=True)
        save_picture(sheet, output)
