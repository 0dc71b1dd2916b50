"""An NPZ file that is written in blocks is what NumPy reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headstart.core.npz import write_npz


def test_blocks_and_other_arrays_are_read_by_numpy(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((10, 4)).astype(np.float32)
    names = np.array(["a", "\u732b"])
    for file in ("first.npz", "second.npz"):
        write_npz(tmp_path / file, "values", (10, 4), iter([values[:7], values[7:]]), {"names": names})
    with np.load(tmp_path / "first.npz", allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["values"], values)
        np.testing.assert_array_equal(archive["names"], names)
    assert (tmp_path / "first.npz").read_bytes() == (tmp_path / "second.npz").read_bytes()


def test_a_missing_block_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Expected 3 rows of values"):
        write_npz(tmp_path / "a.npz", "values", (3, 1), iter([np.zeros((2, 1))]), {})
    assert not list(tmp_path.iterdir())
