"""Command lines of `run.py` that cannot work, by the hundred, seeded; as a program it runs them.

`python tests/faults/wrong_configurations.py RUN.PY < COMMAND_LINES.json` prints exit code, output and errors of each.
"""

from __future__ import annotations

import dataclasses
import json
import os
import runpy
import signal
import sys
import tempfile
import traceback
import typing
from typing import Any

import numpy as np

from headstart.config import Config
from headstart.config.fields import REQUIRED
from headstart.core.paths import conf_directory

SECONDS = 60  # for one of them
GROUPS = sorted(folder.name for folder in conf_directory().iterdir() if folder.is_dir() and folder.name != "hydra")
ODD = ("é", "日本", "\u202eabc", "😀", "a b", "'", '"', "%s", "{0}", "<b>", "\\", "\x1b[31m", "\n", "\t", "#", "&")


def keys(schema: Any = Config, prefix: str = "") -> dict[str, dataclasses.Field]:
    """Return every key of the configuration that holds a single value, with its field."""
    found: dict[str, dataclasses.Field] = {}
    for item in dataclasses.fields(schema):
        kind = typing.get_type_hints(schema)[item.name]
        if dataclasses.is_dataclass(kind):
            found |= keys(kind, f"{prefix}{item.name}.")
        elif "list" not in str(kind):
            found[f"{prefix}{item.name}"] = item
    return found


KEYS = keys()


def misspelt(generator: np.random.Generator) -> list[str]:
    key = str(generator.choice(sorted(KEYS)))
    place = int(generator.integers(len(key)))
    changed = key[:place] + str(generator.choice(list("qxjz7_"))) + key[place + 1 :]
    return [f"{generator.choice(['', '+', '++', '~'])}{changed}=1"]


def of_the_wrong_type(generator: np.random.Generator) -> list[str]:
    numbers = [key for key, item in KEYS.items() if item.type in ("int", "float", "bool") or "bounds" in item.metadata]
    values = ["abc", "[1]", "{a: 1}", "1e", "0x", "nan", "--1", "''", "1;2", "on off", "${seed"]
    return [f"{generator.choice(numbers)}={generator.choice(values)}"]


def out_of_range(generator: np.random.Generator) -> list[str]:
    bounded = {key: item.metadata["bounds"] for key, item in KEYS.items() if item.metadata.get("bounds")}
    key = str(generator.choice(sorted(bounded)))
    bounds = bounded[key]
    values = ["inf", "-inf", "nan", "1e999"]
    values += [str(bounds[word] - 1) for word in ("at least", "above") if word in bounds]
    values += [str(bounds[word] + 1) for word in ("at most", "below") if word in bounds]
    return [f"{key}={generator.choice(values)}"]


def of_no_choice(generator: np.random.Generator) -> list[str]:
    chosen = [key for key, item in KEYS.items() if "choices" in item.metadata]
    return [f"{generator.choice(chosen)}=nothing_of_this_kind"]


def unknown_option(generator: np.random.Generator) -> list[str]:
    group = generator.choice(list(GROUPS))
    name = generator.choice(["nothing", "../config", "../../etc/passwd", "/etc/passwd", "a/b", "", "'a b'", "none/x"])
    return [f"{generator.choice(['', '+'])}{group}={name}"]


def missing_place(generator: np.random.Generator) -> list[str]:
    places = ["/nowhere/at/all", "../../../nowhere", "'a b/c'", "~nobody/x", "/dev/null", "/proc/1/mem/x"]
    place = generator.choice(places)
    return [
        str(override)
        for override in generator.choice(
            np.array(
                [
                    ["dataset=folder", f"dataset.root={place}"],
                    ["dataset=csv", f"dataset.csv={place}"],
                    ["dataset=unlabelled", f"dataset.root={place}"],
                    ["backbone=small_cnn", f"backbone.weights={place}"],
                ]
            )
        )
    ]


def injected(generator: np.random.Generator) -> list[str]:
    """Return what a shell, a template or OmegaConf might run; the file `canary` must not come into being."""
    value = generator.choice(
        [
            "$(touch canary)",
            "`touch canary`",
            "'$(touch canary)'",
            "${oc.env:NOWHERE_SET}",
            "${oc.env:NOWHERE_SET,/nowhere/at/all}",
            "${oc.decode:1}",
            "${eval:1}",
            "${nowhere}",
            "${..seed}",
            "${dataset.root}",
            "'!!python/object/apply:os.system [touch canary]'",
            "';touch canary'",
            "'| touch canary'",
            "{_target_: os.system, command: touch canary}",
            "{{7*7}}",
        ]
    )
    key = generator.choice(["dataset.root", "dataset.csv", "backbone.weights", "backbone.name", "dataset.source"])
    first = {"dataset.csv": "dataset=csv", "backbone.weights": "backbone=small_cnn"}.get(str(key), "dataset=folder")
    return [first, f"{key}={value}"]


