"""Importing TensorFlow: without what it says about missing GPUs to people who have none, and without collecting."""

from __future__ import annotations

import contextlib
import gc
import os
import re
import subprocess
import sys
from collections.abc import Iterator

from headstart.core import gpu
from headstart.core.console import print_to_stderr
from headstart.core.machine_settings import import_keras

# Written by native code straight to the terminal, before any setting of TensorFlow's log level is read.
NOISE = re.compile(
    r"cudart_stub|before absl::InitializeLog|failed call to cuInit|cuda_platform|oneDNN custom operations"
)
END = "<end of what is filtered>"
# A process of its own, which outlives one that native code ends: what was held back is then shown too.
FILTER = """
import re, sys
noise, end = (text.encode() for text in sys.argv[1:])
held, errors = [], sys.stderr.buffer
for line in sys.stdin.buffer:
    line, ended, _ = line.partition(end)
    if line and re.search(noise, line):
        held.append(line)
    elif line:
        errors.write(line)
        errors.flush()
    if ended:
        sys.stdout.buffer.writelines(held)
        sys.exit()
errors.writelines(held)
"""


class _Looked:
    """Whether this process has looked for GPUs, which needs to be done, and said, once."""

    yet = False


def import_tensorflow(look_for_gpus: bool = True) -> None:
    """Import TensorFlow and Keras and look for GPUs; all that is not NOISE is shown, at once.

    Args:
        look_for_gpus: False leaves the GPU's driver alone, which cannot be used after a fork.

    Raises:
        HeadstartError: when Keras cannot be had with TensorFlow, see `import_keras`.
    """
    if "tensorflow" in sys.modules and (_Looked.yet or not look_for_gpus):
        import_keras()
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what matters is raised; the rest is noise
    first = "keras" not in sys.modules
    gpus = True
    with filter_native_output() as held, uncollected_imports() if first else contextlib.nullcontext():
        import_keras()
        import tensorflow as tf

        if look_for_gpus:
            gpus, _Looked.yet = bool(tf.config.list_physical_devices("GPU")), True
    if not gpus and gpu.has_gpu() and not gpu.hidden():
        print_to_stderr(f"TensorFlow cannot use the GPU of this machine: {gpu.why_unused(''.join(held))}")


@contextlib.contextmanager
def filter_native_output() -> Iterator[list[str]]:
    """Filter what native code writes to the terminal's error stream, also where it then ends the process.

    Yields:
        Gets the lines that were held back, at the end.
    """
    held: list[str] = []
    sys.stderr.flush()
    # In a session of its own, so that Ctrl-C does not end it before the process that it serves.
    command = [sys.executable, "-I", "-S", "-c", FILTER, NOISE.pattern, END]
    terminal, (reading, writing) = os.dup(2), os.pipe()
    process = subprocess.Popen(command, stdin=reading, stdout=subprocess.PIPE, start_new_session=True)
    os.close(reading)
    os.dup2(writing, 2)
    try:
        yield held
    finally:
        sys.stderr.flush()
        os.dup2(terminal, 2)
        os.close(terminal)
        with contextlib.suppress(BrokenPipeError):  # of a filter that somebody ended
            os.write(writing, f"{END}\n".encode())  # not the end of the pipe, which a child may hold open
        os.close(writing)
        held += process.communicate()[0].decode(errors="replace").splitlines(keepends=True)


@contextlib.contextmanager
def uncollected_imports() -> Iterator[None]:
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
