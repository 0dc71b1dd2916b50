"""Serve a classifier over HTTP with MLflow's scoring server: `headstart serve latest`. Press Ctrl-C to stop it.

Send images as base64 text in JSON:

base64 -w0 photo.jpg | sed 's/.*/{"inputs": {"image": ["&"]}}/' |
  curl -s http://127.0.0.1:5001/invocations -H 'Content-Type: application/json' -d @-

The server has no authentication and no size limit: put a reverse proxy with both in front of it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from headstart.classifier.description import read_description
from headstart.cli.errors import report_error
from headstart.cli.model_lines import model_lines, print_lines
from headstart.cli.parser import RUN_HELP, CommandParser
from headstart.cli.servers import choose_port, serving
from headstart.core.console import console
from headstart.core.errors import HeadstartError
from headstart.results.runs import find_run
from headstart.tracking import save_served_model

PORT = 5001


def main(arguments: list[str] | None = None) -> int:
    """Serve a classifier until Ctrl-C, and return the exit code."""
    options = build_parser().parse_args(arguments)
    try:
        classifier = classifier_directory(find_run(options.run))
        print_model(classifier)
        port = choose_port(options.port, PORT, options.host)
        with tempfile.TemporaryDirectory(prefix="headstart-serve-") as temporary:
            model = Path(temporary, "model")
            save_served_model(classifier, model)
            command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", str(model)]
            command += ["--host", options.host, "--port", str(port), "--workers", str(options.workers)]
            console.print(f"http://{options.host}:{port}/invocations  (press Ctrl-C to stop)", markup=False)
            with serving([*command, "--env-manager", "local"]) as server:
                return server.wait()
    except KeyboardInterrupt:
        return 0
    except HeadstartError as error:
        return report_error(error)


def build_parser() -> CommandParser:
    """Return the parser of the command line."""
    parser = CommandParser(
        prog="headstart serve", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", help=RUN_HELP)
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 accepts other computers (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, help=f"(default: {PORT}, or a free port if it is taken)")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="worker processes (default: 1)")
    return parser


def print_model(classifier: Path) -> None:
    """Print the name of a classifier, its data and its accuracy.

    Args:
        classifier: its directory.

    Raises:
        HeadstartError: when its labels.json cannot be read.
    """
    try:
        description = read_description(classifier)
    except (OSError, ValueError) as error:
        raise HeadstartError(f"Expected a classifier in {classifier}. Received: {error}") from error
    print_lines(model_lines(description, classifier))


def classifier_directory(run: Path) -> Path:
    """Return the directory of a run's classifier; return a classifier's directory unchanged.

    Raises:
        HeadstartError: when there is no classifier.
    """
    for directory in (run / "classifier", run):
        if (directory / "labels.json").is_file():
            return directory
    raise HeadstartError(
        f"Expected a run with a saved classifier. Received: {run}, which has no classifier/labels.json"
    )
