"""What a key decides is said at its field, and whatever asks for it derives it from there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from conftest import write_pictures

from headstart.config import Config, compose, to_yaml, use_current_names
from headstart.config.fields import FIGURES, Decides, group, setting
from headstart.config.identity import config_hash
from headstart.config.keys import (
    effect_of,
    keys_of,
    leaves_of,
    override_values,
    values_that_decide,
)
from headstart.core.errors import HeadstartError
from headstart.results.file import write_results
from headstart.results.runs import CHECKPOINT
from headstart.results.sections import Dataset
from headstart.results.types import RunResults
from headstart.run.reproduce import configuration_to_reproduce
from headstart.run.resume import find_interrupted
from headstart.sweep.results import find_finished, free_directory


@cache
def composed(*overrides: str) -> Config:
    return compose(overrides)


def test_every_key_of_the_schema_says_what_it_decides() -> None:
    declared = {key.name: key.decides for key in keys_of(Config)}
    assert declared["freeze.stages.*.optimizer.schedule.patience"] is Decides.RESULT
    assert declared["cache.max_gb"] is Decides.NOTHING
    assert declared["cache.dtype"] is Decides.RESULT
    assert set(declared.values()) == set(Decides)


def test_every_key_of_the_schema_says_what_it_means_and_every_number_its_unit() -> None:
    for key in keys_of(Config):
        meaning = key.field.metadata["meaning"]
        assert 4 < len(meaning) < 150, key.name
        assert not meaning.endswith("."), key.name
        if key.kind in (int, float, int | None, float | None):
            assert isinstance(key.field.metadata["unit"], str), key.name
            assert "bounds" in key.field.metadata or "optimizer" in key.name, key.name
        if key.kind in (str, str | None) and "choices" not in key.field.metadata:
            assert key.field.metadata.keys() <= {"meaning", "decides", "make_absolute", "former_values", "of_command"}


def test_a_key_that_does_not_say_it_is_refused() -> None:
    @dataclass
    class Careless:
        new: int = 0

    with pytest.raises(TypeError, match="the field of new to declare what it decides"):
        list(keys_of(Careless))
    with pytest.raises(TypeError, match="the field of new to declare what it decides"):
        values_that_decide(Careless(), FIGURES)


@pytest.mark.parametrize(
    "override",
    [
        "cache=off",
        "cache.max_gb=5",
        "evaluate_after_each_stage=true",
        "checkpoint_seconds=10",
        "time_limit=1h",
        "inference_backend=tensorflow",
        "objective=accuracy_and_seconds",
        "tracking.experiment=other",
        "dataset.root=/elsewhere",
        "sweep.name=mine",
        "freeze.name=other",
        "freeze.stages.0.name=other",
        "head.name=other",
        "augmentation.name=other",
        "dataset.name=other",
    ],
)
def test_the_digest_ignores_keys_that_do_not_affect_results(override: str) -> None:
    assert config_hash(composed(override)) == config_hash(composed())


@pytest.mark.parametrize(
    "override",
    [
        *("seed=1", "batch_size=16", "image_size=64", "deterministic=false", "find_lr=true", "cache.dtype=float16"),
        *("dataset.fraction=0.5", "dataset.split.seed=1", "cv.folds=3", "dataset=mnist", "backbone=vgg16"),
        *("freeze=all", "freeze.stages.0.epochs=33", "optimizer=sgd", "head.dropout=0.3", "augmentation=flip"),
    ],
)
def test_the_digest_changes_with_keys_that_affect_results(override: str) -> None:
    assert config_hash(composed(override)) != config_hash(composed())


def test_a_new_key_at_its_neutral_default_changes_no_digest() -> None:
    @dataclass
    class Before:
        units: int = setting(8, "", decides=Decides.RESULT)

    @dataclass
    class Later(Before):
        new: bool = setting(False, "", decides=Decides.RESULT)
        words: list[str] = group(list, Decides.RESULT)

    def other_than_defaults(config: Any) -> dict[str, Any]:
        return {leaf.key: leaf.value for leaf in leaves_of(config) if not leaf.is_default}

    assert other_than_defaults(Before(9)) == {"units": 9}
    assert other_than_defaults(Later(9)) == {"units": 9}
    assert other_than_defaults(Later(9, True)) == {"units": 9, "new": True}


# Digests leave defaults out: where one of these changes, two different runs have the same digest. Set another value in
# the files under `conf/` instead.
DEFAULTS = {
    **{"dataset.split.validation": 0.2, "dataset.split.test": 0.2, "dataset.split.seed": 0, "dataset.fraction": 1.0},
    **{"dataset.resize": "stretch", "dataset.bad_images": "fail", "dataset.suggested_image_size": None},
    **{"backbone.weights": "imagenet", "head.fit": "gradient", "head.pooling": "average", "head.units": None},
    **{"head.batch_norm": False, "head.dropout": 0.0, "head.output": "softmax", "augmentation.fill": "nearest"},
    **{"augmentation.views": "live", "optimizer.momentum": 0.0, "optimizer.schedule.factor": 0.5},
    **{"optimizer.schedule.name": "constant", "optimizer.schedule.patience": 2, "optimizer.layer_decay": 1.0},
    **{"optimizer.accumulate": 1, "cache.dtype": "float32", "cv.folds": None, "seed": 0, "image_size": None},
    **{"batch_size": 32, "epochs": None, "steps_per_epoch": None, "class_weight": "none", "label_smoothing": 0.0},
    **{"patience": None, "precision": "auto", "deterministic": True, "find_lr": False},
    **{"interpolate": "none", "tta": "none", "calibrate": "none"},
}


def test_defaults_that_digests_leave_out_stay_as_they_are() -> None:
    schema = values_that_decide(Config(), FIGURES)
    assert {key: schema[key] for key in DEFAULTS} == DEFAULTS


@pytest.mark.parametrize(
    ("key", "decides"),
    [
        ("cache", Decides.NOTHING),
        ("sweep.name", Decides.COMMAND),
        ("freeze.stages.0.train", Decides.RESULT),
        ("freeze.stages.0.name", Decides.NAME),
        ("dataset.csv", Decides.LOCATION),
        ("experiment", None),
        ("hydra/launcher", None),
        ("seed.more", None),
    ],
)
def test_a_key_or_a_group_of_the_command_line_is_looked_up(key: str, decides: Decides | None) -> None:
    assert effect_of(Config, key) is decides


def test_given_values_replace_stored_ones_where_they_may() -> None:
    stored = composed("seed=3", "cache.dtype=float16")
    asked = composed("cache=off", "seed=5", "time_limit=1h")
    found = override_values(stored, asked, ["cache", "seed"], [Decides.NOTHING])
    assert (found.cache.activations, found.cache.name, found.cache.dtype) == (False, "off", "float16")
    assert (found.seed, found.time_limit) == (3, None)
    assert stored.cache.activations  # itself unchanged


def finished(directory: Path, config: Config, fingerprint: str, status: str = "FINISHED") -> Path:
    """Write what is known of a run, and return its directory."""
    directory.mkdir(parents=True)
    (directory / "config.yaml").write_text(to_yaml(config))
    images = Dataset(name="folder", root=None, fingerprint=fingerprint, images={}, classes=2, image_size=224)
    digest = config_hash(config)
    results = RunResults(run_id="ab12cd", status=status, config_hash=digest, splits={}, dataset=images)
    write_results(directory, results)
    return directory


def fingerprint_of(config: Config, cache: Path) -> str:
    from headstart.data.files.checks import check_images
    from headstart.data.load import load_index

    return check_images(load_index(config.dataset, cache), "fail", cache)[0].fingerprint


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Config]:
    """Return the configuration for the same pictures in two places, and for others in a third one."""
    monkeypatch.setenv("HEADSTART_OUTPUTS", str(tmp_path / "outputs"))
    found = {}
    for name, seed in (("here", 0), ("moved", 0), ("others", 1)):
        root = write_pictures(tmp_path / name, {"red": 10, "blue": 10}, seed=seed)
        found[name] = compose(["dataset=folder", f"dataset.root={root}"])
    return found


def test_a_moved_data_set_is_found_as_done_and_another_one_is_not(places: dict[str, Config], tmp_path: Path) -> None:
    fingerprint = fingerprint_of(places["here"], tmp_path / "cache")
    done = finished(tmp_path / "sweep" / "0", places["here"], fingerprint)
    found = find_finished(tmp_path / "sweep", places["moved"])
    assert found is not None
    assert found[0] == done
    assert find_finished(tmp_path / "sweep", places["others"]) is None


def test_an_unfinished_run_is_taken_for_that_of_the_same_images_only(places: dict[str, Config], tmp_path: Path) -> None:
    fingerprint = fingerprint_of(places["here"], tmp_path / "cache")
    killed = finished(tmp_path / "outputs" / "runs" / "0", places["here"], fingerprint, "KILLED")
    (killed / CHECKPOINT).write_bytes(b"")
    assert find_interrupted(places["here"]) == find_interrupted(places["moved"]) == killed
    assert find_interrupted(places["others"]) is None
    assert free_directory(killed, places["moved"]) == killed
    assert free_directory(killed, places["others"]) != killed


def test_keys_that_do_not_affect_results_may_be_given_with_reproduce(places: dict[str, Config], tmp_path: Path) -> None:
    original = finished(tmp_path / "outputs" / "runs" / "0", places["here"], "1234")
    (original / "splits.csv").write_text("path,label,split,digest\n")
    words = [f"dataset.root={places['moved'].dataset.root}", "cache=off", "evaluate_after_each_stage=true"]
    overrides = [f"reproduce={original}", *words]
    asked = compose(overrides)
    (tmp_path / "again").mkdir()
    config, _ = configuration_to_reproduce(asked, overrides, tmp_path / "again")
    assert config_hash(config) == config_hash(places["here"])
    assert config.dataset.root == places["moved"].dataset.root
    assert config.dataset.source == "folder"
    assert (config.cache.activations, config.evaluate_after_each_stage) == (False, True)
    with pytest.raises(HeadstartError, match=r"alone or with .*Received: dataset.fraction=0.5 plan=true$"):
        configuration_to_reproduce(asked, [*overrides, "dataset.fraction=0.5", "plan=true"], tmp_path / "again")


def plan(capsys: pytest.CaptureFixture[str], *overrides: str, sweeps: Path = Path("/outputs/sweeps")) -> str:
    """Return where a sweep would write to, by its plan."""
    import hydra
    from hydra.core.global_hydra import GlobalHydra
    from hydra.types import RunMode

    from headstart.config import register_schema
    from headstart.core.paths import conf_directory
    from headstart.sweep.callback import show_plan

    register_schema()
    with hydra.initialize_config_dir(str(conf_directory()), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        config = loader.load_configuration("config", list(overrides), RunMode.MULTIRUN)
        config.hydra.sweep.dir = str(sweeps / "now")
        show_plan(config)
    return capsys.readouterr().out.split()[-1]


def test_a_sweep_is_found_again_whatever_keys_that_do_not_affect_results_say(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = plan(capsys, "seed=1")
    others = ["cache=off", "checkpoint_seconds=5", "on_error=stop", "inference_backend=tensorflow"]
    assert plan(capsys, "seed=1", *others) == first
    for more in ("cache.dtype=float16", "dataset.root=/elsewhere", "inference_backend=auto,tensorflow"):
        assert plan(capsys, "seed=1", more) != first


# Made by the version before the names changed, at commit 4ce7551, for these words; the last two by an older one, at
# fac9a89, where keys that decide no figure were a part of the name.
@pytest.mark.parametrize(
    ("former", "current", "directory"),
    [
        (
            ["optimizer.block_decay=0.5,0.7", "head=linear"],
            ["optimizer.layer_decay=0.5,0.7", "head=linear"],
            "block_decay-574a4e",
        ),
        pytest.param(
            ["head=linear,original", "seed=1"],
            ["head=linear,include_top", "seed=1"],
            "head-721e2a",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ["engine=tensorflow", "cache=off", "optimizer.block_decay=0.5,1"],
            ["inference_backend=tensorflow", "cache=off", "optimizer.layer_decay=0.5,1"],
            "block_decay-fc3be2",
            marks=pytest.mark.slow,
        ),
        (
            ["seed=0,1,2", "freeze=last_block", "epochs=2", "dataset.fraction=0.3", "checkpoint_seconds=0"],
            ["seed=0,1,2", "freeze=last_block", "epochs=2", "dataset.fraction=0.3", "checkpoint_seconds=0"],
            "seed-a314aa",
        ),
    ],
)
def test_a_sweep_of_an_earlier_version_is_found_again(
    former: list[str], current: list[str], directory: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert Path(plan(capsys, *current, sweeps=tmp_path)).name != directory
    (tmp_path / directory).mkdir()
    assert Path(plan(capsys, *current, sweeps=tmp_path)) == tmp_path / directory
    assert use_current_names(former) == current
