"""A run that does not fit on its disk is refused with what it needs and what to do."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from headstart.core.errors import HeadstartError
from headstart.run.disk_estimate import Estimate, expect_room


def test_a_run_that_does_not_fit_is_refused_and_one_that_fits_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=50_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda *_: usage)
    needed = expect_room(Estimate(1_000_000, 1_000_000, 1_000_000), tmp_path, None)
    assert tmp_path.stat().st_dev in needed
    with pytest.raises(HeadstartError, match=r"free on the disk of .*HEADSTART_OUTPUTS"):
        expect_room(Estimate(40_000_000, 20_000_000, 1_000_000), tmp_path, None)
