"""Export small and large networks in every format and measure: `python scripts/checks/check_exports.py --write`.

The networks are not trained. Their batch norms and heads are set so that the images get different probabilities, as a
wrong conversion would not show otherwise.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from headstart.classifier.export import FORMATS, Exported, check_format, export_classifier
from headstart.classifier.saved import load_classifier, save_classifier
from headstart.config import compose
from headstart.core.console import console
from headstart.core.error_output import print_error
from headstart.core.errors import HeadstartError
from headstart.core.markdown_page import replace_block, row
from headstart.core.program import exit_with
from headstart.core.tensorflow_import import import_tensorflow
from headstart.model.backbones.registry import get_entry
from headstart.model.split_points import find_split_points, split_at

ROOT = Path(__file__).absolute().parents[2]

if TYPE_CHECKING:
    from headstart.model.network import Network

PAGE = ROOT / "docs" / "export.md"
BACKBONES = {"efficientnet_lite0": "packaged", "mobilenetv2": "none", "resnet50": "none", "inceptionv3": "none"}
# Backbones with their heads.
NETWORKS = [("efficientnet_lite0", "multi_depth"), *((backbone, "linear") for backbone in BACKBONES)]
CLASSES = ("a", "b", "c")
PICTURES = 8  # as many as a run keeps
PATCHES = 6  # of colour along a side of a picture


@dataclass(frozen=True)
class Measured:
    """One network in one format."""

    backbone: str
    head: str
    weights: str
    name: str
    exported: Exported
    megabytes: float
    seconds: float


def main(arguments: list[str] | None = None) -> int:
    """Export everything, print and write the table, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the table to docs/export.md")
    options = parser.parse_args(arguments)
    try:
        for name in FORMATS:
            check_format(name)
        with tempfile.TemporaryDirectory() as directory:
            found = []
            for backbone, head in NETWORKS:
                classifier = save_network(backbone, Path(directory) / f"{backbone}_{head}", head=head)
                for name in FORMATS:
                    found.append(measure(classifier, backbone, name, head))
                    console.print(f"{backbone} {head} {name}: {found[-1].exported.difference:.2g}", markup=False)
        if options.write:
            replace_block(PAGE, "exports", block(found))
    except HeadstartError as error:
        print_error(error)
        return 1
    return 0


def save_network(backbone: str, directory: Path, image_size: int | None = None, head: str = "linear") -> Path:
    """Save a classifier whose reference pictures get different probabilities, and return its directory.

    Args:
        backbone: among BACKBONES.
        directory: where to.
        image_size: side in pixels; None is the backbone's own.
        head: option of the group head.
    """
    import_tensorflow()
    import keras

    from headstart.model.network import build_network

    keras.utils.set_random_seed(0)
    size = image_size or get_entry(backbone).image_size
    config = compose(
        ["dataset=folder", f"backbone={backbone}", f"backbone.weights={BACKBONES[backbone]}", f"head={head}"]
    )
    network = build_network(config.backbone, config.head, len(CLASSES), size, seed=0)
    images = draw(size)
    if BACKBONES[backbone] == "none":
        settle(network, images)
    tell_apart(network, images)
    save_classifier(directory, network.classifier, CLASSES, size, config, images)
    return directory


def draw(size: int) -> np.ndarray:
    """Return pictures of soft patches of colour, uint8 (PICTURES, size, size, 3)."""
    patches = np.random.default_rng(0).integers(0, 256, (PICTURES, PATCHES, PATCHES, 3), dtype=np.uint8)
    enlarged = [Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC) for image in patches]
    return np.stack([np.asarray(image) for image in enlarged])


def settle(network: Network, images: np.ndarray) -> None:
    """Give every batch norm the statistics of the pictures, as training would; as built they are 0 and 1.

    Args:
        network: changed in place.
        images: (n, size, size, 3).
    """
    import keras

    norms = [layer for layer in network.backbone.layers if isinstance(layer, keras.layers.BatchNormalization)]
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
    network.classifier(images.astype(np.float32), training=True)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum


def tell_apart(network: Network, images: np.ndarray) -> None:
    """Give the head weights by which the pictures get different probabilities.

    Args:
        network: with a head of one layer, changed in place.
        images: (n, size, size, 3).
    """
    *before, output = find_split_points(network.head)
    pixels = split_at(network.classifier, "backbone")[0](images.astype(np.float32), training=False)
    # The head of every depth is its output alone: the averages are the backbone's.
    features = np.asarray(split_at(network.head, before[-1].name)[0](pixels, training=False) if before else pixels)
    centre = features.mean(axis=0)
    _, strengths, directions = np.linalg.svd(features - centre, full_matrices=False)
    # Along the directions in which the pictures differ most, with a standard deviation of 2.
    kernel = directions[: len(CLASSES)].T / strengths[: len(CLASSES)] * 2 * np.sqrt(len(images))
    output.set_weights([kernel, -centre @ kernel])


def measure(classifier: Path, backbone: str, name: str, head: str = "linear") -> Measured:
    """Export a saved classifier and return what was found.

    Args:
        classifier: its directory; the export goes beside it.
        backbone: its name.
        name: of the format.
        head: its name.
    """
    loaded = load_classifier(classifier)
    started = time.perf_counter()
    exported = export_classifier(loaded, name, classifier.with_name(f"{classifier.name}_{name}"))
    seconds = time.perf_counter() - started
    size = sum(file.stat().st_size for file in exported.directory.rglob("*") if file.is_file())
    return Measured(backbone, head, BACKBONES[backbone], name, exported, size / 1e6, seconds)


def block(found: list[Measured]) -> str:
    """Return the table for the page."""
    packages = ("tensorflow", "keras", "tf2onnx", "onnxruntime", "openvino")
    lines = [
        "<!-- exports: written by scripts/checks/check_exports.py -->",
        f"With {', '.join(f'{package} {version(package)}' for package in packages)}:",
        "",
        row("backbone", "head", "weights", "format", "largest difference", "spread of the images", "MB", "seconds"),
        row("---", "---", "---", "---", "---:", "---:", "---:", "---:"),
    ]
    for one in found:
        numbers = (f"{one.exported.difference:.1e}", f"{one.exported.spread:.2f}")
        lines.append(
            row(one.backbone, one.head, one.weights, one.name, *numbers, f"{one.megabytes:.0f}", f"{one.seconds:.0f}")
        )
    return "\n".join([*lines, "<!-- /exports -->"])


if __name__ == "__main__":
    exit_with(main, ROOT)
