"""Importing TensorFlow: its objects leave garbage collection once, and only its noise is held back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from headstart.core.tensorflow_import import filter_native_stderr

SCRIPT = """
import gc
from headstart.core.tensorflow_import import import_tensorflow

import_tensorflow()
assert gc.isenabled()
frozen = gc.get_freeze_count()
made_since = [[] for _ in range(10)]
import_tensorflow()
print(frozen, gc.get_freeze_count())
"""


@pytest.mark.slow
def test_imported_objects_are_frozen_once() -> None:
    answer = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    first, second = map(int, answer.stdout.split())
    assert first > 100_000
    assert second <= first  # a second call must not freeze the garbage of a sweep's job
    assert answer.stderr == ""


def test_only_noise_is_held_back(capfd: pytest.CaptureFixture) -> None:
    with filter_native_stderr() as held:
        os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called\nsomething that matters\n")
        os.write(2, b"E0000 cuda_platform.cc:52] failed call to cuInit: UNKNOWN ERROR (303)\nwithout its end")
        subprocess.run([sys.executable, "-c", "import sys; sys.stderr.write('of a child\\n')"], check=True)
    assert len(held) == 2
    assert "cuInit" in held[1]
    assert capfd.readouterr().err == "something that matters\nwithout its endof a child\n"
    os.write(2, b"cudart_stub\n")
    assert capfd.readouterr().err == "cudart_stub\n"  # back to normal


KERAS_THAT_ABORTS = """
import os

os.write(2, b"E0000 cuda_platform.cc:52] failed call to cuInit: CUDA_ERROR_UNKNOWN\\n")
os.write(2, b"The TensorFlow library was compiled to use AVX instructions, but these aren't available on your machine.")
os.abort()
"""


def test_messages_before_an_abort_are_shown(tmp_path: Path) -> None:
    (tmp_path / "keras.py").write_text(KERAS_THAT_ABORTS)
    command = [
        sys.executable,
        "-c",
        "from headstart.core.tensorflow_import import import_tensorflow\nimport_tensorflow()",
    ]
    paths = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths}, stderr=subprocess.PIPE, text=True)
    _, printed = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGABRT
    assert "compiled to use AVX instructions" in printed
    assert "failed call to cuInit: CUDA_ERROR_UNKNOWN" in printed  # after an abort even noise may explain it
