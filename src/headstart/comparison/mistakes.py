"""Mistakes of strategies: their confusion matrices side by side, and images that only one of two gets right."""

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

MAX_MATRICES = 4
MAX_CLASSES = 12  # more would be unreadable in a matrix that is half a figure wide
MAX_RECALLS = 20  # classes in the figure that replaces the matrices for more classes
IMAGES = 8  # per sheet
IMAGE_SIZE = 160  # pixels, the size on the sheet
LONGEST_NAME = 1.6  # inches, of a class
SERIES = ((style.BLUE, "o"), (style.VERMILION, "s"), (style.GREEN, "^"), ("#CC79A7", "D"))


@dataclass(frozen=True, eq=False)
class Disagreement:
    """A test image that one strategy gets right and another one wrong."""

    path: str
    label: str
    first: tuple[str, float]  # the class that most runs of the first strategy predict, and their mean confidence
    second: tuple[str, float]  # the same for the second strategy


class Vote(NamedTuple):
    """The majority vote of a strategy's runs on one image."""

    label: str
    predicted: str  # by most runs
    confidence: float  # mean over the runs that predict it
    share_right: float  # of all runs


def confusion_figure(strategies: Sequence[Strategy]) -> Figure | None:
    """Draw the confusion matrices of the best strategies; for many classes, the recalls that differ most instead.

    Args:
        strategies: in the order of the table; only those with the first one's test images are drawn.

    Returns:
        The figure; None if there are no test images.
    """
    shown = [one for one in strategies if one.tested and one.images == strategies[0].images][:MAX_MATRICES]
    if not shown:
        return None
    names = shown[0].runs[0].class_names
    percentages = [_confusion_percentages(strategy, names) for strategy in shown]
    titles = [f"{number}  {strategy.label}" for number, strategy in enumerate(shown, 1)]
    draw = _draw_matrices if len(names) <= MAX_CLASSES else _draw_recalls
    return draw(percentages, names, titles)


def _confusion_percentages(strategy: Strategy, names: Sequence[str]) -> np.ndarray:
    """Return the confusion matrix over all runs in percent of the true class; NaN for a class without images."""
    positions = {name: position for position, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)))
    for test in (run.test for run in strategy.runs):
        if test is not None:
            rows = [positions[name] for name in test.labels]
            np.add.at(counts, (rows, [positions[name] for name in test.predicted]), 1)
    totals = counts.sum(axis=1, keepdims=True)
    return 100 * np.divide(counts, totals, out=np.full_like(counts, np.nan), where=totals > 0)


