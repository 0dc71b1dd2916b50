"""Where strategies err: their confusion matrices side by side, and pictures that one gets right and another wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from headstart.comparison.collect import Predictions
from headstart.comparison.strategies import Strategy
from headstart.core.errors import HeadstartError
from headstart.data.files.images import load_image
from headstart.evaluation.plots import labels_figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_MATRICES = 4
MOST_CLASSES = 12  # of a matrix that is half a figure wide, with numbers that can be read
MOST_RECALLS = 20  # classes in the figure that stands in for the matrices where there are more
PICTURES = 8  # of each sheet
PICTURE_SIZE = 160  # pixels, as large as a sheet shows them
LONGEST_NAME = 1.6  # inches, of a class
SERIES = ((style.BLUE, "o"), (style.VERMILION, "s"), (style.GREEN, "^"), ("#CC79A7", "D"))


@dataclass(frozen=True, eq=False)
class Image:
    """What two strategies make of one test image."""

    path: str
    label: str
    first: tuple[str, float]  # the class that most runs of the first strategy predict, and their mean confidence
    second: tuple[str, float]


class Vote(NamedTuple):
    """What the runs of one strategy make of one image."""

    label: str
    predicted: str  # by most of them
    confidence: float  # their mean
    share_right: float  # of all runs


def confusion_figure(strategies: Sequence[Strategy]) -> Figure | None:
    """Draw the confusion matrices of the best strategies side by side; with many classes, the recalls that differ most.

    Args:
        strategies: in the order of the table; those on other test images than the first one are left out. None comes
            back where nothing was tested.
    """
    shown = [one for one in strategies if one.tested and one.images == strategies[0].images][:MOST_MATRICES]
    if not shown:
        return None
    names = shown[0].runs[0].class_names
    shares = [_shares(strategy, names) for strategy in shown]
    titles = [f"{number}  {strategy.label}" for number, strategy in enumerate(shown, 1)]
    return _matrices(shares, names, titles) if len(names) <= MOST_CLASSES else _recalls(shares, names, titles)


def _shares(strategy: Strategy, names: Sequence[str]) -> np.ndarray:
    """Return the confusion matrix over all runs in percent of the true class, NaN for a class without images."""
    positions = {name: position for position, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)))
    for test in (run.test for run in strategy.runs):
        if test is not None:
            rows = [positions[name] for name in test.labels]
            np.add.at(counts, (rows, [positions[name] for name in test.predicted]), 1)
    totals = counts.sum(axis=1, keepdims=True)
    return 100 * np.divide(counts, totals, out=np.full_like(counts, np.nan), where=totals > 0)


def _matrices(shares: Sequence[np.ndarray], names: Sequence[str], titles: Sequence[str]) -> Figure:
    from matplotlib.colors import PowerNorm

    columns = min(2, len(shares))
    lines = -(-len(shares) // columns)
    figure = style.new_figure(style.WIDTH + 1.6, 0.9 + 5.0 * lines)
    style.add_title(figure, "Confusion on the test images: percent of each true class, all runs together")
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    size = min(9.0, 110 / len(names) - 1)
    short = [style.shorten(name, 8.0, LONGEST_NAME) for name in names]
    upright = max(style.text_width(name, 8.0) for name in short) > 3.4 / len(names)
    for axes, values, title in zip(panels, shares, titles, strict=False):
        seen = np.ma.masked_invalid(np.where(values == 0, np.nan, values))
        axes.imshow(seen, cmap="viridis", norm=PowerNorm(0.5, 0, 100))
        for (row, column), value in np.ndenumerate(values):
            if value > 0:
                text = "<1" if value < 0.5 else f"{value:.0f}"
                # Viridis is dark below the middle of its range, which the square root puts at 25 %.
                colour = "black" if value > 30 else "white"
                axes.text(column, row, text, size=size, color=colour, ha="center", va="center")
        axes.set_title(style.shorten(title, 9.0, 4.2), size=9.0, parse_math=False)
        axes.set_xticks(range(len(names)), short, size=8, rotation=90 if upright else 0, parse_math=False)
        axes.set_yticks(range(len(names)), short, size=8, parse_math=False)
        axes.set_xlabel("predicted class", size=9)
        axes.set_ylabel("true class", size=9)
    for axes in panels[len(shares) :]:
        axes.set_axis_off()
    return figure


def _recalls(shares: Sequence[np.ndarray], names: Sequence[str], titles: Sequence[str]) -> Figure:
    """Draw the recall of the classes in which the strategies differ most, where matrices would be too small to read."""
    recalls = np.stack([np.diag(values) for values in shares])
    present = np.flatnonzero(~np.isnan(recalls[0]))
    spread = np.ptp(recalls[:, present], axis=0)
    chosen = present[np.argsort(-spread, kind="stable")][:MOST_RECALLS]
    figure = style.new_figure(style.WIDTH, 1.8 + 0.28 * len(chosen) + 0.22 * len(titles))
    style.add_title(figure, f"Recall on the test images: the {len(chosen)} of {len(names)} classes that differ most")
    axes = figure.subplots()
    for (colour, marker), values, title in zip(SERIES, recalls, titles, strict=False):
        axes.plot(
            values[chosen],
            range(len(chosen)),
            linestyle="none",
            marker=marker,
            color=colour,
            alpha=0.8,
            label=style.shorten(title, 9.0, style.WIDTH - 1.5),
        )
    short = [style.shorten(names[position], 9.0, 2.5) for position in chosen]
    axes.set_yticks(range(len(chosen)), short, size=9, parse_math=False)
    axes.set_ylim(len(chosen) - 0.4, -0.6)
    axes.set_xlabel("recall: percent of the class that is recognized")
    axes.grid(color=style.LIGHT_GREY)
    axes.set_axisbelow(True)
    legend = figure.legend(loc="outside lower center", ncols=1, frameon=False, fontsize=9)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def picture_figures(strategies: Sequence[Strategy]) -> tuple[dict[str, Figure], str | None]:
    """Draw the test images that the best strategy gets right and the next one wrong, and the other way round.

    Args:
        strategies: in the order of the table.

    Returns:
        The sheets by name, and why there is none.
    """
    same = [one for one in strategies if one.tested and one.images == strategies[0].images]
    if len(same) < 2:
        return {}, "Pictures that one gets right and another wrong take two strategies on the same test images."
    first, second = same[0], same[1]
    dataset = first.runs[0].results.dataset
    root, values = (dataset.root, dataset.value_range) if dataset else (None, None)
    if root is None or not Path(root).is_dir():
        return {}, f"The pictures are not on this machine ({root or 'an older run did not say where they are'})."
    only_first, only_second = _disagreements(first, second)
    resize = first.config.dataset.resize
    figures: dict[str, Figure] = {}
    for name, images, right, wrong in (
        ("only_the_best_is_right", only_first, "1", "2"),
        ("only_the_second_is_right", only_second, "2", "1"),
    ):
        shown, captions = [], []
        for image in images[:PICTURES]:
            try:
                shown.append(load_image(Path(root) / image.path, PICTURE_SIZE, resize, value_range=values))
            except HeadstartError as error:
                return figures, f"The pictures cannot be shown. {error}"
            pairs = [(f"1: {image.first[0]}", image.first[1]), (f"2: {image.second[0]}", image.second[1])]
            captions.append((f"true: {image.label}", pairs))
        if shown:
            title = f"Strategy {right} is right, strategy {wrong} is wrong: {len(images):,} test images"
            title += f", {PICTURES} of them" if len(images) > PICTURES else ""
            figures[name] = labels_figure(shown, captions, title)
    return figures, None if figures else "The best two strategies are right and wrong on the same test images."


def _disagreements(first: Strategy, second: Strategy) -> tuple[list[Image], list[Image]]:
    """Return the images that most runs of one strategy get right and of the other one wrong, the clearest first."""
    votes = [_votes(strategy) for strategy in (first, second)]
    found: tuple[list[tuple[float, Image]], list[tuple[float, Image]]] = ([], [])
    for path in sorted(votes[0].keys() & votes[1].keys()):
        one, other = votes[0][path], votes[1][path]
        image = Image(path, one.label, (one.predicted, one.confidence), (other.predicted, other.confidence))
        gap = one.share_right - other.share_right
        if one.predicted == one.label != other.predicted:
            found[0].append((gap, image))
        elif other.predicted == one.label != one.predicted:
            found[1].append((-gap, image))
    ordered = [[image for _, image in sorted(side, key=lambda pair: -pair[0])] for side in found]
    return ordered[0], ordered[1]


def _votes(strategy: Strategy) -> dict[str, Vote]:
    """Return for each test image its class, the class that most runs predict, its mean confidence, the share right."""
    by_path: dict[str, list[tuple[str, str, float]]] = {}
    for test in (run.test for run in strategy.runs if run.test is not None):
        for path, label, predicted, confidence in _images(test):
            by_path.setdefault(path, []).append((label, predicted, confidence))
    votes = {}
    for path, seen in by_path.items():
        classes = [one[1] for one in seen]
        winner = max(dict.fromkeys(classes), key=classes.count)
        confidence = float(np.mean([one[2] for one in seen if one[1] == winner]))
        label = seen[0][0]
        votes[path] = Vote(label, winner, confidence, classes.count(label) / len(seen))
    return votes


def _images(test: Predictions) -> zip[tuple[str, str, str, float]]:
    return zip(test.paths, test.labels, test.predicted, test.confidence.tolist(), strict=True)
