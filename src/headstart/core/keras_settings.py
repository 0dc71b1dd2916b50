"""Overrides the machine's Keras and matplotlib settings that would change results, and reports what it ignores."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from headstart.core.console import print_to_stderr
from headstart.core.errors import HeadstartError

BACKEND = "tensorflow"
# Optional packages of Keras and TensorFlow, for parts of them that headstart does not use: data frames, wrappers for
# scikit-learn, plots. Importing these packages takes two fifths of the import of Keras.
OPTIONAL = ("matplotlib", "pandas", "scipy", "sklearn")
# Environment variables that would change what Keras computes, with their harmless values.
VARIABLES = {
    "KERAS_BACKEND": ("", BACKEND),
    "TF_USE_LEGACY_KERAS": ("", "0", "false"),
    "KERAS_MAX_EPOCHS": ("",),
    "KERAS_MAX_STEPS_PER_EPOCH": ("",),
}
# Keras's own defaults, by their names in keras.config.
DEFAULTS = {
    "floatx": "float32",
    "image_data_format": "channels_last",
    "epsilon": 1e-7,
    "max_epochs": None,
    "max_steps_per_epoch": None,
}


class _Import:
    """How Keras is imported: programs of headstart leave the optional packages out; a user's notebook gets them."""

    without_optional = False


def leave_out_optional_packages() -> None:
    """Let this process import Keras as if its optional packages were not installed, which is faster."""
    _Import.without_optional = True


@contextlib.contextmanager
def _optional_packages() -> Iterator[None]:
    """Hide the optional packages within this context, if this process leaves them out."""
    hidden = [name for name in OPTIONAL if name not in sys.modules] if _Import.without_optional else []
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: an import raises ModuleNotFoundError
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def prepare_keras_import() -> None:
    """Set the environment so that Keras imports with the TensorFlow backend; do nothing if it is imported already."""
    if "keras" in sys.modules:
        return
    for name, allowed in VARIABLES.items():
        value = os.environ.get(name, "")
        if value.lower() not in allowed:
            print_to_stderr(f"headstart trains with Keras on TensorFlow; {name}={value} is ignored")
            del os.environ[name]
    stored = _stored_settings().get("backend", BACKEND)
    if "KERAS_BACKEND" not in os.environ and stored != BACKEND:
        print_to_stderr(f"headstart trains with Keras on TensorFlow; backend={stored} in {_settings_file()} is ignored")
    os.environ["KERAS_BACKEND"] = BACKEND
    if not _Import.without_optional:
        _import_matplotlib()


def import_keras() -> None:
    """Import Keras with the TensorFlow backend and its own defaults, whatever the machine's `keras.json` says.

    Raises:
        HeadstartError: when that file keeps Keras from being imported, or Keras already runs on another backend.
    """
    prepare_keras_import()
    try:
        with _optional_packages():
            import keras
            import tensorflow  # noqa: F401  # Keras imports most of it
    except (ValueError, AttributeError, TypeError) as error:
        if not _settings_file().exists():
            raise
        raise HeadstartError(
            f"Keras cannot read its settings in {_settings_file()} ({str(error).strip()}). Correct or remove that file"
        ) from error
    if keras.config.backend() != BACKEND:
        raise HeadstartError(
            f"This process has already imported Keras with the {keras.config.backend()} backend, and headstart needs "
            f"{BACKEND}. Restart it (in a notebook the kernel) with KERAS_BACKEND={BACKEND}"
        )
    stored, ignored = _stored_settings(), []
    for name, default in DEFAULTS.items():
        value = getattr(keras.config, name)()
        if value != default:
            getattr(keras.config, f"set_{name}")(default)
            ignored.append(f"{name}={value}{f' in {_settings_file()}' if stored.get(name) == value else ''}")
    if ignored:
        print_to_stderr(f"headstart trains with Keras's own defaults; {', '.join(ignored)} is ignored")


def _import_matplotlib() -> None:
    """Import matplotlib, as Keras does, even if MPLBACKEND names a backend that is not installed.

    A notebook sets that variable to a backend of its own, also for the programs that it starts.
    """
    backend = None if "matplotlib" in sys.modules else os.environ.pop("MPLBACKEND", None)
    import matplotlib

    if backend is not None:
        with contextlib.suppress(ValueError):
            matplotlib.rcParams["backend"] = backend  # as matplotlib would have done with the variable
            os.environ["MPLBACKEND"] = backend


def _settings_file() -> Path:
    """Return the file that Keras reads its settings from."""
    home = os.environ.get("KERAS_HOME") or Path("~", ".keras")
    return Path(home, "keras.json").expanduser()


def _stored_settings() -> dict[str, object]:
    """Return the settings in the file; empty if it cannot be read, which Keras treats alike."""
    try:
        stored = json.loads(_settings_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stored if isinstance(stored, dict) else {}