def _draw_matrices(percentages: Sequence[np.ndarray], names: Sequence[str], titles: Sequence[str]) -> Figure:
    from matplotlib.colors import PowerNorm

    columns = min(2, len(percentages))
    lines = -(-len(percentages) // columns)
    figure = style.new_figure(style.WIDTH + 1.6, 0.9 + 5.0 * lines)
    style.add_title(figure, "Confusion on the test images: percent of each true class, all runs together")
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    size = min(9.0, 110 / len(names) - 1)
    short = [style.shorten(name, 8.0, LONGEST_NAME) for name in names]
    upright = max(style.text_width(name, 8.0) for name in short) > 3.4 / len(names)
    for axes, values, title in zip(panels, percentages, titles, strict=False):
        seen = np.ma.masked_invalid(np.where(values == 0, np.nan, values))
        axes.imshow(seen, cmap="viridis", norm=PowerNorm(0.5, 0, 100))
        for (row, column), value in np.ndenumerate(values):
            if value > 0:
                text = "<1" if value < 0.5 else f"{value:.0f}"
                # Viridis is dark below the middle of its range, which PowerNorm moves to 25 %.
                colour = "black" if value > 30 else "white"
                axes.text(column, row, text, size=size, color=colour, ha="center", va="center")
        axes.set_title(style.shorten(title, 9.0, 4.2), size=9.0, parse_math=False)
        axes.set_xticks(range(len(names)), short, size=8, rotation=90 if upright else 0, parse_math=False)
        axes.set_yticks(range(len(names)), short, size=8, parse_math=False)
        axes.set_xlabel("predicted class", size=9)
        axes.set_ylabel("true class", size=9)
    for axes in panels[len(percentages) :]:
        axes.set_axis_off()
    return figure


def _draw_recalls(percentages: Sequence[np.ndarray], names: Sequence[str], titles: Sequence[str]) -> Figure:
    """Draw the recall of the classes in which the strategies differ most."""
    recalls = np.stack([np.diag(values) for values in percentages])
    present = np.flatnonzero(~np.isnan(recalls[0]))
    spread = np.ptp(recalls[:, present], axis=0)
    chosen = present[np.argsort(-spread, kind="stable")][:MAX_RECALLS]
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
    axes.set_xlabel("recall: percent of the class's images that are classified correctly")
    axes.grid(color=style.LIGHT_GREY)
    axes.set_axisbelow(True)
    legend = figure.legend(loc="outside lower center", ncols=1, frameon=False, fontsize=9)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def picture_figures(strategies: Sequence[Strategy]) -> tuple[dict[str, Figure], str | None]:
    """Draw the test images that only the best strategy gets right, and those that only the second one does.

    Args:
        strategies: in the order of the table.

    Returns:
        The sheets by name, and the reason if there are none.
    """
    same = [one for one in strategies if one.tested and one.images == strategies[0].images]
    if len(same) < 2:
        return {}, "Images that only one strategy gets right need two strategies with the same test images."
    first, second = same[0], same[1]
    dataset = first.runs[0].results.dataset
    root, values = (dataset.root, dataset.value_range) if dataset else (None, None)
    if root is None or not Path(root).is_dir():
        return {}, f"The images are not on this machine ({root or 'an older run did not record their directory'})."
    only_first, only_second = _disagreements(first, second)
    resize = first.config.dataset.resize
    figures: dict[str, Figure] = {}
    for name, images, right, wrong in (
        ("only_the_best_is_right", only_first, "1", "2"),
        ("only_the_second_is_right", only_second, "2", "1"),
    ):
        shown, captions = [], []
        for image in images[:IMAGES]:
            try:
                shown.append(load_image(Path(root) / image.path, IMAGE_SIZE, resize, value_range=values))
            except HeadstartError as error:
                return figures, f"The images cannot be shown. {error}"
            pairs = [(f"1: {image.first[0]}", image.first[1]), (f"2: {image.second[0]}", image.second[1])]
            captions.append((f"true: {image.label}", pairs))
        if shown:
            title = f"Strategy {right} is right, strategy {wrong} is wrong: {len(images):,} test images"
            title += f", {IMAGES} of them" if len(images) > IMAGES else ""
            figures[name] = labels_figure(shown, captions, title)
    return figures, None if figures else "The best two strategies get the same test images right."


def _disagreements(first: Strategy, second: Strategy) -> tuple[list[Disagreement], list[Disagreement]]:
    """Return the images that only the first strategy gets right, and those only the second does, clearest first."""
    votes = [_votes(strategy) for strategy in (first, second)]
    found: tuple[list[tuple[float, Disagreement]], list[tuple[float, Disagreement]]] = ([], [])
    for path in sorted(votes[0].keys() & votes[1].keys()):
        one, other = votes[0][path], votes[1][path]
        image = Disagreement(path, one.label, (one.predicted, one.confidence), (other.predicted, other.confidence))
        gap = one.share_right - other.share_right
        if one.predicted == one.label != other.predicted:
            found[0].append((gap, image))
        elif other.predicted == one.label != one.predicted:
            found[1].append((-gap, image))
    ordered = [[image for _, image in sorted(side, key=lambda pair: -pair[0])] for side in found]
    return ordered[0], ordered[1]


def _votes(strategy: Strategy) -> dict[str, Vote]:
    """Return the vote of a strategy's runs on each test image, by path."""
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
