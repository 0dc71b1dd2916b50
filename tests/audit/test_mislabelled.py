"""Planted wrong labels are found with the right class; correct labels are not reported."""

from __future__ import annotations

import numpy as np

from headstart.audit.mislabelled import FOLDS, choose_folds, mislabelled_findings

NAMES = ("cat", "dog", "hen")


def blobs(count: int = 240, depths: int = 3) -> tuple[list[np.ndarray], np.ndarray]:
    """Return features in which three classes lie apart, at several depths, and the true labels."""
    labels = np.arange(count) % 3
    generator = np.random.default_rng(0)
    return [np.eye(3)[labels] * 6 + generator.normal(0, 1, (count, 3)) for _ in range(depths)], labels


def test_planted_labels_are_found_and_corrected() -> None:
    features, true = blobs()
    given = true.copy()
    planted = np.arange(0, 240, 24)
    given[planted] = (true[planted] + 1) % 3
    found = mislabelled_findings(features, given, NAMES, np.arange(240))
    positions = {one.position for one in found}
    assert len(positions & set(planted.tolist())) >= 8
    assert len(positions - set(planted.tolist())) <= 1
    for one in found[:8]:
        assert one.suggested == NAMES[true[one.position]]
        assert one.detail.startswith(f"labelled {NAMES[given[one.position]]} (")
    scores = [one.score for one in found]
    assert scores == sorted(scores, reverse=True)


def test_right_labels_are_left_alone() -> None:
    features, labels = blobs()
    assert len(mislabelled_findings(features, labels, NAMES, np.arange(240))) <= 1


def test_useless_features_find_nothing() -> None:
    generator = np.random.default_rng(1)
    features = [generator.normal(size=(240, 8)) for _ in range(3)]
    assert len(mislabelled_findings(features, np.arange(240) % 3, NAMES, np.arange(240))) <= 3


def test_copies_are_in_one_fold_and_classes_in_all() -> None:
    labels, groups = np.arange(100) % 2, np.arange(100) // 4
    folds = choose_folds(labels, groups)
    assert all(len(set(folds[groups == group])) == 1 for group in set(groups))
    assert set(folds) == set(range(FOLDS))


def test_a_class_with_a_single_image_and_a_set_that_is_too_small() -> None:
    features, labels = blobs()
    labels = labels.copy()
    labels[labels == 2] = 1
    labels[5] = 2
    mislabelled_findings(features, labels, NAMES, np.arange(240))
    assert mislabelled_findings([one[:6] for one in features], labels[:6], NAMES, np.arange(6)) == []
