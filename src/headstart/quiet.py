"""Importing TensorFlow: without what it says about missing GPUs to people who did not ask, and without collecting."""

from __future__ import annotations

import contextlib
import gc
import os
import re
import sys
import tempfile
from collections.abc import Iterator

# Written by native code straight to the terminal, before any setting of TensorFlow's log level is read.
NOISE = re.compile(
    r"cudart_stub|before absl::InitializeLog|failed call to cuInit|cuda_platform|oneDNN custom operations"
)


def import_tensorflow(look_for_gpus: bool = True) -> None:
    """Import TensorFlow and Keras and look for GPUs; all that is not NOISE is still shown.

    Args:
        look_for_gpus: False leaves the GPU's driver alone, which cannot be used after a fork.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what matters is raised; the rest is noise
    sys.stderr.flush()
    terminal = os.dup(2)
    first = "keras" not in sys.modules
    with tempfile.TemporaryFile() as said, made_to_stay() if first else contextlib.nullcontext():
        os.dup2(said.fileno(), 2)
        try:
            import keras  # noqa: F401
            import tensorflow as tf

            if look_for_gpus:
                tf.config.list_physical_devices("GPU")
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
            said.seek(0)
            for line in said.read().decode(errors="replace").splitlines():
                if not NOISE.search(line):
                    print(line, file=sys.stderr)  # noqa: T201


@contextlib.contextmanager
def made_to_stay() -> Iterator[None]:
    """Make objects, as an import does, that the garbage collector never looks at.

    What stays until the process ends is searched in vain: several times while it is made, and once more at the end. Of
    TensorFlow and Keras that is more than half a million objects, and a second and a half.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()
