"""The name of a run begins with what differs between runs."""

from __future__ import annotations

import pytest

from headstart.config import compose
from headstart.config.identity import run_name


@pytest.mark.parametrize(
    ("overrides", "swept", "expected"),
    [
        ([], [], "last_two_blocks linear s0 efficientnet_lite0 digits"),
        (["seed=1", "freeze=last_block"], [], "last_block linear s1 efficientnet_lite0 digits"),
        (["backbone=vgg16", "seed=2"], ["backbone"], "vgg16 last_two_blocks linear s2 digits"),
        (["head=svm", "freeze=all", "seed=3"], ["seed"], "s3 all svm efficientnet_lite0 digits"),
        (
            ["optimizer.learning_rate=0.01", "epochs=3"],
            ["optimizer.learning_rate"],
            "learning_rate=0.01 last_two_blocks linear s0 epochs=3 efficientnet_lite0 digits",
        ),
        (
            ["cv.folds=5", "cv.fold=2"],
            ["cv.fold"],
            "fold 2 last_two_blocks linear s0 folds=5 efficientnet_lite0 digits",
        ),
        (
            ["dataset=folder", "dataset.root=/data/birds", "device=cpu", "tracking.experiment=mine"],
            [],
            "last_two_blocks linear s0 efficientnet_lite0 birds",
        ),
        (
            ["dataset=folder", "dataset.root=/data/birds"],
            ["dataset"],
            "birds last_two_blocks linear s0 efficientnet_lite0",
        ),
    ],
)
def test_what_differs_comes_first(overrides: list[str], swept: list[str], expected: str) -> None:
    assert run_name(compose(overrides), overrides, swept) == expected


def test_long_values_are_left_out() -> None:
    overrides = ["dataset.classes=[one,two,three,four,five,six,seven]"]
    assert run_name(compose(overrides), overrides) == "last_two_blocks linear s0 efficientnet_lite0 digits"


def test_a_pretrained_network_as_it_is() -> None:
    config = compose(["experiment=classify", "dataset.root=/data/photos"])
    assert run_name(config) == f"{config.backbone.name} as it is photos"
