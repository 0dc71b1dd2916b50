"""What many tests need: tiny pictures on disk, and outputs that nobody else sees."""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from forked import ForkServer
from omegaconf import DictConfig
from PIL import Image

from browser import Browser, find_browser, running_browser

if TYPE_CHECKING:
    from matplotlib.figure import Figure

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")  # `make test` has a process for each of two cores

HEADSTART = (sys.executable, "-m", "headstart")  # the command, of the code that is tested

# A run of seconds; what the audit does in a run is tested by itself.
TINY = ("dataset=folder", "backbone=small_cnn", "image_size=32", "optimizer.learning_rate=3e-3", "audit=off")
REPLACED: dict[tuple[ModuleType, str], Any] = {}  # what makes the figures of a run, by its place


def pytest_collection_finish() -> None:
    """Set aside what the imports made: each run collects garbage, and would look through half a million objects."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def set_aside() -> Iterator[None]:
    """Set aside what a module's tests leave behind, such as traced functions that TensorFlow keeps."""
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Send everything that runs write to a directory of this test session."""
    directory = tmp_path_factory.mktemp("outputs")
    os.environ["HEADSTART_OUTPUTS"] = str(directory)
    os.environ.pop("HEADSTART_CACHE", None)
    return directory


def write_pictures(directory: Path, classes: dict[str, int], size: int = 24, seed: int = 0) -> Path:
    """Write pictures whose class can be told by colour, and return the directory.

    Args:
        directory: gets one sub-directory a class.
        classes: how many pictures of each class.
        size: side in pixels.
        seed: of the pixels.
    """
    generator = np.random.default_rng(seed)
    for position, (name, count) in enumerate(classes.items()):
        (directory / name).mkdir(parents=True, exist_ok=True)
        color = np.array([255 * (position % 2), 255 * (position // 2 % 2), 255 * (position // 4 % 2)])
        for number in range(count):
            noise = generator.integers(-60, 60, (size, size, 3))
            pixels = np.clip(color * 0.6 + 50 + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(directory / name / f"{number:03}.png")
    return directory


def jobs_of(overrides: list[str]) -> list[tuple[str, ...]]:
    """Return the overrides of every job of a sweep over values with commas between them; an interval gives its ends."""
    choices = []
    for word in overrides:
        key, _, value = word.partition("=")
        interval = re.search(r"interval\(([^,]+),([^)]+)\)", value)
        options = [value] if value.startswith(("[", "{")) else list(interval.groups()) if interval else value.split(",")
        choices.append([f"{key}={option}" for option in options])
    return list(itertools.product(*choices))


def sweep_configuration(*overrides: str) -> DictConfig:
    """Return the configuration that Hydra composes for a sweep, including its section `hydra`."""
    import hydra
    from hydra.core.global_hydra import GlobalHydra
    from hydra.types import RunMode

    from headstart.config import register_schema
    from headstart.core.paths import conf_directory

    register_schema()
    with hydra.initialize_config_dir(str(conf_directory()), version_base="1.3"):
        return GlobalHydra.instance().config_loader().load_configuration("config", list(overrides), RunMode.MULTIRUN)


def write_one_pixel(draw: Callable[[], Figure], file: Path, vector: bool) -> None:
    """Write a file in the place of a figure, without drawing it."""
    file.parent.mkdir(exist_ok=True)
    Image.new("L", (1, 1)).save(file)


@pytest.fixture(scope="session", autouse=True)
def no_figures() -> Iterator[None]:
    """Leave out most figures of a run, which take half of a tiny run; `with_figures` brings them back."""
    from headstart.evaluation import report, sample_sheets, writing
    from headstart.evaluation.plots import style

    replacements: dict[tuple[ModuleType, str], Any] = {
        (report, "split_figures"): lambda *_: {},
        (report, "mistake_figures"): lambda *_: {},
        (sample_sheets, "begin_sample_sheets"): lambda *_: None,
        (writing, "_draw"): write_one_pixel,
        # What is looked up when a figure is written: modules that import `write_figure` keep their own name for it.
        (writing, "_save_vector"): lambda *_: None,
        (style, "RUN_DOTS_PER_INCH"): style.DOTS_PER_INCH,
    }
    with pytest.MonkeyPatch.context() as patch:
        for (module, name), replacement in replacements.items():
            REPLACED.setdefault((module, name), getattr(module, name))
            patch.setattr(module, name, replacement)
        yield


@contextlib.contextmanager
def with_figures() -> Iterator[None]:
    """Draw all figures in runs whose figures a test looks at."""
    with pytest.MonkeyPatch.context() as patch:
        for (module, name), original in REPLACED.items():
            patch.setattr(module, name, original)
        yield


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return a running Chromium; skip the tests that need it where there is none."""
    if find_browser() is None:
        pytest.skip("needs Chromium")
    with running_browser() as started:
        yield started


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    """Return what runs commands that end before TensorFlow is imported."""
    server = ForkServer()
    yield server
    server.close()


@pytest.fixture
def keras_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let Keras keep its downloads in a temporary directory."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))  # Keras reads the variable on import
    return tmp_path


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 3 classes with 10 pictures each."""
    return write_pictures(tmp_path_factory.mktemp("pictures"), {"red": 10, "green": 10, "blue": 10})


@pytest.fixture(scope="session")
def binary_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 2 classes with 12 pictures each."""
    return write_pictures(tmp_path_factory.mktemp("binary"), {"cat": 12, "dog": 12})


@pytest.fixture(scope="session")
def finished_run(folder: Path, outputs: Path) -> Path:
    """Return the directory of a finished run over two stages of two epochs, for every test that only looks at it."""
    from headstart.config import compose
    from headstart.run.experiment import run

    directory = outputs / "runs" / "finished"
    directory.mkdir(parents=True)
    run(compose([*TINY, f"dataset.root={folder}", "freeze=last_block", "epochs=2"]), directory)
    return directory
