"""Put a served classifier under load and check its answers: `python scripts/load_serving.py latest photos/`.

Serve it first, see docs/serving.md. Several clients send pictures, one a request, and every answer is compared with
that of the classifier on disk.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("HEADSTART_OUTPUTS", str(Path(__file__).absolute().parents[1] / "outputs"))

import numpy as np

from headstart.classifier.saved import load_classifier
from headstart.core.console import console, track
from headstart.core.errors import HeadstartError
from headstart.core.program import exit_with
from headstart.results.runs import find_run
from predict import find_images

TOLERANCE = 1e-6  # on a probability: the same weights, the same engine, batches of another size
PATIENCE = 60  # seconds for an answer


@dataclass(frozen=True)
class Answer:
    """What came back for one request."""

    status: int
    content: dict[str, Any]
    seconds: float


def main(arguments: list[str] | None = None) -> int:
    """Send the requests, print what was measured, and return the exit code: 1 when an answer is missing or differs."""
    options = parse(arguments)
    try:
        classifier = load_classifier(find_run(options.run))
        expected = {}
        for file, found in classifier.predict(find_images(options.images)):
            if isinstance(found, HeadstartError):
                raise found
            expected[file] = found
        files = list(expected)
        bodies = [body_of(file) for file in files]
        started = time.perf_counter()
        with ThreadPoolExecutor(options.clients) as clients:
            sent = clients.map(lambda number: post(options.url, bodies[number % len(files)]), range(options.requests))
            answers = list(track(sent, options.requests, "waiting for answers"))
        seconds = time.perf_counter() - started
    except HeadstartError as error:
        console.print(f"Error: {error}", markup=False, soft_wrap=True)
        return 1
    good = [(number, answer) for number, answer in enumerate(answers) if answer.status == 200]
    apart = [
        difference(answer.content, expected[files[number % len(files)]], classifier.class_names)
        for number, answer in good
    ]
    times = np.array([answer.seconds for answer in answers]) * 1000
    differing = sum(not value <= TOLERANCE for value in apart)
    console.print(
        f"{options.requests} requests of {options.clients} clients, {len(files)} pictures\n"
        f"  errors     {len(answers) - len(good)}\n"
        f"  median     {np.median(times):.0f} ms\n"
        f"  95 %       {np.quantile(times, 0.95):.0f} ms\n"
        f"  rate       {len(answers) / seconds:.1f} requests/s\n"
        f"  answers    {len(good) - differing} as the classifier on disk, {differing} differ by more than "
        f"{TOLERANCE:g} (largest difference {max(apart, default=float('nan')):.2g})"
    )
    for answer in [answer for answer in answers if answer.status != 200][:3]:
        console.print(f"  error {answer.status}: {answer.content}", markup=False, soft_wrap=True)
    return 1 if differing or len(good) < len(answers) else 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="whose classifier is served: a directory, an MLflow run id, latest or best")
    parser.add_argument("images", nargs="+", type=Path, help="picture files, or folders which are searched for them")
    parser.add_argument("--url", default="http://127.0.0.1:5001", help="of the server (http://127.0.0.1:5001)")
    parser.add_argument("--requests", type=int, default=400, metavar="N", help="in all (400)")
    parser.add_argument("--clients", type=int, default=8, metavar="C", help="at once (8)")
    options = parser.parse_args(arguments)
    if options.requests < 1 or options.clients < 1:
        parser.error("--requests and --clients must be at least 1")
    return options


def body_of(file: Path) -> bytes:
    """Return a request that asks for one picture file."""
    return json.dumps({"inputs": {"image": [base64.b64encode(file.read_bytes()).decode()]}}).encode()


def post(url: str, body: bytes) -> Answer:
    """Send one request and return its answer, whatever its status.

    Args:
        url: of the server.
        body: JSON.

    Raises:
        HeadstartError: when nothing answers there.
    """
    headers = {"Content-Type": "application/json"}
    started = time.perf_counter()
    try:
        with urllib.request.urlopen(
            urllib.request.Request(f"{url}/invocations", body, headers), timeout=PATIENCE
        ) as got:
            status, text = got.status, got.read()
    except urllib.error.HTTPError as error:
        with error:
            status, text = error.code, error.read()
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise HeadstartError(f"Expected a served model at {url}. Received: {error}") from error
    seconds = time.perf_counter() - started
    try:
        content = json.loads(text)
    except ValueError:
        content = {"message": text.decode(errors="replace")}
    return Answer(status, content, seconds)


def difference(content: dict[str, Any], expected: np.ndarray, class_names: tuple[str, ...]) -> float:
    """Return how far an answer is from the expected probabilities, NaN where it is not the answer for one picture."""
    try:
        [row] = content["predictions"]
        found = np.array([row["probabilities"][name] for name in class_names])
        consistent = row["label"] == class_names[int(found.argmax())] and row["confidence"] == found.max()
    except (KeyError, TypeError, ValueError):
        return float("nan")
    return float(np.abs(found - expected).max()) if consistent else float("nan")


if __name__ == "__main__":
    exit_with(main)
