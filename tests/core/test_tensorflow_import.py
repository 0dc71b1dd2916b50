"""Importing TensorFlow: what it leaves is out of the garbage collector's way, once; only its noise is held back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from headstart.core.tensorflow_import import filter_native_output

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


def test_what_stays_is_set_aside_once() -> None:
    answer = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    first, second = map(int, answer.stdout.split())
    assert first > 100_000
    assert second <= first  # a second call must not keep what a job of a sweep leaves behind
    assert answer.stderr == ""


def test_noise_is_held_back_and_the_rest_is_shown(capfd: pytest.CaptureFixture) -> None:
    with filter_native_output() as held:
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


def test_what_native_code_prints_before_it_aborts_is_shown(tmp_path: Path) -> None:
    (tmp_path / "keras.py").write_text(KERAS_THAT_ABORTS)
    command = [
        sys.executable,
        "-c",
        "from headstart.core.tensorflow_import import import_tensorflow\nimport_tensorflow()",
    ]
    paths = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths}, stderr=subprocess.PIPE, text=True)
    _, said = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGABRT
    assert "compiled to use AVX instructions" in said
    assert "failed call to cuInit: CUDA_ERROR_UNKNOWN" in said  # now it is no noise
