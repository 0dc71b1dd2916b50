"""Imports TensorFlow without its messages about missing GPUs, and without garbage collection of what stays."""

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
from headstart.core.keras_settings import import_keras

# Messages that native code writes straight to the terminal before TensorFlow's log level applies.
NOISE = re.compile(
    r"cudart_stub|before absl::InitializeLog|failed call to cuInit|cuda_platform|oneDNN custom operations"
)
END = "<end of what is filtered>"
# A subprocess that outlives this process if native code aborts it, and then prints the messages it held back.
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


class _GpuSearch:
    """Whether this process has searched for GPUs and reported problems, which it does once."""

    done = False


def import_tensorflow(look_for_gpus: bool = True) -> None:
    """Import TensorFlow and Keras, and search for GPUs; prints native messages unless they match NOISE.

    Args:
        look_for_gpus: False does not start the GPU's driver, which does not work in a fork.

    Raises:
        HeadstartError: when Keras cannot be imported with TensorFlow, see `import_keras`.
    """
    if "tensorflow" in sys.modules and (_GpuSearch.done or not look_for_gpus):
        import_keras()
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # errors that matter are raised as exceptions
    first_import = "keras" not in sys.modules
    gpus = True
    without_collection = imports_outside_garbage_collection() if first_import else contextlib.nullcontext()
    with filter_native_stderr() as held_back, without_collection:
        import_keras()
        import tensorflow as tf

        if look_for_gpus:
            gpus, _GpuSearch.done = bool(tf.config.list_physical_devices("GPU")), True
    if not gpus and gpu.has_gpu() and not gpu.hiding_setting():
        print_to_stderr(f"TensorFlow cannot use the GPU of this machine: {gpu.why_unused(''.join(held_back))}")


@contextlib.contextmanager
def filter_native_stderr() -> Iterator[list[str]]:
    """Filter what native code writes to stderr, even if that code then aborts the process.

    Yields:
        A list that holds the suppressed lines once the context has ended.
    """
    held_back: list[str] = []
    sys.stderr.flush()
    # A new session keeps Ctrl-C from ending the filter before this process.
    command = [sys.executable, "-I", "-S", "-c", FILTER, NOISE.pattern, END]
    terminal, (reading, writing) = os.dup(2), os.pipe()
    process = subprocess.Popen(command, stdin=reading, stdout=subprocess.PIPE, start_new_session=True)
    os.close(reading)
    os.dup2(writing, 2)
    try:
        yield held_back
    finally:
        sys.stderr.flush()
        os.dup2(terminal, 2)
        os.close(terminal)
        with contextlib.suppress(BrokenPipeError):  # the filter was killed
            # A child may keep the pipe open, so that closing it would not end the filter.
            os.write(writing, f"{END}\n".encode())
        os.close(writing)
        held_back += process.communicate()[0].decode(errors="replace").splitlines(keepends=True)


@contextlib.contextmanager
def imports_outside_garbage_collection() -> Iterator[None]:
    """Exclude the objects that are created within this context from garbage collection.

    TensorFlow and Keras create more than half a million objects that live until the process ends. The collector would
    search them in vain several times during the import and once more at the end, which takes 1.5 seconds.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()
