"""Names of splits in every spelling, and names of classes that only look like them."""

from __future__ import annotations

import pytest

from headstart.data.sources.split_names import name_splits, split_of


@pytest.mark.parametrize(
    ("split", "names"),
    [
        (
            "train",
            "train Training TRAIN training_set trainset TrainingSet train-data learn trainval TRAIN_SET training.set",
        ),
        ("validation", "val Valid VALIDATION validation-set valset dev devset eval ValidationData"),
        ("test", "test Testing TEST test_set testset TestSet evaluation hold-out holdout held_out test_images"),
        (None, "trains contest testament latest devil value evaluations training_1 seg_train train_test set data 1 é"),
    ],
)
def test_a_name_alone(split: str | None, names: str) -> None:
    assert {name: split_of(name) for name in names.split()} == dict.fromkeys(names.split(), split)


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["train", "plane"], {"train": "train"}),
        (["train station", "bus station", "bus test"], {}),
        (["test tube", "test pen"], {}),
        (["seg_train", "seg_test", "seg_pred"], {"seg_train": "train", "seg_test": "test"}),
        (["cats_train", "dogs_test"], {}),
        (["train 2017", "val-2018"], {"train 2017": "train", "val-2018": "validation"}),
        (["train", "pets_test"], {"train": "train"}),
        (["train", "eval"], {"train": "train", "eval": "validation"}),
        (["train", "Eval", "dev"], {"train": "train", "Eval": "test", "dev": "validation"}),
        (
            ["train", "eval", "val", "test"],
            {"train": "train", "eval": "validation", "val": "validation", "test": "test"},
        ),
        (["train", "evaluation", "val"], {"train": "train", "evaluation": "test", "val": "validation"}),
        (["train_test", "train-dev"], {}),
        (["Latest", "contest", "value"], {}),
    ],
    ids=str,
)
def test_names_among_their_siblings(names: list[str], splits: dict[str, str]) -> None:
    assert name_splits(names) == splits
