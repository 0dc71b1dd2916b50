"""A program of headstart sets what a library must leave alone."""

from __future__ import annotations

import gc

import pytest

from headstart.core import program


def test_a_program_collects_garbage_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "fix_directories", lambda: None)
    monkeypatch.setenv("MPLBACKEND", "agg")
    before = gc.get_threshold()
    try:
        gc.set_threshold(700)  # Python's default, whatever an earlier test of this process has set
        program.prepare_program()
        assert gc.get_threshold()[0] == program.COLLECTED > 700
        assert gc.isenabled()
    finally:
        gc.set_threshold(*before)
