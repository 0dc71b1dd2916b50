"""Check that nothing on a page is clipped or overlaps: `python scripts/checks/check_pages.py PAGE.html http://...`.

Opens each page in a headless Chromium as wide as a desktop and as a phone, light and dark, and looks at every element,
every line of text and every label in a figure. `--pictures DIRECTORY` keeps what it saw.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from browser import Browser, running_browser
from headstart.core.console import console
from headstart.core.error_output import print_error
from headstart.core.errors import HeadstartError
from headstart.core.program import exit_with

ROOT = Path(__file__).absolute().parents[2]
SCRIPT = Path(__file__).with_suffix(".js")
WIDTHS = (1280, 390)  # pixels: a small desktop, a phone
HEIGHT = 900  # pixels
SHOWN = 20  # problems of one view


@dataclass(frozen=True)
class View:
    """One page at one width in one theme.

    Args:
        page: file or address.
        width: of the window in pixels.
        dark: whether the theme is dark.
        problems: a sentence for each.
    """

    page: str
    width: int
    dark: bool
    problems: tuple[str, ...]

    @property
    def name(self) -> str:
        """The width and theme in words."""
        return f"{self.width} px {'dark' if self.dark else 'light'}"


def main(arguments: list[str] | None = None) -> int:
    """Check the pages, print what is wrong, and return the exit code: 1 if anything is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="+", metavar="PAGE", help="HTML files, or addresses of pages that are served")
    parser.add_argument("--pictures", type=Path, metavar="DIRECTORY", help="write a PNG of every view")
    options = parser.parse_args(arguments)
    try:
        with running_browser() as browser:
            views = [view for page in options.pages for view in check(browser, page, options.pictures)]
    except HeadstartError as error:
        print_error(error)
        return 1
    for view in views:
        outcome = f"{len(view.problems)} problems" if view.problems else "nothing clipped, nothing overlaps"
        console.print(f"{view.page} at {view.name}: {outcome}", markup=False, soft_wrap=True)
        for problem in view.problems[:SHOWN]:
            console.print(f"    {problem}", markup=False, soft_wrap=True)
        if len(view.problems) > SHOWN:
            console.print(f"    and {len(view.problems) - SHOWN} more")
    return 1 if any(view.problems for view in views) else 0


def check(browser: Browser, page: str, pictures: Path | None = None) -> list[View]:
    """Return what is wrong with a page at every width and in both themes.

    Args:
        browser: to open it in.
        page: file or address.
        pictures: directory for a PNG of each view; None: none.

    Raises:
        HeadstartError: when the page cannot be opened.
    """
    views = []
    for width in WIDTHS:
        for dark in (False, True):
            browser.open(address_of(page), width, HEIGHT, dark)
            view = View(page, width, dark, problems(browser))
            views.append(view)
            if pictures is not None:
                pictures.mkdir(parents=True, exist_ok=True)
                (pictures / f"{Path(page).stem} {view.name}.png".replace(" ", "_")).write_bytes(browser.picture())
    return views


def problems(browser: Browser) -> tuple[str, ...]:
    """Return what is wrong with the open page as it is now: scrolled, filtered or not.

    Args:
        browser: with the page.
    """
    return tuple(browser.evaluate(SCRIPT.read_text(encoding="utf-8")))


def address_of(page: str) -> str:
    """Return the address of a page.

    Args:
        page: file or address.

    Raises:
        HeadstartError: when there is no such file.
    """
    if page.startswith(("http://", "https://", "file://")):
        return page
    if not Path(page).is_file():
        raise HeadstartError(f"Expected an HTML file or an address. Received: {page}, which does not exist")
    return Path(page).absolute().as_uri()


if __name__ == "__main__":
    exit_with(main, ROOT)
