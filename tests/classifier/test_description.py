"""labels.json: written as it is read, read from older versions, refused from newer ones."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from headstart.classifier.description import (
    SCHEMA_VERSION,
    ClassifierDescription,
    read_description,
    store_threshold,
    write_description,
)
from headstart.core.errors import HeadstartError

DESCRIPTION = ClassifierDescription(
    class_names=("cat", "dog"), image_size=32, resize="stretch", backbone="small_cnn", output="softmax"
)
VERSION_1 = {
    "class_names": ["cat", "dog"],
    "image_size": 32,
    "resize": "stretch",
    "backbone": "small_cnn",
    "output": "softmax",
    "format": 1,
}


def test_a_description_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_description(tmp_path, DESCRIPTION)
    assert read_description(tmp_path) == DESCRIPTION
    written = json.loads((tmp_path / "labels.json").read_text(encoding="utf-8"))
    assert written["schema_version"] == SCHEMA_VERSION
    assert written["class_names"] == ["cat", "dog"]
    assert "value_range" not in written


def test_the_first_version_is_read(tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text(json.dumps(VERSION_1))
    assert read_description(tmp_path) == DESCRIPTION
    (tmp_path / "labels.json").write_text(json.dumps({**VERSION_1, "value_range": [0, 4095]}))
    assert read_description(tmp_path).value_range == (0.0, 4095.0)


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text(json.dumps({"schema_version": 99, "classes": ["cat", "dog"]}))
    with pytest.raises(HeadstartError, match=r"This classifier was written by a newer headstart \(labels schema 99"):
        read_description(tmp_path)


@pytest.mark.parametrize("text", ["[]", "3", '{"class_names": ["cat"], "image_size": 32, "resize": "stretch"}'])
def test_other_files_are_not_a_description(text: str, tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text(text)
    with pytest.raises(ValueError, match=r"labels\.json does not hold class_names"):
        read_description(tmp_path)


def test_the_advised_threshold_is_added_to_what_is_there(tmp_path: Path) -> None:
    write_description(tmp_path, DESCRIPTION)
    assert "threshold" not in json.loads((tmp_path / "labels.json").read_text(encoding="utf-8"))
    store_threshold(tmp_path, 0.25)
    assert read_description(tmp_path) == dataclasses.replace(DESCRIPTION, threshold=0.25)


@pytest.mark.parametrize(("names", "threshold"), [(["a", "b"], 1.5), (["a", "b"], "half"), (["a", "b", "c"], 0.5)])
def test_a_threshold_that_means_nothing_is_refused(names: list[str], threshold: object, tmp_path: Path) -> None:
    text = json.dumps({**VERSION_1, "class_names": names, "threshold": threshold})
    (tmp_path / "labels.json").write_text(text)
    with pytest.raises(ValueError, match="not a probability of the second of two classes"):
        read_description(tmp_path)
