from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from headstart.core.errors import HeadstartError
from headstart.evaluation.plots import (
    calibration_figure,
    confusion_figure,
    curves_figure,
    depth_figure,
    explained_figure,
    grid_figure,
    history_figure,
    learning_rate_figure,
    mistakes_figure,
    overlay,
    samples_figure,
    style,
    temperature_figure,
)
from headstart.evaluation.plots.samples import MOST_IMAGES, Sample, choose_samples

LONG_TITLE = "Test split of dogs_vs_cats, efficientnet_lite0 with head dense512 and freeze last_two_blocks, " * 2
LONG_NAMES = ("American_pit_bull_terrier", "n02099601_golden_retriever", "soft-coated wheaten terrier puppy", "$^_{$")


def names(count: int, long: bool) -> list[str]:
    return [f"{LONG_NAMES[i % 4]} {i}" if long else str(i) for i in range(count)]


def confusion(classes: int) -> np.ndarray:
    return np.random.default_rng(0).poisson(0.5, (classes, classes)) + 200 * np.eye(classes, dtype=int)


def history(stages: list[tuple[str, int]]) -> list[dict]:
    stage_of = [name for name, epochs in stages for _ in range(epochs)]
    return [
        {
            "epoch": epoch,
            "stage": stage,
            "train_loss": 2 / epoch,
            "train_accuracy": 1 - 0.7 / epoch,
            "validation_loss": 2.2 / epoch,
            "validation_accuracy": 1 - 0.8 / epoch,
            "learning_rate": 1e-3,
        }
        for epoch, stage in enumerate(stage_of, start=1)
    ]


