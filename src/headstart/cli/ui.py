"""Show the runs in the MLflow UI, on this computer only: `headstart ui`. Press Ctrl-C to stop it."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
import webbrowser

from headstart.cli.errors import report_error
from headstart.cli.parser import CommandParser
from headstart.cli.servers import choose_port, is_listening, serving
from headstart.core.console import console
from headstart.core.errors import HeadstartError
from headstart.core.paths import outputs_directory
from headstart.core.sqlite_uri import sqlite_uri
from headstart.tracking import expect_address, newest_experiment

PORT = 5000


def main(arguments: list[str] | None = None) -> int:
    """Start the MLflow UI, open it in the browser, wait for Ctrl-C, and return the exit code."""
    options = build_parser().parse_args(arguments)
    try:
        uri = options.tracking_uri or sqlite_uri(outputs_directory() / "mlflow.db")
        expect_address(uri, "--tracking-uri")
        experiment = newest_experiment(uri)
        if uri.startswith("http"):  # a tracking server has its own page
            show(page_of(uri.rstrip("/"), experiment), options.no_browser)
            return 0
        port = choose_port(options.port, PORT)
        command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri]
        command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        with serving(command) as server:
            wait_for(port, server)
            show(page_of(f"http://127.0.0.1:{port}", experiment), options.no_browser)
            console.print("Press Ctrl-C to stop.")
            return server.wait()
    except KeyboardInterrupt:
        return 0
    except HeadstartError as error:
        return report_error(error)


def build_parser() -> CommandParser:
    """Return the parser of the command line."""
    parser = CommandParser(prog="headstart ui", description=__doc__)
    parser.add_argument(
        "--tracking-uri", metavar="URI", help="tracking store to show (default: mlflow.db in the outputs directory)"
    )
    parser.add_argument("--port", type=int, help=f"(default: {PORT}, or a free port if it is taken)")
    parser.add_argument("--no-browser", action="store_true", help="print the link without opening a browser")
    return parser


def page_of(server: str, experiment: str) -> str:
    """Return the link to an experiment's runs.

    Args:
        server: address of the server.
        experiment: id of the experiment.
    """
    return f"{server}/#/experiments/{experiment}/runs?workflowType=machine_learning"


def wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    """Wait until the server listens.

    Raises:
        HeadstartError: when it exits first.
    """
    while not is_listening(port):
        if server.poll() is not None:
            raise HeadstartError(f"MLflow's server exited with code {server.returncode} before it was ready.")
        time.sleep(0.1)


def show(page: str, no_browser: bool) -> None:
    """Print the link, and open it in the browser if there is one."""
    console.print(page, markup=False, soft_wrap=True)
    if not no_browser:
        with contextlib.suppress(webbrowser.Error):
            webbrowser.open(page)
