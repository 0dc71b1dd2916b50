"""What an impatient person types, and the tip that each gets: the table of the errors of `headstart train`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import hydra
import pytest

from headstart.cli import train
from headstart.config import compose, register_schema
from headstart.core.errors import HeadstartError
from headstart.core.paths import conf_directory

RATE = (
    "did you mean optimizer.learning_rate={0}? A stage with a rate of its own takes "
    "freeze.stages.1.optimizer.learning_rate={0}"
)
LISTED = "headstart train --help lists groups and keys"
# The command line behind `headstart train`, what is wrong, and the tip.
WRONG = [
    # the habits of other tools
    ("lr=0.1", "unknown key 'lr'", RATE.format("0.1")),
    ("lr0=0.01", "unknown key 'lr0'", RATE.format("0.01")),
    ("learning_rate=0.1", "unknown key 'learning_rate'", RATE.format("0.1")),
    ("optimizer.lr=0.1", "unknown key 'optimizer.lr'", RATE.format("0.1")),
    (
        "freeze.stages.0.lr=1",
        "unknown key 'freeze.stages.0.lr'",
        "did you mean freeze.stages.0.optimizer.learning_rate=1?",
    ),
    ("model=resnet50", "unknown key 'model'", "did you mean backbone=resnet50?"),
    ("data=photos", "unknown key 'data'", "did you mean dataset=folder dataset.root=photos?"),
    ("batch=16", "unknown key 'batch'", "did you mean batch_size=16?"),
    ("imgsz=224", "unknown key 'imgsz'", "did you mean image_size=224?"),
    ("workers=8", "unknown key 'workers'", "leave it out: reading the images uses all processors"),
    ("pretrained=false", "unknown key 'pretrained'", "did you mean backbone.weights=none?"),
    ("amp=true", "unknown key 'amp'", "did you mean precision=mixed_float16?"),
    ("dropout=0.3", "unknown key 'dropout'", "did you mean head.dropout=0.3?"),
    ("device=cuda", "Expected device to be one of auto, cpu, gpu. Received: cuda", "did you mean gpu?"),
    (
        "precision=fp16",
        "Expected precision to be one of auto, float32, mixed_float16, mixed_bfloat16. Received: fp16",
        "did you mean mixed_float16?",
    ),
    # flags and words that are no overrides
    ("--epochs 3", "unknown flag '--epochs'", "did you mean epochs=3? settings are written without dashes"),
    (
        "--batch-size 16",
        "unknown flag '--batch-size'",
        "did you mean batch_size=16? settings are written without dashes",
    ),
    (
        "--batch-size=16",
        "unknown flag '--batch-size'",
        "did you mean batch_size=16? settings are written without dashes",
    ),
    (
        "--lr 0.1 seed=1",
        "unknown flag '--lr'",
        "did you mean optimizer.learning_rate=0.1? settings are written without dashes",
    ),
    ("--multirn", "unknown flag '--multirn'", "did you mean --multirun?"),
    ("--zzz", "unknown flag '--zzz'", "settings are written KEY=VALUE: headstart train --help lists them"),
    ("epochs 3", "Expected KEY=VALUE. Received: epochs", "write it with an equals sign: epochs=3"),
    ("batch 16", "Expected KEY=VALUE. Received: batch", "did you mean batch_size=16?"),
    ("seed = 3", "Expected KEY=VALUE. Received: seed", "write it without spaces: seed=3"),
    ("seed= 3", "Expected KEY=VALUE. Received: 3", "write it without spaces: seed=3"),
    (
        "dataset.root=my photos",
        "Expected KEY=VALUE. Received: photos",
        "quote a value with spaces twice: 'dataset.root=\"my photos\"'",
    ),
    ("photos", "Expected KEY=VALUE. Received: photos", "did you mean dataset=folder dataset.root=photos?"),
    ("train epochs=3", "Expected KEY=VALUE. Received: train", "leave out the second train"),
    ("help", "Expected KEY=VALUE. Received: help", "headstart train --help"),
    ("zzz", "Expected KEY=VALUE. Received: zzz", LISTED),
    ("backbone", "Expected backbone=NAME. Received: no name", "headstart train --help backbone lists the names"),
    (
        "freeze=[",
        "Expected a value of freeze that can be read. Received: freeze=[",
        "headstart train --help freeze lists its options",
    ),
    (
        "dataset.classes=[a",
        "Expected a value of dataset.classes that can be read. Received: dataset.classes=[a",
        "close the bracket, or put the text in quotes",
    ),
    (
        "optimizer=adam,lr=0.1",
        "Expected a value of optimizer that can be read. Received: optimizer=adam,lr=0.1",
        "write optimizer=adam optimizer.learning_rate=0.1, with spaces",
    ),
    # options
    (
        "backbone=resnet5",
        "unknown backbone 'resnet5'",
        "did you mean backbone=resnet50? headstart train --help backbone lists all 44",
    ),
    (
        "backbone=ResNet-50",
        "unknown backbone 'ResNet-50'",
        "did you mean backbone=resnet50? headstart train --help backbone lists all 44",
    ),
    ("backbone=", "Expected backbone=NAME. Received: no name", "headstart train --help backbone lists all 44"),
    ("dataset=photos", "unknown dataset 'photos'", "did you mean dataset=folder dataset.root=photos?"),
    (
        "optimizer=SGD",
        "unknown optimizer 'SGD'",
        "did you mean optimizer=sgd? headstart train --help optimizer lists all 7",
    ),
    (
        "optimizer=lion",
        "unknown optimizer 'lion'",
        "choose adam, adam_fast, adam_gentle, adamw, rmsprop, sgd or sgd_gentle",
    ),
    ("freeze=10", "unknown freeze '10'", "headstart train --help freeze lists all 20"),
    ("cache=false", "unknown cache 'false'", "did you mean cache=off? headstart train --help cache lists all 2"),
    (
        "augmentation=yes",
        "unknown augmentation 'yes'",
        "did you mean augmentation=light? headstart train --help augmentation lists all 7",
    ),
    ("hydra/launcher=zzz", "unknown hydra/launcher 'zzz'", "choose basic"),
    # keys and values
    ("foo=1", "unknown key 'foo'", LISTED),
    ("+foo=1", "unknown key 'foo'", LISTED),
    ("epoch=3", "unknown key 'epoch'", "did you mean epochs=3?"),
    ("head.droput=0.3", "unknown key 'head.droput'", "did you mean head.dropout=0.3?"),
    (
        "augment=true",
        "unknown key 'augment'",
        "did you mean augmentation? headstart train --help augmentation lists its options and keys",
    ),
    ("+seed.x=1", "Expected seed to be a value. Received: a key below it", "headstart train --help seed explains it"),
    (
        "image_size=abc",
        "Expected image_size to be a whole number above 0. Received: abc",
        "headstart train --help image_size explains it",
    ),
    (
        "epochs=3.5",
        "Expected epochs to be a whole number of at least 1. Received: 3.5",
        "headstart train --help epochs explains it",
    ),
    (
        "batch_size=1e2",
        "Expected batch_size to be a whole number of at least 1. Received: 100.0",
        "write batch_size=100",
    ),
    (
        "deterministic=maybe",
        "Expected deterministic to be true or false. Received: maybe",
        "headstart train --help deterministic explains it",
    ),
    ("epochs=0", "Expected epochs to be at least 1. Received: 0", ""),
    ("seed=0,1", "Expected one value of seed. Received: 0,1", "-m runs each of them: headstart train -m seed=0,1"),
    (
        "freeze=last_block freeze.stages.5.epochs=3",
        "Expected a stage of freeze=last_block, which has 2. Received: freeze.stages.5",
        "they are freeze.stages.0 (head) and freeze.stages.1 (last_block); epochs=N sets the epochs of all stages",
    ),
    (
        "~epochs",
        "Expected a value that can be left out. Received: ~epochs",
        "every key has a value; epochs=null if it accepts null: headstart train --help epochs",
    ),
    ("seed=${nowhere}", "unknown key 'nowhere' in the value of seed", ""),
]


@pytest.fixture(scope="module", autouse=True)
def composer() -> Iterator[None]:
    """Let Hydra read its own configuration once for all commands."""
    register_schema()
    with hydra.initialize_config_dir(str(conf_directory()), version_base="1.3"):
        yield


@pytest.mark.parametrize(("line", "problem", "tip"), WRONG, ids=[line for line, *_ in WRONG])
def test_a_wrong_command_gets_its_tip(
    line: str, problem: str, tip: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    monkeypatch.setattr(sys, "argv", ["headstart train", *line.split(" ")])
    with pytest.raises(HeadstartError) as caught:
        compose(train.overrides())
    assert (caught.value.problem, caught.value.tip) == (problem, tip)
