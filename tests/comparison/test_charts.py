"""The figures of the page: scales, names that stay whole, labels that keep clear of each other."""

from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree

import pytest
from written import configured

from headstart.comparison.charts.drawing import NAMED, Box, Drawing, Point, text_width, wrapped
from headstart.comparison.charts.plot import Scale, accuracy_scale, amount_scale, amount_tick, draw_labels
from headstart.comparison.charts.series import series_of
from headstart.comparison.strategies import Strategy

AREA = Box(0, 0, 600, 400)


@pytest.mark.parametrize("name", ["freeze=last_two_blocks head=dense512", "x" * 80, "猫" * 30, "a b", "<b>&amp;</b>"])
@pytest.mark.parametrize("width", [60.0, 200.0])
def test_a_name_is_wrapped_and_stays_whole(name: str, width: float) -> None:
    lines = wrapped(name, width)
    assert "".join(lines).replace(" ", "") == name.replace(" ", "")
    assert max(map(text_width, lines)) <= width


def test_a_long_word_breaks_after_a_mark() -> None:
    assert wrapped("freeze=last_two_blocks", 100.0) == ["freeze=last_", "two_blocks"]


def test_scales_map_ends_to_ends_and_have_round_ticks() -> None:
    scale = accuracy_scale([0.71, 0.94], 0, 100)
    assert scale(scale.low) == 0
    assert scale(scale.high) == pytest.approx(100)
    assert [round(tick, 9) for tick in scale.ticks(6)] == [0.7, 0.75, 0.8, 0.85, 0.9, 0.95]
    assert accuracy_scale([1.0], 0, 100).high <= 1.01
    wide = amount_scale([3, 2000], 0, 100)
    assert wide.logarithmic
    assert wide.ticks(9) == [5, 10, 20, 50, 100, 200, 500, 1000, 2000]
    assert not amount_scale([10, 20], 0, 100).logarithmic
    assert [amount_tick(value) for value in (26.200000000000003, 20, 0.5, 1500, 250000)] == [
        *("26.2", "20", "0.5", "1,500", "250,000")
    ]
    assert Scale(1, 100, 0, 100, logarithmic=True)(10) == pytest.approx(50)


def boxes_of(drawing: Drawing) -> list[Box]:
    """Return the boxes of the labels of a drawing, one for each line of text."""
    boxes = []
    for text in ElementTree.fromstring(str(drawing.html())).iter("text"):
        width, x, y = text_width(str(text.text)), float(text.attrib["x"]), float(text.attrib["y"])
        left = {"start": x, "middle": x - width / 2, "end": x - width}[text.attrib["text-anchor"]]
        boxes.append(Box(left, y - 9, left + width, y + 3))
    return boxes


def test_labels_keep_clear_of_each_other_and_within_the_area() -> None:
    points = [Point(40 + 7 * number, 40 + 3 * number % 90) for number in range(40)]
    drawing = Drawing(600, 400, "many")
    labels = [(point, [f"#{number} a strategy", "with two lines"]) for number, point in enumerate(points)]
    left_out = draw_labels(drawing, labels, [], AREA)
    boxes = boxes_of(drawing)
    assert len(boxes) == 2 * (len(points) - left_out)
    assert 10 < len(boxes) < 80
    assert not [pair for pair in itertools.combinations(boxes, 2) if pair[0].overlaps(pair[1])]
    assert all(AREA.contains(box) for box in boxes)


def test_text_and_tips_are_escaped() -> None:
    drawing = Drawing(100, 100, "<script>")
    drawing.text(Point(0, 0), "<b>\x07")
    drawing.marker(Point(0, 0), 1, "first & <i>\nsecond")
    html = str(drawing.html())
    assert "&lt;b&gt;\\x07" in html
    assert "<title>first &amp; &lt;i&gt;\nsecond</title>" in html
    assert not re.search("<(script|b|i)>", html)


def test_the_first_strategies_have_colours_and_the_others_are_grey() -> None:
    config = configured()
    strategies = [Strategy({"n": str(number)}, config, (), 0, "") for number in range(NAMED + 2)]
    series = series_of(strategies, [])
    assert series.strategies == (*range(1, NAMED + 1), 0, 0)
    assert series.first == tuple(range(NAMED))