def image(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def visible_texts(figure: Figure) -> list[Text]:
    """Every text that is drawn: ticks outside the axes' limits exist but are not drawn."""
    texts = [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    for axes in figure.axes:
        if not axes.axison:
            continue
        texts += [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.texts]
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in axis.get_major_ticks():
                if low <= tick.get_loc() <= high:
                    texts += [tick.label1, tick.label2]
    return [text for text in texts if text.get_visible() and text.get_text()]


def check_readable(figure: Figure) -> None:
    """No text overlaps another or leaves the figure."""
    figure.canvas.draw()
    boxes = [(text.get_text(), text.get_window_extent()) for text in visible_texts(figure)]
    assert len(boxes) > 1
    for text, box in boxes:
        assert box.x0 >= 0, text
        assert box.y0 >= 0, text
        assert box.x1 <= figure.bbox.x1, text
        assert box.y1 <= figure.bbox.y1, text
    for (text, box), (other_text, other_box) in combinations(boxes, 2):
        # A pixel of touching is what rounding to whole pixels may cost.
        overlap = min(box.x1, other_box.x1) - max(box.x0, other_box.x0) > 1
        assert not (overlap and min(box.y1, other_box.y1) - max(box.y0, other_box.y0) > 1), (text, other_text)


def cell_numbers(figure: Figure) -> dict[tuple[float, float], str]:
    """Numbers in the cells by (true, predicted) position."""
    return {(text.get_position()[1], text.get_position()[0]): text.get_text() for text in figure.axes[0].texts}


@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize("classes", [2, 10, 20, *(pytest.param(count, marks=pytest.mark.slow) for count in (37, 100))])
def test_confusion_figure_is_readable(classes: int, long: bool) -> None:
    figure = confusion_figure(confusion(classes), names(classes, long), normalized=long, title=LONG_TITLE)
    check_readable(figure)
    assert len(figure.axes[0].get_yticks()) == classes  # all are named
    assert bool(cell_numbers(figure)) == (classes <= 20)


@pytest.mark.slow
def test_confusion_figure_names_some_of_very_many_classes() -> None:
    figure = confusion_figure(confusion(300), names(300, long=True), normalized=False, title="Test split")
    check_readable(figure)
    assert 50 < len(figure.axes[0].get_yticks()) < 300


def test_confusion_figure_shows_images_or_percent_of_the_true_class() -> None:
    counts = np.array([[3, 1, 0], [1, 999, 0], [0, 0, 0]])
    images = confusion_figure(counts, ["a", "b", "c"], normalized=False, title="Test split")
    percent = confusion_figure(counts, ["a", "b", "c"], normalized=True, title="Test split")
    assert cell_numbers(images) == {(0, 0): "3", (0, 1): "1", (1, 0): "1", (1, 1): "999"}
    assert cell_numbers(percent) == {(0, 0): "75", (0, 1): "25", (1, 0): "<1", (1, 1): "100"}
    check_readable(percent)
    assert "grey: no image of the class" in percent.axes[1].get_ylabel()


def test_confusion_figure_writes_dark_on_bright_and_bright_on_dark() -> None:
    figure = confusion_figure(np.array([[500, 1], [2, 500]]), ["a", "b"], normalized=False, title="Test split")
    colours = {text.get_text(): text.get_color() for text in figure.axes[0].texts}
    assert colours == {"500": "black", "1": "white", "2": "white"}


@pytest.mark.parametrize(
    ("stages", "best_epoch"),
    [
        ([("head", 1)], 1),
        ([("head", 3), ("last_block", 2)], 5),
        ([(f"last_{i}_blocks_with_a_long_name", 1) for i in range(6)], 6),
        ([("head", 10), ("last_block", 30), ("all", 60)], 77),
        ([("head", 1), ("a", 1), ("b", 1), ("c", 1), ("last_two_blocks_$^_{$", 1), ("all", 295)], 1),
    ],
)
def test_history_figure_is_readable(stages: list[tuple[str, int]], best_epoch: int) -> None:
    figure = history_figure(history(stages), LONG_TITLE, best_epoch=best_epoch)
    check_readable(figure)
    written = " ".join(text.get_text() for text in visible_texts(figure)).replace("\N{NO-BREAK SPACE}", " ")
    assert all(name in written for name, _ in stages)
    assert f"best epoch: {best_epoch} " in written


def test_history_figure_marks_where_stages_begin_and_which_epoch_was_best() -> None:
    figure = history_figure(history([("head", 3), ("last_block", 2)]), "Training", best_epoch=4)
    for axes in figure.axes:
        upright = {line.get_xdata()[0] for line in axes.lines if len(set(line.get_xdata())) == 1}
        assert upright == {3.5, 4}
    stars = [line for line in figure.axes[0].lines if line.get_marker() == "*"]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in stars] == [(4, pytest.approx(0.8))]


def test_history_figure_distinguishes_lines_without_colour() -> None:
    figure = history_figure(history([("head", 40)]), "Training", best_epoch=4)
    styles = [line.get_linestyle() for line in figure.axes[0].lines[:2]]
    assert len(set(styles)) == 2


def test_history_figure_survives_a_diverged_loss() -> None:
    rows = history([("head", 4)])
    rows[2]["train_loss"], rows[3]["train_loss"], rows[3]["validation_loss"] = float("inf"), float("nan"), float("nan")
    check_readable(history_figure(rows, "Training", best_epoch=2))


def test_history_figure_refuses_an_epoch_that_does_not_exist() -> None:
    with pytest.raises(HeadstartError, match="one of the 2 epochs"):
        history_figure(history([("head", 2)]), "Training", best_epoch=3)


@pytest.mark.parametrize("largest", [1, 2, 7, 12_345])
def test_the_colour_bar_counts_whole_images(largest: int) -> None:
    figure = confusion_figure(np.array([[largest, 0], [0, 1]]), ["a", "b"], normalized=False, title="Test split")
    figure.canvas.draw()
    low, high = figure.axes[1].get_ylim()
    ticks = [value for value in figure.axes[1].get_yticks() if low <= value <= high]
    assert len(ticks) > 1
    assert all(float(value).is_integer() for value in ticks)
    shown = [text.get_text() for text in figure.axes[1].get_yticklabels()]
    assert {f"{int(value):,}" for value in ticks} <= set(shown)


@pytest.mark.parametrize(("images", "classes"), [(1, 2), (500, 2), (500, 20)])
def test_calibration_figure_is_readable(images: int, classes: int) -> None:
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.full(classes, 0.3), size=images)
    figure = calibration_figure(generator.integers(classes, size=images), probabilities, LONG_TITLE)
    check_readable(figure)
    assert sum(bar.get_height() for bar in figure.axes[1].patches) == images