def contradicting(generator: np.random.Generator) -> list[str]:
    combinations = [
        ["head=logistic_regression", "head.output=sigmoid", "freeze=gradual"],
        ["head=imagenet"],
        ["dataset=unlabelled", "dataset.root=."],
        ["head=include_top", "backbone=small_cnn"],
        ["backbone=vgg16", "backbone.weights=packaged"],
        ["backbone=efficientnet_lite0", "backbone.weights=imagenet"],
        ["dataset.split.validation=0.9", "dataset.split.test=0.9"],
        ["dataset.classes=[0,nothing]"],
        ["dataset.classes=[]"],
        ["dataset.classes=[0,1]"],
        ["dataset.classes=[true,'1']"],
        ["dataset.min_images=1000"],
        ["dataset.columns.path=file"],
        ["sweep.name=1.10"],
        ["cv.folds=3", "cv.fold=3"],
        ["cv.fold=1"],
        ["image_size=1", "backbone=inceptionv3"],
        ["tracking=server", "tracking.uri=null"],
        ["freeze.stages=[]"],
        ["freeze.stages=[{name: a, train: head, epochs: 1}, {name: a, train: all, epochs: 1}]"],
        ["freeze.stages=[{name: a, train: head, epochs: 0}]"],
        ["freeze.stages=nothing"],
        ["freeze.stages=[1,2]"],
        ["inference_backend=openvino_or_so"],
        ["scenario=auto", "head=imagenet"],
        ["dataset=tfds", "dataset.collection=null"],
        ["dataset=keras"],
        ["dataset=flat", "dataset.root=."],
        ["experiment=nothing"],
        ["sweep=nothing"],
    ]
    return combinations[int(generator.integers(len(combinations)))]


def of_no_grammar(generator: np.random.Generator) -> list[str]:
    shapes = ["=", "seed", "seed==1", "seed=[", "seed={", "+=1", "~", "~seed~", "a=b=c", "seed=1)", "'", "-x"]
    shapes += ["~dataset", "+seed=[", "+dataset=folder", "dataset@x=folder", "hydra=nothing", "hydra.run=1"]
    shapes += [
        "--config-name=nothing",
        "--config-dir=/nowhere",
        "-cd",
        "--nothing",
        "--multirun=1",
        "hydra/launcher=nothing",
    ]
    return [str(generator.choice(shapes))]


def oddly_written(generator: np.random.Generator) -> list[str]:
    key = generator.choice(
        ["seed", "dataset.source", "backbone.name", "inference_backend", "backbone", "dataset", "freeze"]
    )
    odd = generator.choice(ODD)
    return [str(generator.choice([f"{key}={odd}", f"{key}='{odd}'", f"{odd}={key}", f"{key}{odd}=1"]))]


SPECIAL_FILES = (
    misspelt,
    of_the_wrong_type,
    out_of_range,
    of_no_choice,
    unknown_option,
    missing_place,
    injected,
    contradicting,
    of_no_grammar,
    oddly_written,
)


def wrong_configurations(count: int, seed: int = 0) -> list[list[str]]:
    """Return different command lines, as many of each kind."""
    generator = np.random.default_rng(seed)
    found: list[list[str]] = []
    number = 0
    while len(found) < count:
        overrides = SPECIAL_FILES[number % len(SPECIAL_FILES)](generator)
        number += 1
        if overrides not in found and REQUIRED not in overrides:
            found.append(overrides)
    return found


def run_each(program: str, configurations: list[list[str]]) -> list[tuple[int, str, str]]:
    """Return exit code, output and errors of `run.py` with each of the command lines.

    Every one runs in a process of its own, which is forked from one that has imported what all of them need.

    Args:
        program: the file `run.py`.
        configurations: the command lines.
    """
    import headstart.cli.train
    import headstart.run.experiment  # noqa: F401

    answers = []
    for overrides in configurations:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
            child = os.fork()
            if child == 0:
                signal.alarm(SECONDS)
                os.dup2(out.fileno(), 1)
                os.dup2(errors.fileno(), 2)
                code = 1
                try:
                    sys.argv = [program, *overrides]
                    runpy.run_path(program, run_name="__main__")
                except SystemExit as end:
                    code = end.code if isinstance(end.code, int) else 1
                except BaseException:  # noqa: BLE001 (as the interpreter does)
                    traceback.print_exc()
                finally:
                    sys.stdout.flush()
                    sys.stderr.flush()
                    os._exit(code)
            _, status = os.waitpid(child, 0)
            texts = []
            for file in (out, errors):
                file.seek(0)
                texts.append(file.read().decode(errors="backslashreplace"))
            answers.append((os.waitstatus_to_exitcode(status), *texts))
    return answers


if __name__ == "__main__":
    json.dump(run_each(sys.argv[1], json.load(sys.stdin)), sys.stdout)
