"""Run the README's five commands on drawn pictures; keep the figures in docs/images: `python scripts/docs/tour.py`."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from headstart.core.console import console
from headstart.core.error_output import print_error
from headstart.core.errors import HeadstartError
from headstart.core.files import atomic_directory
from headstart.core.paths import outputs_directory
from headstart.core.program import exit_with
from headstart.results.runs import find_run, finished_runs

ROOT = Path(__file__).absolute().parents[2]

SHAPES = {"circle": 40, "hexagon": 6, "pentagon": 5, "square": 4}  # corners; many make a circle
SIDE = 160  # pixels
NOISE = 60  # grey levels to either side: enough that a trained classifier still makes mistakes
BLOCK = re.compile(r"<!-- tour -->(.*?)<!-- /tour -->", re.DOTALL)
COMMAND = re.compile(r"^(?:headstart|python) .*$", re.MULTILINE)
WIDEST = 900  # pixels, of a figure in the README


def main(arguments: list[str] | None = None) -> int:
    """Draw the pictures, run the commands, copy the figures, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, help="where the pictures and the runs go (outputs/tour)")
    parser.add_argument("--images", type=Path, default=ROOT / "docs" / "images", help="where the figures go")
    options = parser.parse_args(arguments)
    directory = (options.directory or outputs_directory() / "tour").absolute()
    try:
        if directory.exists():
            raise HeadstartError(f"Expected a directory that is not there yet. Received: {directory}; remove it first")
        draw_pictures(directory / "photos", each=60, seed=0)
        draw_pictures(directory / "new_photos", each=1, seed=1)
        os.environ["HEADSTART_OUTPUTS"] = str(directory / "outputs")
        for command in tour_commands((ROOT / "README.md").read_text(encoding="utf-8")):
            run(command, directory)
        figures = collect(directory)
        for name, file in figures.items():
            copy(file, options.images / name)
    except HeadstartError as error:
        print_error(error)
        return 1
    console.print(f"{len(figures)} figures in {options.images}", markup=False, soft_wrap=True)
    return 0


def draw_pictures(directory: Path, each: int, seed: int) -> None:
    """Draw pictures of shapes in a folder for each shape: any place, size, angle and colour, blurred and noisy.

    Args:
        directory: gets the folders.
        each: pictures of each shape.
        seed: of everything that is drawn.
    """
    generator = np.random.default_rng(seed)
    with atomic_directory(directory) as partial:
        for name, corners in SHAPES.items():
            (partial / name).mkdir()
            for number in range(each):
                draw_shape(corners, generator).save(partial / name / f"{number:03}.jpg", quality=90)


def draw_shape(corners: int, generator: np.random.Generator) -> Image.Image:
    """Return one picture of a regular shape."""
    ground, shape = (tuple(int(value) for value in generator.integers(0, 256, 3)) for _ in range(2))
    radius = generator.uniform(0.12, 0.28) * SIDE
    x, y = generator.uniform(radius, SIDE - radius, 2)
    picture = Image.new("RGB", (SIDE, SIDE), ground)
    turn = generator.uniform(0, 360)
    ImageDraw.Draw(picture).regular_polygon((x, y, radius), corners, rotation=turn, fill=shape)
    pixels = np.asarray(picture.filter(ImageFilter.GaussianBlur(2)), np.float32)
    noisy = pixels + generator.uniform(-NOISE, NOISE, pixels.shape)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def tour_commands(readme: str) -> list[str]:
    """Return the commands of the README's tour, without their comments.

    Raises:
        HeadstartError: when the README has no tour.
    """
    block = BLOCK.search(readme)
    if block is None:
        raise HeadstartError("Expected <!-- tour --> and <!-- /tour --> in README.md. Received: neither")
    return [shlex.join(shlex.split(line, comments=True)) for line in COMMAND.findall(block[1])]


def run(command: str, directory: Path) -> None:
    """Run one command, with the drawn pictures in place of those in the home directory.

    Raises:
        HeadstartError: when it fails.
    """
    words = [word.replace("~", str(directory)) for word in shlex.split(command)]
    program = ["-m", "headstart"] if words[0] == "headstart" else [str(ROOT / words.pop(1))]
    console.print(f"[bold]{command}[/]", soft_wrap=True)
    done = subprocess.run([sys.executable, *program, *words[1:]], cwd=directory, check=False)
    if done.returncode:
        raise HeadstartError(f"Expected every command to succeed. Received: exit code {done.returncode} of {command}")


def collect(directory: Path) -> dict[str, Path]:
    """Return the figures that the README shows by the name they get there; those full of pixels become JPEG.

    Raises:
        HeadstartError: when one is missing.
    """
    outputs = directory / "outputs"
    best = find_run("best") / "figures"
    finders = sorted(outputs.glob("runs/*/figures/learning_rate.png"))
    previews = sorted(outputs.glob("preview_*.png"))
    explained = sorted((directory / "explained").glob("*.png"))
    console.print(f"{len(finished_runs())} runs; the best one is {best.parent}", markup=False, soft_wrap=True)
    figures = {
        "preview.jpg": previews[-1] if previews else outputs / "preview.png",
        "learning_rate.png": finders[-1] if finders else outputs / "learning_rate.png",
        "history.png": best / "history.png",
        "confusion.png": best / "test_confusion.png",
        "mistakes.jpg": best / "test_mistakes_explained.png",
        "explained.jpg": explained[0] if explained else directory / "explained",
    }
    missing = [str(file) for file in figures.values() if not file.is_file()]
    if missing:
        raise HeadstartError(f"Expected the figures of the tour. Received: none in {', '.join(missing)}")
    return figures


def copy(file: Path, place: Path) -> None:
    """Write a figure as the name of its place says, reduced to what a README shows without scaling."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(file) as figure:
        height = round(figure.height * min(1, WIDEST / figure.width))
        reduced = figure.convert("RGB").resize((min(figure.width, WIDEST), height), Image.Resampling.LANCZOS)
    reduced.save(place, optimize=True, quality=85)


if __name__ == "__main__":
    exit_with(main, ROOT)