def test_calibration_figure_states_the_error() -> None:
    figure = calibration_figure(np.array([0, 1]), np.array([[0.75, 0.25], [0.75, 0.25]]), "Calibration")
    assert "0.250" in figure.axes[0].get_title()


def test_calibration_figure_has_points_of_as_many_images() -> None:
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet([0.1, 0.1], size=600)
    labels = (generator.random(600) < probabilities[:, 1]).astype(int)
    figure = calibration_figure(labels, probabilities, "Calibration")
    assert figure.axes[0].get_title().startswith("10 bins of 60 images; ")
    [points] = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    confidence = np.sort(probabilities.max(axis=1)).reshape(10, 60).mean(axis=1)
    np.testing.assert_allclose(points.get_xdata(), confidence)


@pytest.mark.parametrize("classes", [2, pytest.param(100, marks=pytest.mark.slow)])
def test_temperature_figure_shows_both_on_the_same_axes(classes: int) -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 3, (400, classes))
    before = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    after = np.exp(logits / 2) / np.exp(logits / 2).sum(axis=1, keepdims=True)
    labels = np.array([generator.choice(classes, p=row) for row in after])
    figure = temperature_figure(labels, before, after, 2.0, LONG_TITLE, "run: a")
    check_readable(figure)
    first, second = figure.axes[:2]
    assert first.get_xlim() == second.get_xlim()
    errors = [float(axes.get_title().split()[-1]) for axes in (first, second)]
    assert errors[0] > errors[1] + 0.05
    assert "temperature 2" in second.get_title()


def predictions(classes: int, images: int = 300, skill: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    labels = np.arange(images) % classes
    logits = generator.normal(size=(images, classes))
    logits[np.arange(images), labels] += skill
    return labels, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("classes", "long"), [(2, True), (20, True), pytest.param(10, False, marks=pytest.mark.slow)])
def test_curves_figure_is_readable(classes: int, long: bool) -> None:
    figure = curves_figure(
        *predictions(classes), names(classes, long), LONG_TITLE, "run: a", 0.3 if classes == 2 else None
    )
    check_readable(figure)
    curves = [line for line in figure.axes[0].lines if len(line.get_xdata()) > 2]
    assert len(curves) == (1 if classes == 2 else classes)
    assert len({(line.get_color(), line.get_linestyle()) for line in curves}) == len(curves)


def test_curves_figure_marks_where_the_thresholds_are() -> None:
    labels, probabilities = predictions(2, skill=1.0)
    figure = curves_figure(labels, probabilities, ["cat", "dog"], "Curves", advised=0.3)
    roc, precision_recall = figure.axes
    called = probabilities[:, 1] > 0.3
    [star] = [line for line in roc.lines if line.get_marker() == "*"]
    assert star.get_ydata()[0] == pytest.approx(called[labels == 1].mean())
    assert star.get_xdata()[0] == pytest.approx(called[labels == 0].mean())
    [star] = [line for line in precision_recall.lines if line.get_marker() == "*"]
    assert star.get_ydata()[0] == pytest.approx((labels == 1)[called].mean())
    written = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "threshold 0.3 (advised on validation)" in written
    unchanged = curves_figure(labels, probabilities, ["cat", "dog"], "Curves", advised=0.5)
    assert any("no other is clearly better" in text.get_text() for text in unchanged.legends[0].get_texts())


def test_curves_figure_shows_the_corner_that_the_curves_differ_in() -> None:
    for skill, widest in ((8.0, 0.1), (0.3, 1.0)):
        figure = curves_figure(*predictions(3, skill=skill), ["a", "b", "c"], "Curves")
        low, high = figure.axes[0].get_ylim()
        assert high > 1
        assert 1 - low == pytest.approx(1.0) if widest == 1.0 else 1 - low <= widest


def test_curves_figure_leaves_classes_without_images_out() -> None:
    labels, probabilities = predictions(3)
    figure = curves_figure(np.minimum(labels, 1), probabilities, ["a", "b", "absent"], "Curves")
    assert not any("absent" in text.get_text() for text in figure.legends[0].get_texts())
    nothing = curves_figure(np.zeros(5, int), np.full((5, 2), 0.5), ["a", "b"], "Curves")
    check_readable(nothing)


