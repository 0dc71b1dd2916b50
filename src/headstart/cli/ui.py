"""Show the runs in MLflow's web page, on this computer alone: `headstart ui`. Ctrl-C ends it."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
import webbrowser

from headstart.cli.parser import CommandParser
from headstart.cli.servers import answers, choose_port, serving
from headstart.core.console import console
from headstart.core.errors import HeadstartError
from headstart.core.paths import outputs_directory
from headstart.core.sqlite_uri import sqlite_uri
from headstart.tracking import expect_address, newest_experiment

PORT = 5000


def main(arguments: list[str] | None = None) -> int:
    """Start MLflow's web page, open it, wait until Ctrl-C, and return the exit code."""
    options = build_parser().parse_args(arguments)
    try:
        uri = options.tracking_uri or sqlite_uri(outputs_directory() / "mlflow.db")
        expect_address(uri, "--tracking-uri")
        experiment = newest_experiment(uri)
        if uri.startswith("http"):  # a server, which has a page of its own
            show(page_of(uri.rstrip("/"), experiment), options.no_browser)
            return 0
        port = choose_port(options.port, PORT)
        command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri]
        command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        with serving(command) as server:
            wait_for(port, server)
            show(page_of(f"http://127.0.0.1:{port}", experiment), options.no_browser)
            console.print("Ctrl-C ends it.")
            return server.wait()
    except KeyboardInterrupt:
        return 0
    except HeadstartError as error:
        console.print(f"Error: {error}", markup=False, soft_wrap=True)
        return 1


def build_parser() -> CommandParser:
    """Return the parser of the command line."""
    parser = CommandParser(prog="headstart ui", description=__doc__)
    parser.add_argument("--tracking-uri", help="the store to show (that of the outputs)")
    parser.add_argument("--port", type=int, help=f"({PORT}, or a free one if it is taken)")
    parser.add_argument("--no-browser", action="store_true", help="print the link and open nothing")
    return parser


def page_of(server: str, experiment: str) -> str:
    """Return the link to the page of an experiment's runs.

    Args:
        server: its address.
        experiment: its id.
    """
    return f"{server}/#/experiments/{experiment}/runs?workflowType=machine_learning"


def wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    """Return when the server listens.

    Raises:
        HeadstartError: when it ends before that.
    """
    while not answers(port):
        if server.poll() is not None:
            raise HeadstartError(f"MLflow's server ended with exit code {server.returncode} before it answered.")
        time.sleep(0.1)


def show(page: str, no_browser: bool) -> None:
    """Print the link, and open it if this computer has a browser."""
    console.print(page, markup=False, soft_wrap=True)
    if not no_browser:
        with contextlib.suppress(webbrowser.Error):
            webbrowser.open(page)
