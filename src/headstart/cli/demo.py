"""Show a classifier on a web page of this computer: `headstart demo latest`, then drop a picture on it."""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path

from headstart.classifier.saved import load_classifier
from headstart.cli.parser import RUN_HELP, CommandParser
from headstart.core.console import console
from headstart.core.errors import HeadstartError
from headstart.core.signals import handle_signals
from headstart.results.runs import find_run


def main(arguments: list[str] | None = None) -> int:
    """Read the command line, show the page until Ctrl-C, and return the exit code."""
    options = build_parser().parse_args(arguments)
    try:
        check_gradio()
        classifier = load_classifier(find_run(options.run))
        handle_signals()  # else what was uploaded would stay behind
        from headstart.cli.demo_page import launch, leave_nothing_behind, make_page

        with tempfile.TemporaryDirectory(prefix="headstart-demo-") as directory:
            leave_nothing_behind(Path(directory))
            page = make_page(classifier)
            try:
                launch(page, options.host, options.port, prevent_thread_lock=True)
            except OSError as error:
                raise HeadstartError(
                    f"Expected an address that is free (--host, --port). Received: {options.host}:{options.port} "
                    f"({error})"
                ) from error
            console.print(f"http://{options.host}:{page.server_port}  (Ctrl-C ends it)", markup=False, soft_wrap=True)
            page.block_thread()
    except HeadstartError as error:
        console.print(f"Error: {error}", markup=False, soft_wrap=True)
        return 1
    return 0


def build_parser() -> CommandParser:
    """Return the parser of the command line."""
    parser = CommandParser(prog="headstart demo", description=__doc__)
    parser.add_argument("run", help=RUN_HELP)
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 lets other computers in (127.0.0.1)")
    parser.add_argument("--port", type=int, default=7860, help="(7860)")
    return parser


def check_gradio() -> None:
    """Raise when Gradio is missing; imports nothing.

    Raises:
        HeadstartError: names the extra that brings it.
    """
    if importlib.util.find_spec("gradio") is None:
        raise HeadstartError(
            "Expected the package gradio for the page. Received: none in this environment; "
            "pip install 'headstart[demo]'"
        )
