"""Take the picture of the runs in MLflow for the README: `python scripts/checks/mlflow_picture.py`.

Shows the list of runs as `headstart ui` opens it, without MLflow's assistant and notices. The runs are those of
$HEADSTART_OUTPUTS, for the README those of `python scripts/docs/tour.py`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from browser import Browser, running_browser
from headstart.core.console import console
from headstart.core.error_output import print_error
from headstart.core.errors import HeadstartError
from headstart.core.program import exit_with

ROOT = Path(__file__).absolute().parents[2]
PICTURE = ROOT / "docs" / "images" / "mlflow.png"
WIDTH, HEIGHT = 1280, 480  # pixels
SECONDS = 60  # for MLflow to show the runs
SETTLED = 3  # seconds after the last change of the page
RUNS_SHOWN = "document.querySelectorAll('a[href*=\"/runs/\"]').length > 0"
# On the first visit the assistant's panel is open, which the last button at the top right closes, and a notice is above
# the list. Sweeps show their jobs after a click.
TIDY_UP = """(() => {
  const buttons = [...document.querySelectorAll("button")];
  const place = (one) => one.getBoundingClientRect();
  const corner = buttons.filter((one) => place(one).left > 1200 && place(one).top < 80);
  corner.pop()?.click();
  let notice = buttons.find((one) => one.textContent.trim() === "Exit shared view");
  while (notice && notice.querySelectorAll("button").length < 3) notice = notice.parentElement;
  [...(notice?.querySelectorAll("button") ?? [])].pop()?.click();
  for (const link of document.querySelectorAll("a[href*='/runs/']")) {
    if (!link.textContent.startsWith("sweep ")) continue;
    link.closest("[role=gridcell]")?.querySelector("button, [role=button]")?.click();
  }
})()"""


def main(arguments: list[str] | None = None) -> int:
    """Take the picture, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=PICTURE, metavar="FILE.png", help="(default: the README's)")
    options = parser.parse_args(arguments)
    try:
        with served_runs() as page, running_browser() as browser:
            options.output.write_bytes(picture_of(browser, page))
    except HeadstartError as error:
        print_error(error)
        return 1
    console.print(f"Written: {options.output}", markup=False)
    return 0


@contextlib.contextmanager
def served_runs() -> Iterator[str]:
    """Run `headstart ui`; yields the link that it prints.

    Raises:
        HeadstartError: when it prints none.
    """
    command = [sys.executable, "-m", "headstart", "ui", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as server:
        try:
            link = server.stdout.readline().strip() if server.stdout else ""
            if not link.startswith("http"):
                raise HeadstartError(f"Expected headstart ui to print a link. Received: {link or 'nothing'}")
            yield link
        finally:
            server.send_signal(signal.SIGINT)


def picture_of(browser: Browser, page: str) -> bytes:
    """Return a PNG of the list of runs.

    Args:
        browser: to open it in.
        page: its address.

    Raises:
        HeadstartError: when MLflow shows no runs.
    """
    browser.open(page, WIDTH, HEIGHT, dark=False)
    until = time.monotonic() + SECONDS
    while not browser.evaluate(RUNS_SHOWN):
        if time.monotonic() > until:
            raise HeadstartError(f"Expected MLflow to show runs within {SECONDS} s. Received: none at {page}")
        time.sleep(0.5)
    time.sleep(SETTLED)
    browser.evaluate(TIDY_UP)
    time.sleep(SETTLED)
    return browser.picture()


if __name__ == "__main__":
    exit_with(main, ROOT)
