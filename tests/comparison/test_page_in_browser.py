"""The page in a browser: nothing clipped, nothing overlaps, and its filter, sort and tooltips work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_learning_curves import write_curves
from written import configured, write_failed, write_run, write_sweep

import check_pages
from browser import Browser
from headstart.comparison import Run, compare

LARGEST = 2_000_000  # bytes of a page
LONG = ("an animal with a rather long name, in words", "a_class_that_is_one_long_word_without_a_space", "猫と犬")


def one_run(directory: Path) -> list[Run]:
    return [write_run(directory / "0", configured(), saved=True)]


def two_classes(directory: Path) -> list[Run]:
    """Write two strategies of three seeds on two classes, whose pictures are there, and runs that failed."""
    generator = np.random.default_rng(0)
    for position, name in enumerate(LONG[:2]):
        (directory / "pictures" / "test" / name).mkdir(parents=True)
        for number in range(position, 120, 2):
            pixels = generator.integers(0, 255, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(directory / "pictures" / "test" / name / f"{number:04}.png")
    runs = [
        write_run(
            directory / f"{freeze}{seed}",
            configured(f"freeze={freeze}", seed=seed),
            accuracy,
            images=120,
            classes=LONG[:2],
            root=directory / "pictures",
            seconds=seconds,
        )
        for freeze, accuracy, seconds in (("all", 0.7, 9.0), ("last_two_blocks", 0.9, 200.0))
        for seed in range(3)
    ]
    error = f"ResourceExhaustedError: OOM when allocating a tensor on {'/job:localhost' * 5}"
    runs += [write_failed(directory / f"f{seed}", configured("freeze=none", seed=seed), error) for seed in range(7)]
    return [*runs, write_failed(directory / "killed", configured("freeze=none", seed=9), "interrupted", "KILLED")]


def hundred_classes(directory: Path) -> list[Run]:
    classes = tuple(f"{LONG[number % 3]} {number}" for number in range(100))
    return [
        write_run(directory / freeze, configured(f"freeze={freeze}"), accuracy, images=400, classes=classes)
        for freeze, accuracy in (("all", 0.7), ("last_block", 0.8), ("none", 0.9))
    ]


def sixty_strategies(directory: Path) -> list[Run]:
    return write_sweep(directory, images=100)


@pytest.mark.slow
@pytest.mark.parametrize("write", [one_run, two_classes, hundred_classes, sixty_strategies, write_curves])
def test_nothing_is_clipped_and_nothing_overlaps(
    browser: Browser, tmp_path: Path, write: Callable[[Path], list[Run]]
) -> None:
    page = compare(write(tmp_path / "runs"), tmp_path / "comparison").page
    assert page.stat().st_size < LARGEST
    views = check_pages.check(browser, str(page))
    assert {view.name: view.problems for view in views} == {view.name: () for view in views}


@pytest.mark.slow
def test_the_page_filters_sorts_and_explains(browser: Browser, tmp_path: Path) -> None:
    page = compare(two_classes(tmp_path / "runs"), tmp_path / "comparison").page
    browser.open(page.as_uri(), 1280, 900, dark=False)
    shown = "[...document.querySelectorAll('tbody tr:not([hidden])')].map((row) => row.dataset.strategy).join()"
    assert browser.evaluate(shown) == "1,2"
    browser.evaluate("[...document.querySelectorAll('thead button')].find((b) => b.textContent == 'seconds').click()")
    assert browser.evaluate(shown) == "2,1"
    typed = "(() => { const f = document.getElementById('filter'); f.value = 'BLOCKS best';"
    browser.evaluate(f"{typed} f.dispatchEvent(new Event('input')); }})()")
    assert browser.evaluate(shown) == "1"
    assert browser.evaluate("document.getElementById('count').textContent") == "1 of 2"
    assert browser.evaluate("document.querySelectorAll('figure [data-strategy=\"1\"].off').length") == 0
    assert browser.evaluate("document.querySelectorAll('figure [data-strategy=\"2\"].off').length") > 0
    mark = "document.querySelector('figure .wide .front[data-strategy=\"1\"]')"
    browser.evaluate(f"{mark}.dispatchEvent(new PointerEvent('pointerover', {{bubbles: true}}))")
    tip = browser.evaluate("document.getElementById('tip').textContent")
    assert tip.startswith("#1 freeze=last_two_blocks\n200 s, validation ")
    assert browser.evaluate("document.getElementById('tip').hidden") is False
    assert browser.evaluate("document.querySelector('tr[data-strategy=\"1\"]').classList.contains('lit')") is True


@pytest.mark.slow
def test_a_phone_shows_the_first_ten_strategies_until_people_ask_for_all(browser: Browser, tmp_path: Path) -> None:
    page = compare(sixty_strategies(tmp_path / "runs"), tmp_path / "comparison").page
    shown = "[...document.querySelectorAll('tbody tr')].filter((row) => row.checkVisibility()).length"
    more = "document.getElementById('more')"
    browser.open(page.as_uri(), 1280, 900, dark=False)
    assert browser.evaluate(shown) == 60
    assert browser.evaluate(f"{more}.checkVisibility()") is False
    browser.open(page.as_uri(), 390, 900, dark=False)
    assert browser.evaluate(shown) == 10
    assert browser.evaluate(f"{more}.textContent") == "Show all 60"
    filtered = (
        "(() => { const f = document.getElementById('filter'); f.value = %r; f.dispatchEvent(new Event('input')); })()"
    )
    browser.evaluate(filtered % "head=svm freeze=none")
    found = browser.evaluate("[...document.querySelectorAll('tbody tr:not([hidden])')].length")
    assert 0 < found <= 10
    assert browser.evaluate(shown) == found
    assert browser.evaluate(f"{more}.checkVisibility()") is False
    browser.evaluate(filtered % "")
    browser.evaluate(f"{more}.click()")
    assert browser.evaluate(shown) == 60
    assert browser.evaluate(f"{more}.checkVisibility()") is False


@pytest.mark.slow
def test_the_titles_of_the_columns_stay_and_the_command_can_be_copied(browser: Browser, tmp_path: Path) -> None:
    browser.open(compare(one_run(tmp_path / "one"), tmp_path / "page").page.as_uri(), 1280, 900, dark=False)
    copy = "document.querySelector('[data-copy]')"
    browser.evaluate(f"{copy}.click()")
    said = browser.evaluate(f"new Promise((done) => setTimeout(() => done({copy}.textContent), 200))")
    assert said in ("Copied", "Press Ctrl-C")
    browser.open(compare(sixty_strategies(tmp_path / "sixty"), tmp_path / "pages").page.as_uri(), 1280, 900, dark=False)
    browser.evaluate("document.querySelector('.scroll').scrollTo(0, 800)")
    top = "document.querySelector(%r).getBoundingClientRect().top"
    offset = f"{top % 'thead th'} - {top % '.scroll'}"
    assert 0 <= browser.evaluate(offset) <= 2
    assert check_pages.problems(browser) == ()
