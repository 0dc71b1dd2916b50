"""The benchmark of the multi-depth head solves heads of the sizes that it is given."""

from __future__ import annotations

import pytest

import multi_depth_head


def test_each_size_is_solved(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert multi_depth_head.main(["--images", "40"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("| 40 | 1 MB |")
