"""Try a classifier on a local web page: run `headstart demo latest` and drop an image on the page."""

from __future__ import annotations

import importlib.util
import os
import tempfile
from pathlib import Path

from headstart.classifier.saved import load_classifier
from headstart.cli.errors import report_error
from headstart.cli.model_lines import model_lines, print_lines
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
        handle_signals()  # on SIGTERM too, remove the uploaded files
        with tempfile.TemporaryDirectory(prefix="headstart-demo-") as directory:
            configure_gradio(Path(directory))
            from headstart.cli.demo_page import launch, make_page

            page = make_page(classifier, Path(directory, "reference"))
            print_lines(model_lines(classifier, classifier.directory))
            try:
                launch(page, options.host, options.port, prevent_thread_lock=True)
            except OSError as error:
                raise HeadstartError(
                    f"Expected a free address (--host, --port). Received: {options.host}:{options.port} ({error})"
                ) from error
            console.print(f"http://{options.host}:{page.server_port}  (press Ctrl-C to stop)", markup=False)
            page.block_thread()
    except HeadstartError as error:
        return report_error(error)
    return 0


def build_parser() -> CommandParser:
    """Return the parser of the command line."""
    parser = CommandParser(prog="headstart demo", description=__doc__)
    parser.add_argument("run", help=RUN_HELP)
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 accepts other computers (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=7860, help="(default: 7860)")
    return parser


def check_gradio() -> None:
    """Raise if Gradio is not installed, without importing it.

    Raises:
        HeadstartError: naming the extra that installs it.
    """
    if importlib.util.find_spec("gradio") is None:
        raise HeadstartError(
            "`headstart demo` needs the package gradio, which is not installed: pip install 'headstart[demo]'"
        )


def configure_gradio(directory: Path) -> None:
    """Keep Gradio offline and make it write into one directory only; call this before Gradio is imported.

    Args:
        directory: for uploaded files; the caller removes it.
    """
    os.environ.update(
        GRADIO_ANALYTICS_ENABLED="False",
        GRADIO_TEMP_DIR=str(directory / "pictures"),
        GRADIO_EXAMPLES_CACHE=str(directory / "examples"),
        HF_HUB_OFFLINE="1",
        HF_HUB_DISABLE_TELEMETRY="1",
        HF_HOME=str(directory / "hub"),
    )