def samples(classes: int, long: bool) -> list[Sample]:
    chosen = choose_samples(np.arange(7 * classes) % classes, classes)
    return [
        Sample(name, 7, [image(32, 32, int(i)) for i in positions])
        for name, positions in zip(names(classes, long), chosen, strict=False)
    ]


@pytest.mark.parametrize(
    ("classes", "long"), [(2, False), (30, True), (100, False), pytest.param(12, True, marks=pytest.mark.slow)]
)
def test_samples_figure_is_readable(classes: int, long: bool) -> None:
    figure = samples_figure(samples(classes, long), LONG_TITLE, "run: a")
    check_readable(figure)
    assert figure.get_figheight() < 15
    if not long:
        written = {text.get_text().partition(" (")[0] for text in figure.texts}
        assert {str(i) for i in range(classes)} <= written


def test_samples_figure_shows_the_pixels_beside_their_class() -> None:
    black, white = np.zeros((80, 80, 3), np.uint8), np.full((80, 80, 3), 255, np.uint8)
    figure = samples_figure([Sample("black", 2, [black, black]), Sample("mixed", 1, [white])], "Samples")
    [axes] = figure.axes
    rows, columns = axes.images[0].get_array().shape[:2]
    quarters = [
        axes.images[0].get_array()[y : y + 50, x : x + 50] for y in (5, rows // 2 + 5) for x in (5, columns // 2)
    ]
    assert [int(quarter.mean()) for quarter in quarters] == [0, 0, 255, 255]  # the missing one is white too
    assert [text.get_text() for text in figure.texts][1:] == ["black", "2 images", "mixed", "1 image"]


@pytest.mark.parametrize(("classes", "each"), [(2, 8), (10, 8), (12, 8), (20, 4), (40, 2), (100, 1), (1000, 1)])
def test_few_images_are_chosen_from_any_number_of_classes(classes: int, each: int) -> None:
    labels = np.tile(np.arange(classes), 9)
    chosen = choose_samples(labels, classes)
    assert len(chosen) == min(classes, MOST_IMAGES)
    assert [len(positions) for positions in chosen] == [each] * len(chosen)
    assert all((labels[positions] == label).all() for label, positions in enumerate(chosen))
    again = choose_samples(labels, classes)
    assert all((one == other).all() for one, other in zip(chosen, again, strict=True))


@pytest.mark.parametrize(
    "figure",
    [
        lambda source: confusion_figure(confusion(3), ["a", "b", "c"], False, LONG_TITLE, source),
        lambda source: history_figure(history([("head", 3)]), LONG_TITLE, 1, source),
        lambda source: calibration_figure(*predictions(2), LONG_TITLE, source),
        lambda source: mistakes_figure([image(8, 8)], [("cat", "dog", 0.9)], LONG_TITLE, source),
        lambda source: explained_figure([image(8, 8)], [heat(8, 8)], [("a", "b", 0.9, 0.1)], LONG_TITLE, source),
        lambda source: learning_rate_figure(*[np.geomspace(1e-7, 10, 20)] * 3, None, 1e-3, LONG_TITLE, source),
    ],
)
def test_each_figure_names_its_run_and_data(figure: Callable[[str], Figure]) -> None:
    source = "run: birds vgg16 dense512 last_block seed 3"
    assert source in [text.get_text() for text in figure(source).texts]
    check_readable(figure("run: " + "a_very_long_name " * 20))


@pytest.mark.parametrize("count", [0, 1, 5, *(pytest.param(count, marks=pytest.mark.slow) for count in (2, 16))])
def test_mistakes_figure_is_readable(count: int) -> None:
    sizes = [(8, 8), (224, 224), (60, 200), (200, 60)]
    labels = names(16, long=True)
    figure = mistakes_figure(
        [image(*sizes[i % 4], seed=i) for i in range(count)],
        [(labels[i], labels[15 - i], 1 - i / 20) for i in range(count)],
        LONG_TITLE,
    )
    check_readable(figure)
    assert len(figure.axes) == count


def test_mistakes_figure_shows_true_and_predicted_class() -> None:
    figure = mistakes_figure([image(8, 8)], [("cat", "dog", 0.98)], "Worst mistakes")
    assert [text.get_text() for text in figure.texts][1:] == ["confidence: 98.0 %", "predicted: dog", "true: cat"]


def test_mistakes_figure_says_that_there_are_none() -> None:
    figure = mistakes_figure([], [], "Worst mistakes")
    assert any("No mistakes" in text.get_text() for text in figure.texts)


def test_mistakes_figure_shows_the_pixels_as_they_are() -> None:
    pixels = image(8, 8)
    figure = mistakes_figure([pixels], [("3", "8", 0.9)], "Worst mistakes")
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), pixels)


