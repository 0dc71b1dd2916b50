"""Malformed tables: each one gives its rows or one sentence, and none loses a row that can be seen in it."""

from __future__ import annotations

import codecs
import re
from collections import Counter
from pathlib import Path

import pytest
from malformed_tables import malformed_tables, originals, write_images

from headstart.core.errors import HeadstartError
from headstart.data.sources.csv_table import list_csv

FIELDS = re.compile(r"""["',;|\s]+""")
BYTE_ORDER_MARKS = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF16_LE: "utf-16"}


def images_named(data: bytes, paths: list[str]) -> set[str]:
    """Return the images that a person who opens a table sees in its rows, without paths that ran into other text."""
    encoding = next((name for mark, name in BYTE_ORDER_MARKS.items() if data.startswith(mark)), "utf-8")
    lines = re.split(r"[\r\n]+", data.decode(encoding))
    return {path for line in lines if not line.startswith("#") for path in FIELDS.split(line)} & set(paths)


@pytest.mark.parametrize("number", range(8))
def test_valid_tables_give_every_row(number: int, tmp_path: Path) -> None:
    paths = write_images(tmp_path)
    table = tmp_path / "images.csv"
    table.write_text(originals(paths)[number], encoding="utf-8", newline="")
    rows = list_csv(table, tmp_path).rows
    assert [row.path for row in rows] == paths
    assert [row.label.strip() for row in rows] == [path.split("/")[0] for path in paths]


@pytest.mark.parametrize(("count", "seed"), [(700, 0), pytest.param(5000, 1, marks=pytest.mark.slow)])
def test_malformed_tables_give_their_rows_or_a_sentence(count: int, seed: int, tmp_path: Path) -> None:
    paths = write_images(tmp_path)
    table = tmp_path / "images.csv"
    ends: Counter[str] = Counter()
    for data in malformed_tables(paths, count, seed):
        table.write_bytes(data)
        try:
            rows = list_csv(table, tmp_path).rows
        except HeadstartError as error:
            said = str(error)
            assert re.match(r"Expected .*images\.csv.* Received: ", said), (data, said)
            assert len(said) < 3000, said[:300]
            ends[re.sub(r"\d+", "N", said.split(str(tmp_path))[0])] += 1
            continue
        ends["rows"] += 1
        assert {row.path for row in rows} >= images_named(data, paths), data
        assert all((tmp_path / row.path).is_file() and row.label.strip() for row in rows), data
    assert ends.total() == count
    assert ends["rows"] > count / 20  # many changes leave a table sound
    assert len(ends) > 8  # and the others are refused for what they are
