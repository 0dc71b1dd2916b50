"""A headless Chromium that opens pages, answers JavaScript and takes pictures, spoken to over a pipe."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import itertools
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from headstart.core.errors import HeadstartError

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",  # root in a container may not make one
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
TIME_LIMIT = 120  # seconds for one answer, on a machine with much else to do
FIRST_FREE = 10  # descriptors below are moved about in the child
FOR_COMMANDS, FOR_ANSWERS = 3, 4  # descriptors that Chromium reads from and writes to


@dataclass
class Browser:
    """A running browser with one open page.

    Args:
        commands: descriptor to write to.
        answers: descriptor to read from.
        session: of the open page.
    """

    commands: int
    answers: int
    session: str = ""
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    received: bytes = b""

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command of the DevTools protocol and return its result.

        Args:
            method: such as `Page.navigate`.
            parameters: of the method.

        Raises:
            HeadstartError: when the browser refuses, ends or does not answer.
        """
        number = next(self.numbers)
        command: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self.session:
            command["sessionId"] = self.session
        os.write(self.commands, json.dumps(command).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") != number:
                continue  # an event
            if "error" in answer:
                raise HeadstartError(f"The browser refused {method}: {answer['error']['message']}")
            return answer["result"]

    def open(self, address: str, width: int, height: int, dark: bool) -> None:
        """Open a page at a size and with a theme, and wait until it is loaded and its fonts are.

        Args:
            address: of the page.
            width: of the window in pixels.
            height: of the window in pixels.
            dark: whether the page is told that people prefer dark.

        Raises:
            HeadstartError: when the page cannot be opened.
        """
        if not self.session:
            target = self.call("Target.createTarget", url="about:blank")["targetId"]
            self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[theme])
        opened = self.call("Page.navigate", url=address)
        if opened.get("errorText"):
            raise HeadstartError(f"Expected a page. Received: {address} ({opened['errorText']})")
        until = time.monotonic() + TIME_LIMIT
        while self.evaluate("document.readyState") != "complete":
            if time.monotonic() > until:
                raise HeadstartError(f"Expected a page that loads within {TIME_LIMIT} s. Received: {address}")
            time.sleep(0.05)
        self.evaluate("document.fonts.ready.then(() => true)")

    def evaluate(self, script: str) -> Any:
        """Return the value of a JavaScript expression on the open page.

        Args:
            script: the expression; a promise is awaited.

        Raises:
            HeadstartError: when it throws.
        """
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise HeadstartError(f"The page's script failed: {found['result'].get('description')}")
        return found["result"].get("value")

    def picture(self) -> bytes:
        """Return a PNG of the whole page."""
        whole = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return base64.b64decode(whole["data"])

    def _read(self) -> dict[str, Any]:
        """Return the browser's next message."""
        until = time.monotonic() + TIME_LIMIT
        while b"\0" not in self.received:
            if not select.select([self.answers], [], [], max(0.0, until - time.monotonic()))[0]:
                raise HeadstartError(f"Expected an answer of the browser within {TIME_LIMIT} s. Received: none")
            piece = os.read(self.answers, 1 << 20)
            if not piece:
                raise HeadstartError("The browser ended before it answered.")
            self.received += piece
        message, _, self.received = self.received.partition(b"\0")
        return json.loads(message)


def find_browser() -> str | None:
    """Return the program of a Chromium or Chrome on the PATH; None if there is none."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


@contextlib.contextmanager
def running_browser() -> Iterator[Browser]:
    """Start a browser, and end it.

    Raises:
        HeadstartError: when there is none on the PATH.
    """
    program = find_browser()
    if program is None:
        raise HeadstartError(
            f"Expected one of {', '.join(PROGRAMS)} on the PATH. Received: none. On Debian: apt-get install chromium"
        )
    read_commands, write_commands = _pipe()
    read_answers, write_answers = _pipe()

    def connect() -> None:
        os.dup2(read_commands, FOR_COMMANDS)
        os.dup2(write_answers, FOR_ANSWERS)

    # The directory goes after the browser, which may still write to it while it ends.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={profile}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=connect,
            pass_fds=(FOR_COMMANDS, FOR_ANSWERS),
        )
        os.close(read_commands)
        os.close(write_answers)
        try:
            yield Browser(write_commands, read_answers)
        finally:
            process.terminate()
            process.wait()
            os.close(write_commands)
            os.close(read_answers)


def _pipe() -> tuple[int, int]:
    """Return a pipe whose descriptors are none of those that Chromium uses."""
    ends = os.pipe()
    moved = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, FIRST_FREE) for end in ends)
    for end in ends:
        os.close(end)
    return moved[0], moved[1]
