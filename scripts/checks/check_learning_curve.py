"""Does the interval of an extrapolation hold? `python scripts/checks/check_learning_curve.py ~/photos ~/flowers`.

Fits logistic regression on the frozen features of growing shares of the training images, extrapolates the shares up to
one half to all images, and compares with what all images really give. Several draws of the shares each.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from rich.table import Table

from headstart.config import Config, compose
from headstart.core.console import console, print_titled
from headstart.core.error_output import print_error
from headstart.core.errors import HeadstartError
from headstart.core.paths import cache_directory, outputs_directory
from headstart.core.program import exit_with
from headstart.core.tensorflow_import import import_tensorflow
from headstart.data.files.checks import check_images
from headstart.data.index import ImageIndex
from headstart.data.load import load_index
from headstart.data.splits import training_fraction
from headstart.evaluation.learning_curve import NoLearningCurve, extrapolate

FRACTIONS = (0.1, 0.15, 0.25, 0.35, 0.5)  # that the curve is fitted to
ROOT = Path(__file__).absolute().parents[2]
HEAD = "logistic_regression"


def main(arguments: list[str] | None = None) -> int:
    """Measure what has not been measured, print the table, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directories", nargs="+", type=Path, metavar="DIRECTORY", help="of images, for dataset.root")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="draws of the shares (3)")
    parser.add_argument("--image-size", type=int, default=128, metavar="PX", help="side of the images (128)")
    options = parser.parse_args(arguments)
    try:
        measured = {root.name: measure(root, options.image_size, options.seeds) for root in options.directories}
    except HeadstartError as error:
        print_error(error)
        return 1
    show(measured)
    return 0


def measure(root: Path, image_size: int, seeds: int) -> list[dict[str, list[float]]]:
    """Return the images, right answers and test images by share, for each draw; the last share is all images.

    Args:
        root: of the images.
        image_size: side in pixels.
        seeds: number of draws.
    """
    file = outputs_directory() / "check_learning_curve" / f"{root.name}_{image_size}_{seeds}.json"
    if file.is_file():
        return list(json.loads(file.read_text(encoding="utf-8")))
    config = compose(["dataset=folder", f"dataset.root={root.absolute()}", f"image_size={image_size}"])
    index, _ = check_images(
        load_index(config.dataset, cache_directory()),
        config.dataset.bad_images,
        cache_directory(),
        config.dataset.value_range,
    )
    if not (index.splits == "test").any():
        raise HeadstartError(f"Expected test images to measure on. Received: {root}, which has none")
    features = features_of(config, index, image_size)
    found = [measure_draw(index, features, seed) for seed in range(seeds)]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(found), encoding="utf-8")
    return found


def features_of(config: Config, index: ImageIndex, image_size: int) -> np.ndarray:
    """Return the features of all images at the backbone's last split point, (n, channels)."""
    import_tensorflow()
    from headstart.features.activation_cache import open_activation_cache
    from headstart.features.depth_features import build_multi_depth_outputs, depth_features

    outputs = build_multi_depth_outputs(config.backbone, image_size)
    features = depth_features(outputs, index, open_activation_cache(config, image_size), keep=True)
    return features.at(outputs.split_points[-1])


def measure_draw(index: ImageIndex, features: np.ndarray, seed: int) -> dict[str, list[float]]:
    """Fit the head to each share of the training images, and return the images, right answers and test images.

    Args:
        index: all images.
        features: (n, channels) of the same images.
        seed: of the shares.
    """
    from headstart.training.linear_head import fit_linear_head

    classes = len(index.class_names)
    position_of = {path: position for position, path in enumerate(index.paths)}
    test = np.flatnonzero(index.splits == "test")
    found: dict[str, list[float]] = {"images": [], "right": [], "tested": []}
    for fraction in (*FRACTIONS, 1.0):
        kept = training_fraction(index, fraction, seed).split("train")
        train = np.array([position_of[path] for path in kept.paths])
        head = fit_linear_head(HEAD, features[train], index.labels[train], np.ones(classes), seed)
        predicted = (features[test] @ head.kernel + head.bias).argmax(axis=1)
        found["images"].append(len(train))
        found["right"].append(int((predicted == index.labels[test]).sum()))
        found["tested"].append(len(test))
    return found


def show(measured: dict[str, list[dict[str, list[float]]]]) -> None:
    """Print what was expected of all images beside what they gave."""
    table = Table()
    for column in ("data", "draw", "images", "fitted up to", "expected %", "95 % interval", "measured %", "inside"):
        table.add_column(column, justify="left" if column == "data" else "right")
    inside: list[bool] = []
    for name, draws in measured.items():
        for seed, draw in enumerate(draws):
            images, right, tested = (np.array(draw[key], dtype=np.float64) for key in ("images", "right", "tested"))
            shares = (right + 1) / (tested + 2)  # keeps the standard error above 0
            curve = extrapolate(images[:-1], (right / tested)[:-1], np.sqrt(shares * (1 - shares) / tested)[:-1], seed)
            cells = [name, str(seed), f"{images[-1]:,.0f}", f"{images[-2]:,.0f}"]
            actual = right[-1] / tested[-1]
            if isinstance(curve, NoLearningCurve):
                table.add_row(*cells, "-", curve.reason, f"{100 * actual:.1f}", "-")
                continue
            expected, low, high = curve.at(images[-1])
            inside.append(low <= actual <= high)
            interval = f"{100 * low:.1f} to {100 * high:.1f}"
            table.add_row(
                *cells, f"{100 * expected:.1f}", interval, f"{100 * actual:.1f}", "yes" if inside[-1] else "no"
            )
    print_titled("Extrapolated from half of the training images to all", table)
    console.print(f"{sum(inside)} of {len(inside)} intervals contain the measured accuracy.")


if __name__ == "__main__":
    exit_with(main, ROOT)
