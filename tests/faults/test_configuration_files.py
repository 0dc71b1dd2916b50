"""An edited config.yaml of a run is refused with a sentence, and its interpolations are not resolved."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.config import compose, from_yaml, to_yaml
from headstart.core.errors import HeadstartError

GOOD = to_yaml(compose([]))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "Expected dataset.name to have a value. Received: nothing"),
        ("[]", r"Expected a configuration. Received: \[\]"),
        ("1", "Expected a configuration"),
        ("no yaml", "unknown key 'no yaml'"),
        ("dataset: 3", "DatasetConfig"),
        ("&a [*a]", "recursion|dataset|merge"),
        ("[" * 3000, "recursion"),
        ("a: *b", "undefined alias"),
        ("\0", "special characters"),
        ("!!python/object/apply:os.system [touch canary]", "could not determine a constructor"),
        ("seed: !!python/name:os.system x", "could not determine a constructor"),
        (GOOD + "\nevil: 1\n", "unknown key 'evil'"),
        (GOOD.replace("image_size: null", "image_size: [1]"), "image_size"),
        (
            GOOD.replace("root: null", "root: ${oc.env:HOME}", 1),
            r"Expected dataset\.root .* Received: ",
        ),
        (GOOD.replace("root: null", 'root: "\\\\${oc.env:HOME}"', 1), r"Expected dataset\.root"),
    ],
)
def test_an_edited_configuration_is_refused(
    text: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert text != GOOD
    with pytest.raises(HeadstartError, match=says) as caught:
        from_yaml(text)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_measured_scenario_is_stored_with_its_cells_and_without_what_was_typed() -> None:
    config = compose(["scenario=auto", "dataset=folder", "dataset.root=${oc.env:HOME}/photos"])
    assert "oc.env" not in to_yaml(config)
    assert from_yaml(to_yaml(config)) == config
