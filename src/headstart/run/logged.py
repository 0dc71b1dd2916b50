"""What the tracking store gets of a run: parameters, metrics under their standard names, and tags for searching."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from headstart.config.fields import FIGURES, Decides
from headstart.config.identity import config_hash, data_name
from headstart.config.keys import Leaf, leaves_of
from headstart.config.overrides import override_key
from headstart.results.types import RunResults
from headstart.run.setup import RunSetup
from headstart.tracking import flatten
from headstart.tracking.datasets import LoggedDataset

SHORT = {"validation": "val"}  # names of splits as Keras writes them in front of metrics
# Metrics of a split in the list of runs, as `val_accuracy`; all others are logged as `val/balanced_accuracy`.
MAIN = ("accuracy", "accuracy_low", "accuracy_high", "macro_f1", "log_loss", "calibration_error")
DECIMALS = 5  # of these, as MLflow shows what it gets and cuts it; results.json has all digits
ALWAYS = ("seed", "batch_size")  # parameters that are logged also at the schema's default


def logged_parameters(setup: RunSetup, overrides: Collection[str] = ()) -> dict[str, Any]:
    """Return the parameters of a run; the artifact config.yaml has every value.

    Left out are null, what decides no figure (locations, execution), and the schema's defaults that the command does
    not set. Names of options have the key of the command line, such as `freeze`. `dataset` is the name of the data.

    Args:
        setup: the run's setup.
        overrides: of the command.
    """
    given = {override_key(override) for override in overrides}
    leaves = [leaf for leaf in leaves_of(setup.config) if _is_logged(leaf, given)]
    values = {leaf.key.removesuffix(".name"): leaf.value for leaf in leaves}
    values.update(dataset=data_name(setup.config), image_size=setup.image_size)
    return {key: value for key, value in flatten(values).items() if value is not None}


def _is_logged(leaf: Leaf, given: Collection[str]) -> bool:
    if leaf.decides is Decides.NAME or leaf.key.endswith(".name"):
        return leaf.decides in (*FIGURES, Decides.NAME)
    return leaf.decides in FIGURES and (not leaf.is_default or leaf.key in ALWAYS or leaf.key in given)


def epoch_metrics(figures: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics of an epoch, such as `epoch/val_accuracy`.

    Args:
        figures: such as `validation_accuracy`.
    """
    return {f"epoch/{key.replace('validation_', 'val_')}": value for key, value in figures.items()}


def split_metrics(split: str, figures: Mapping[str, float], prefix: str = "") -> dict[str, float]:
    """Return the metrics of a split, such as `val_accuracy` and `val/balanced_accuracy`.

    Args:
        split: `validation` or `test`.
        figures: by name; their number of images is a part of the logged data set.
        prefix: of figures that are not those of the saved classifier, such as `after_head/`.
    """
    name = SHORT.get(split, split)
    known = {key: value for key, value in figures.items() if key != "images"}
    if prefix:
        return {f"{prefix}{name}_{key}": value for key, value in known.items()}
    main = {f"{name}_{key}": round(value, DECIMALS) for key, value in known.items() if key in MAIN}
    return {**main, **{f"{name}/{key}": value for key, value in known.items() if key not in MAIN}}


def logged_datasets(setup: RunSetup) -> list[LoggedDataset]:
    """Return the splits of a run that have images.

    Args:
        setup: the run's setup.
    """
    index, name = setup.index, data_name(setup.config)
    datasets = []
    for split, counts in index.counts().items():
        if counts.any():
            by_class = dict(zip(index.class_names, counts.tolist(), strict=True))
            fingerprint = index.split(split).fingerprint
            datasets.append(LoggedDataset(name, split, fingerprint, str(index.root), by_class))
    return datasets


def run_tags(setup: RunSetup) -> dict[str, str]:
    """Return the tags to set when a run starts.

    Args:
        setup: the run's setup.
    """
    config = setup.config
    return {
        "dataset_fingerprint": setup.index.fingerprint,
        "config_hash": config_hash(config),
        "output": str(setup.output),
        **({"recipe": config.recipe.name} if config.recipe.name else {}),
        **({"scenario": setup.scenario.cell} if setup.scenario.cell else {}),
        **({"strategy": setup.scenario.strategy} if setup.scenario.strategy else {}),
    }


def result_tags(results: RunResults) -> dict[str, str]:
    """Return the tags to set when a run ends.

    Args:
        results: the run's results.
    """
    if not results.reproduces:
        return {}
    return {"reproduces": str(results.reproduces.run_id), "reproduced": results.reproduces.verdict}
