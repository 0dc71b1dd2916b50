"""Importing TensorFlow: what it leaves is out of the garbage collector's way, once."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import gc
from headstart.quiet import import_tensorflow

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