def heat(height: int, width: int) -> np.ndarray:
    """Return two maps: one that grows from left to right, and an empty one."""
    return np.stack([np.tile(np.linspace(0, 1, width), (height, 1)), np.zeros((height, width))])


@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize("count", [0, 1, pytest.param(8, marks=pytest.mark.slow)])
def test_explained_figure_is_readable(count: int, long: bool) -> None:
    sizes = [(8, 8), (224, 224), (60, 200), (200, 60)]
    labels = [*names(16, long)[:-1], "猫\nKäfer, 'small' \"quoted\""]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure = explained_figure(
            [image(*sizes[i % 4], seed=i) for i in range(count)],
            [heat(*sizes[i % 4]) for i in range(count)],
            [(labels[i], labels[15 - i], 1 - i / 20, i / 20) for i in range(count)],
            LONG_TITLE,
        )
        check_readable(figure)
    assert len(figure.axes) == (3 * count + 1 if count else 0)


def test_explained_figure_shows_the_classes_and_explains_the_colours() -> None:
    figure = explained_figure([image(8, 8)], [heat(8, 8)], [("cat", "dog", 0.98, 0.02)], "Worst mistakes")
    texts = [text.get_text() for text in visible_texts(figure)]
    lines = ("predicted, at 98.0 %:", "dog", "true, at 2.0 %:", "cat", "(no supporting region)")
    positions = [texts.index(line) for line in lines]
    heights = [figure.texts[position].get_position()[1] for position in positions]
    assert heights == sorted(heights, reverse=True)
    assert texts.count("(no supporting region)") == 1  # for the true class
    assert "most" in texts
    assert any("each map is scaled to its own maximum" in text for text in texts)


def test_explained_figure_says_that_there_are_none() -> None:
    figure = explained_figure([], [], [], "Worst mistakes")
    assert any("No mistakes" in text.get_text() for text in figure.texts)


def test_overlay_colours_hot_regions_and_shows_the_image_everywhere() -> None:
    picture = np.tile(np.arange(0, 256, 4, dtype=np.uint8)[:, None, None], (1, 64, 3))
    laid = overlay(picture, heat(4, 4)[0]).astype(int)
    colour = laid.max(axis=2) - laid.min(axis=2)
    np.testing.assert_array_equal(laid[:, 0], picture[:, 0])
    assert (colour[:, -1] > 90).all()
    assert (np.diff(colour[:, [0, 20, 40, 63]].mean(axis=0)) > 0).all()
    assert (np.diff(laid.sum(axis=2), axis=0) > 0).all()  # brighter places of the picture stay brighter
    np.testing.assert_array_equal(overlay(picture, np.zeros((4, 4))), picture)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 6), (2, 12)])
def test_grid_figure_is_readable(rows: int, columns: int) -> None:
    figure = grid_figure(
        [[image(16, 16) for _ in range(columns)] for _ in range(rows)],
        names(rows, long=True),
        names(columns, long=True),
        LONG_TITLE,
    )
    check_readable(figure)
    assert len(figure.axes) == rows * columns


def test_grid_figure_leaves_missing_pictures_out() -> None:
    figure = grid_figure([[image(8, 8)], [image(8, 8), image(8, 8)]], ["a", "b"], ["1", "2"], "Views")
    assert len(figure.axes) == 3


