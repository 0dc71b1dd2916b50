"""`sweep=surgical`: a job for each block of the chosen backbone, beside the head alone and everything."""

from __future__ import annotations

import pytest
from conftest import jobs_of, sweep_configuration

from headstart.config import Blocks, Everything, HeadOnly, compose
from headstart.core.errors import HeadstartError
from headstart.model.backbones.entries import BACKBONES
from headstart.model.targets import check_targets
from headstart.sweep.callback import show_plan


@pytest.mark.parametrize(
    "backbone",
    ["vgg16", *(pytest.param(name, marks=pytest.mark.slow) for name in ("efficientnet_lite0", "inceptionv3"))],
)
def test_every_block_of_the_backbone_is_a_job(backbone: str) -> None:
    parameters = sweep_configuration("sweep=surgical", f"backbone={backbone}").hydra.sweeper.params
    given = [f"{key}={value}" for key, value in parameters.items()]
    configs = [compose([f"backbone={backbone}", *job]) for job in jobs_of(given)]
    for config in configs:
        check_targets(config)
    blocks = [Blocks((name,)) for name in BACKBONES[backbone].blocks.blocks]
    assert [config.freeze.stages[1].train for config in configs] == [HeadOnly(), *blocks, Everything()]


def test_several_backbones_are_refused() -> None:
    config = sweep_configuration("sweep=surgical", "backbone=vgg16,resnet50")
    with pytest.raises(HeadstartError, match=r"Expected one backbone for this sweep, .*freeze\.stages\.1\.train"):
        show_plan(config)
