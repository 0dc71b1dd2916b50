"""Show the runs in the MLflow UI, on this computer only, until Ctrl-C.

headstart ui                          the list of runs
headstart ui latest                   the page of a run
headstart ui SWEEP                    the page of a sweep, by its name or directory
"""

from __future__ import annotations

import argparse
import contextlib
import shlex
import subprocess
import sys
import tempfile
import time
import webbrowser
from pathlib import Path
from typing import IO

from headstart.cli.errors import report_error
from headstart.cli.parser import CommandParser
from headstart.cli.servers import choose_port, is_listening, serving
from headstart.core.console import activity, console
from headstart.core.errors import HeadstartError
from headstart.core.paths import outputs_directory
from headstart.core.sqlite_uri import sqlite_uri
from headstart.results.runs import find_run
from headstart.tracking import UI_PORT, expect_address, experiment_link, newest_experiment, run_link
from headstart.tracking.journal import TrackingRecord, journals, tracking_record


def main(arguments: list[str] | None = None) -> int:
    """Start the MLflow UI, open it in the browser, wait for Ctrl-C, and return the exit code."""
    options = build_parser().parse_args(arguments)
    try:
        if options.tracking_uri:
            expect_address(options.tracking_uri, "--tracking-uri")
        run = tracked(find_place(options.run)) if options.run else None
        uri = options.tracking_uri or (run.uri if run else sqlite_uri(outputs_directory() / "mlflow.db"))
        experiment = newest_experiment(uri) if run is None else None
        if uri.startswith("http"):  # a tracking server has its own page
            show(page_of(uri, experiment, run), options.no_browser)
            return 0
        port = choose_port(options.port, UI_PORT)
        command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri]
        command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        with tempfile.TemporaryFile() as log, serving(command, log) as server:
            with activity("starting MLflow"):
                wait_for(port, server, log)
            show(page_of(f"http://127.0.0.1:{port}", experiment, run), options.no_browser)
            console.print("Press Ctrl-C to stop.")
            return server.wait()
    except KeyboardInterrupt:
        return 0
    except HeadstartError as error:
        return report_error(error)


def build_parser() -> CommandParser:
    """Return the parser of the command line."""
    parser = CommandParser(
        prog="headstart ui", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "run", nargs="?", help="run or sweep to open: directory, name of a sweep, MLflow run id, latest or best"
    )
    parser.add_argument(
        "--tracking-uri",
        metavar="URI",
        help="tracking store to show (default: the run's, or mlflow.db in the outputs directory)",
    )
    parser.add_argument("--port", type=int, help=f"(default: {UI_PORT}, or a free port if it is taken)")
    parser.add_argument("--no-browser", action="store_true", help="print the link without opening a browser")
    return parser


def find_place(name: str) -> Path:
    """Return the directory of a run or of a sweep.

    Args:
        name: of a sweep, or see `find_run`.

    Raises:
        HeadstartError: when there is none.
    """
    sweep = outputs_directory() / "sweeps" / name
    return sweep if sweep.is_dir() else find_run(name)


def tracked(directory: Path) -> TrackingRecord:
    """Return where the tracking store has a run or a sweep.

    Args:
        directory: of the run or the sweep.

    Raises:
        HeadstartError: when the store does not have it.
    """
    record = tracking_record(directory) if journals(directory) else None
    if record is None or record.experiment_id is None:
        raise HeadstartError(
            f"Expected a run or a sweep that is tracked. Received: {directory}"
            + (f"; send it with: headstart sync {shlex.quote(str(directory))}" if record else "")
        )
    return record


def page_of(server: str, experiment: tuple[str, str | None] | None, run: TrackingRecord | None) -> str:
    """Return the link to the page of a run, or to the runs of an experiment.

    Args:
        server: address of the server.
        experiment: its id and the name of its columns; None with a run.
        run: to show; None shows the experiment.
    """
    if run is not None and run.experiment_id is not None:
        return run_link(server, run.experiment_id, run.run_id)
    return experiment_link(server, *(experiment or ("0", None)))


def wait_for(port: int, server: subprocess.Popen[bytes], log: IO[bytes]) -> None:
    """Wait until the server listens.

    Args:
        port: of the server.
        server: its process.
        log: what it has printed.

    Raises:
        HeadstartError: when it exits first.
    """
    while not is_listening(port):
        if server.poll() is not None:
            log.seek(0)
            said = log.read().decode(errors="replace").strip().splitlines()[-1:] or ["nothing"]
            raise HeadstartError(f"MLflow's server exited with code {server.returncode} and said: {said[0]}")
        time.sleep(0.1)


def show(page: str, no_browser: bool) -> None:
    """Print the link, and open it in the browser if there is one."""
    console.print(page, markup=False, soft_wrap=True)
    if not no_browser:
        with contextlib.suppress(webbrowser.Error):
            webbrowser.open(page)
