"""What is clipped or overlaps on a page is found in a browser."""

from __future__ import annotations

from pathlib import Path

import pytest

import check_pages
from browser import Browser

PAGE = """<!DOCTYPE html><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<style>body {{ font: 16px sans-serif; margin: 1rem; overflow-wrap: anywhere }}</style><body>{}</body>"""
GOOD = """<p>A paragraph of some words that wraps where the window ends, and a <b>bold</b> one.</p>
<div style="overflow-x: auto"><div style="width: 3000px">what scrolls may be wide</div></div>
<svg viewBox="0 0 200 60" width="200"><text x="5" y="20">one</text><text x="100" y="20">other</text></svg>"""
BAD = {
    "<div style='width: 1500px'>too wide</div>": "wider than its parent",
    "<div style='width: 5rem; overflow: hidden; white-space: nowrap'>this text is cut off</div>": "clipped",
    "<p style='width: 4rem; white-space: nowrap'>this text runs out of its box</p>": "text beyond its box",
    "<p>under</p><p style='margin-top: -2.2rem'>over</p>": "text over text",
    "<svg viewBox='0 0 99 50' width='99'><text x='9' y='20'>ab</text><text x='12' y='22'>cd</text></svg>": (
        "labels over each other"
    ),
    "<svg viewBox='0 0 50 50' width='50'><text x='9' y='20'>beyond its figure</text></svg>": "beyond its figure",
    "<p style='font-size: 6px'>tiny</p>": "text below 9 px",
}


def write(directory: Path, body: str) -> str:
    page = directory / "page.html"
    page.write_text(PAGE.format(body), encoding="utf-8")
    return str(page)


@pytest.mark.slow
def test_a_page_that_fits_has_no_problem(browser: Browser, tmp_path: Path) -> None:
    views = check_pages.check(browser, write(tmp_path, GOOD), tmp_path / "pictures")
    assert [view.name for view in views] == ["1280 px light", "1280 px dark", "390 px light", "390 px dark"]
    assert [view.problems for view in views] == [()] * 4
    assert len(list((tmp_path / "pictures").glob("page_*_px_*.png"))) == 4


@pytest.mark.slow
@pytest.mark.parametrize(("body", "says"), BAD.items())
def test_what_is_wrong_is_named(browser: Browser, tmp_path: Path, body: str, says: str) -> None:
    view = check_pages.check(browser, write(tmp_path, body))[-1]
    assert any(problem.startswith(says) for problem in view.problems), view.problems


@pytest.mark.slow
def test_the_page_knows_the_theme(browser: Browser, tmp_path: Path) -> None:
    for dark in (False, True):
        browser.open(check_pages.address_of(write(tmp_path, GOOD)), 390, 800, dark)
        assert browser.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") is dark
        assert browser.evaluate("innerWidth") == 390


def test_without_a_browser_or_a_page_the_message_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert check_pages.main(["page.html"]) == 1
    assert "Expected one of chromium," in capsys.readouterr().err
    with pytest.raises(check_pages.HeadstartError, match="which does not exist"):
        check_pages.address_of(str(tmp_path / "none.html"))
