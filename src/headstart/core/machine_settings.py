"""Settings of a machine that are not headstart's: what it needs of Keras and matplotlib it sets itself, and says so."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path

from headstart.core.console import print_to_stderr
from headstart.core.errors import HeadstartError

BACKEND = "tensorflow"
# Environment variables that would change what Keras computes, with what they may say.
VARIABLES = {
    "KERAS_BACKEND": ("", BACKEND),
    "TF_USE_LEGACY_KERAS": ("", "0", "false"),
    "KERAS_MAX_EPOCHS": ("",),
    "KERAS_MAX_STEPS_PER_EPOCH": ("",),
}
# What Keras itself would take, by its names in keras.config.
DEFAULTS = {
    "floatx": "float32",
    "image_data_format": "channels_last",
    "epsilon": 1e-7,
    "max_epochs": None,
    "max_steps_per_epoch": None,
}


def before_keras() -> None:
    """Let Keras be imported as headstart needs it; does nothing where it is imported already."""
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
    _import_matplotlib()


def import_keras() -> None:
    """Import Keras on TensorFlow, with its own defaults whatever the machine's `keras.json` says.

    Raises:
        HeadstartError: when Keras cannot be imported with that file, or was imported with another backend before.
    """
    before_keras()
    try:
        import keras
    except (ValueError, AttributeError, TypeError) as error:
        if not _settings_file().exists():
            raise
        raise HeadstartError(
            f"Expected settings that Keras can read. Received: {_settings_file()} ({str(error).strip()}); "
            "correct or remove it"
        ) from error
    if keras.config.backend() != BACKEND:
        raise HeadstartError(
            f"Expected Keras on {BACKEND}. Received: {keras.config.backend()}, with which this process has imported "
            f"Keras before; restart it (in a notebook the kernel) with KERAS_BACKEND={BACKEND}"
        )
    stored, ignored = _stored_settings(), []
    for name, wanted in DEFAULTS.items():
        found = getattr(keras.config, name)()
        if found != wanted:
            getattr(keras.config, f"set_{name}")(wanted)
            ignored.append(f"{name}={found}{f' in {_settings_file()}' if stored.get(name) == found else ''}")
    if ignored:
        print_to_stderr(f"headstart trains with Keras' own defaults; {', '.join(ignored)} is ignored")


def _import_matplotlib() -> None:
    """Import matplotlib, as Keras does, also where MPLBACKEND names what is not installed, as that of a notebook."""
    backend = None if "matplotlib" in sys.modules else os.environ.pop("MPLBACKEND", None)
    import matplotlib

    if backend is not None:
        with contextlib.suppress(ValueError):
            matplotlib.rcParams["backend"] = backend  # which it takes from the environment
            os.environ["MPLBACKEND"] = backend


def _settings_file() -> Path:
    """Return the file that Keras reads its settings from."""
    home = os.environ.get("KERAS_HOME") or Path("~", ".keras")
    return Path(home, "keras.json").expanduser()


def _stored_settings() -> dict[str, object]:
    """Return what the file says; nothing where it cannot be read, as Keras takes it."""
    try:
        stored = json.loads(_settings_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stored if isinstance(stored, dict) else {}
