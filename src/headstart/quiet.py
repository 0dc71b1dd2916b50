"""Importing TensorFlow without what it says about the machine to people who did not ask."""

from __future__ import annotations

import os
import re
import sys
import tempfile

# Written by native code straight to the terminal, before any setting of TensorFlow's log level is read.
ABOUT_THE_MACHINE = re.compile(
    r"cudart_stub|before absl::InitializeLog|failed call to cuInit|cuda_platform|oneDNN custom operations are on"
)


def import_tensorflow() -> None:
    """Import TensorFlow and Keras and look for GPUs; remarks about missing ones and the processor are not shown."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what matters is raised; the rest is noise
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            import keras  # noqa: F401
            import tensorflow as tf

            tf.config.list_physical_devices("GPU")
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
            said.seek(0)
            for line in said.read().decode(errors="replace").splitlines():
                if not ABOUT_THE_MACHINE.search(line):
                    print(line, file=sys.stderr)  # noqa: T201