def test_figures_leave_the_global_state_of_matplotlib_alone() -> None:
    import matplotlib
    from matplotlib import pyplot

    settings = dict(matplotlib.rcParams)
    confusion_figure(confusion(3), names(3, long=False), normalized=True, title="Test split").canvas.draw()
    history_figure(history([("head", 2)]), "Training", best_epoch=1).canvas.draw()
    calibration_figure(np.array([0]), np.array([[0.6, 0.4]]), "Calibration").canvas.draw()
    mistakes_figure([image(8, 8)], [("cat", "dog", 0.9)], "Worst mistakes").canvas.draw()
    explained_figure([image(8, 8)], [heat(8, 8)], [("cat", "dog", 0.9, 0.1)], "Worst mistakes").canvas.draw()
    assert pyplot.get_fignums() == []
    assert dict(matplotlib.rcParams) == settings


@pytest.mark.parametrize("updates", [1, 40, 120])
@pytest.mark.parametrize("configured", [1e-9, 1e-3, 100.0])
def test_learning_rate_figure_marks_both_rates(updates: int, configured: float) -> None:
    rates = np.geomspace(1e-7, 10, 120)[:updates]
    losses = 2 + np.sin(np.arange(updates))
    suggestion = 2.5e-6 if updates > 1 else None
    figure = learning_rate_figure(rates, losses, losses, suggestion, configured, LONG_TITLE)
    check_readable(figure)
    axes = figure.axes[0]
    assert axes.get_xscale() == "log"
    upright = {line.get_xdata()[0] for line in axes.lines if list(line.get_ydata()) == [0, 1]}
    assert upright == {configured, suggestion} - {None}
    left, right = axes.get_xlim()
    assert all(left < rate < right for rate in upright)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert f"configured: {configured:.2g}" in labels
    assert ("suggested: 2.5e-06" in labels) == (suggestion is not None)


def test_learning_rate_figure_shows_the_descent_and_not_the_explosion() -> None:
    rates = np.geomspace(1e-7, 10, 100)
    losses = np.concatenate([np.linspace(2, 0.5, 90), np.geomspace(1, 1e6, 9), [np.nan]])
    low, high = learning_rate_figure(rates, losses, losses, 1e-3, 1e-4, "Sweep").axes[0].get_ylim()
    assert low < 0.5
    assert 2 < high < 4


def test_learning_rate_figure_without_a_finite_loss() -> None:
    nothing = np.array([np.nan])
    figure = learning_rate_figure(np.array([1e-7]), nothing, nothing, None, 1e-3, "Sweep")
    check_readable(figure)
    assert any("never finite" in text.get_text() for text in visible_texts(figure))


@pytest.mark.parametrize(("split_points", "best"), [(2, 0), (31, 20), (80, 79)])
def test_depth_figure_marks_the_best_and_the_last_probe(split_points: int, best: int) -> None:
    depths = list(np.linspace(0.01, 1, split_points))
    accuracies = [1.0 if position == best else 0.5 for position in range(split_points)]
    figure = depth_figure(depths, accuracies, 0.1, best, 1000, LONG_TITLE)
    check_readable(figure)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[0] == "linear probe, 1,000 images"
    assert labels[1] == f"best: 100.0 % at {100 * depths[best]:.0f} %"
    assert labels[2].startswith("last: 100.0 %" if best == split_points - 1 else "last: 50.0 %")


@pytest.mark.parametrize(
    ("name", "most", "lines"),
    [
        ("an animal with a rather long name", 3, ["an animal with a", "rather long", "name"]),
        ("a_class_that_is_one_long_word", 3, ["a_class_that_is_", "one_long_word"]),
        ("cat", 1, ["cat"]),
        ("an animal with a rather long name", 1, ["an ani…g name"]),
        ("Donaudampfschifffahrtskapitaen", 3, ["Donaud…pitaen"]),
    ],
)
def test_a_name_takes_several_lines_where_there_is_room_and_loses_its_middle_elsewhere(
    name: str, most: int, lines: list[str]
) -> None:
    found = style.name_lines(name, 10.0, 1.25, most)
    assert found == lines
    assert all(style.text_width(line, 10.0) <= 1.25 for line in found)
