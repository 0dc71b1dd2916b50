from __future__ import annotations

import numpy as np
import pytest

from headstart.core.errors import HeadstartError
from headstart.evaluation.calibration import adaptive_bins, calibration_bins
from headstart.evaluation.metrics import evaluate, wilson_interval, worst_mistakes
from headstart.evaluation.ranking import rank


def random_predictions(images: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.full(classes, 0.5), size=images)
    chance = generator.random(images) < 0.3
    labels = np.where(chance, generator.integers(classes, size=images), probabilities.argmax(axis=1))
    labels[:classes] = np.arange(classes)  # every class is present
    return labels, probabilities


def one_hot(predictions: list[int], classes: int, confidence: float = 0.9) -> np.ndarray:
    probabilities = np.full((len(predictions), classes), (1 - confidence) / (classes - 1))
    probabilities[np.arange(len(predictions)), predictions] = confidence
    return probabilities


# R. G. Newcombe, Two-sided confidence intervals for the single proportion, Statistics in Medicine 17 (1998), table I.
@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_interval_agrees_with_published_values(correct: int, total: int, low: float, high: float) -> None:
    assert wilson_interval(correct, total) == pytest.approx((low, high), abs=5e-5)


def test_wilson_interval_is_exact_at_both_ends_and_symmetric() -> None:
    for total in (1, 3, 10, 451, 100_000):
        low, high = wilson_interval(0, total)
        assert low == 0.0
        assert wilson_interval(total, total) == (pytest.approx(1 - high), 1.0)
    assert wilson_interval(0, 10)[1] == pytest.approx(0.2775, abs=5e-5)


def test_wilson_interval_widens_with_confidence() -> None:
    low, high = wilson_interval(80, 100)
    wider_low, wider_high = wilson_interval(80, 100, confidence=0.99)
    assert wider_low < low < 0.8 < high < wider_high


@pytest.mark.parametrize("arguments", [(0, 0), (3, 2), (-1, 2), (1, 2, 0.0), (1, 2, 1.0)])
def test_wilson_interval_refuses_what_is_impossible(arguments: tuple) -> None:
    with pytest.raises(HeadstartError, match=r"Expected .* Received"):
        wilson_interval(*arguments)


def test_evaluate_agrees_with_scikit_learn() -> None:
    from sklearn import metrics

    labels, probabilities = random_predictions(300, 7)
    predictions = probabilities.argmax(axis=1)
    result = evaluate(labels, probabilities, list("abcdefg"))

    assert result.images == 300
    assert result.accuracy == pytest.approx(metrics.accuracy_score(labels, predictions))
    assert result.macro_f1 == pytest.approx(metrics.f1_score(labels, predictions, average="macro"))
    assert result.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(labels, predictions))
    clipped = np.clip(probabilities, 1e-7, 1)
    assert result.log_loss == pytest.approx(metrics.log_loss(labels, clipped / clipped.sum(axis=1, keepdims=True)))
    assert result.top5_accuracy == pytest.approx(metrics.top_k_accuracy_score(labels, probabilities, k=5))
    np.testing.assert_array_equal(result.confusion, metrics.confusion_matrix(labels, predictions))
    assert result.report() == metrics.classification_report(labels, predictions, target_names=list("abcdefg"))
    assert (result.accuracy_low, result.accuracy_high) == wilson_interval(int((labels == predictions).sum()), 300)


@pytest.mark.parametrize("classes", [2, 7])
def test_probabilities_and_chance_are_judged_as_by_scikit_learn(classes: int) -> None:
    from sklearn import metrics

    labels, probabilities = random_predictions(300, classes)
    probabilities = np.random.default_rng(0).multinomial(16, probabilities) / 16  # many images have the same one
    predictions, one_hot_labels = probabilities.argmax(axis=1), np.eye(classes)[labels]
    result = evaluate(labels, probabilities, list("abcdefg")[:classes])
    areas = metrics.roc_auc_score(one_hot_labels, probabilities, average=None)
    precisions = metrics.average_precision_score(one_hot_labels, probabilities, average=None)

    assert [found.roc_auc for found in result.per_class] == pytest.approx(areas)
    assert [found.average_precision for found in result.per_class] == pytest.approx(precisions)
    assert result.roc_auc == pytest.approx(areas.mean())
    assert result.average_precision == pytest.approx(precisions.mean())
    assert result.cohens_kappa == pytest.approx(metrics.cohen_kappa_score(labels, predictions))
    assert result.matthews_correlation == pytest.approx(metrics.matthews_corrcoef(labels, predictions))
    given = probabilities[:, 1] if classes == 2 else probabilities
    assert result.brier_score == pytest.approx(metrics.brier_score_loss(labels, given))


def test_a_ranking_has_the_points_of_scikit_learns_curves() -> None:
    from sklearn import metrics

    generator = np.random.default_rng(1)
    belongs, scores = generator.random(200) < 0.3, np.round(generator.random(200), 1)
    ranking = rank(belongs, scores)
    false_rate, true_rate, thresholds = metrics.roc_curve(belongs, scores, drop_intermediate=False)
    np.testing.assert_allclose(ranking.false_positives / ranking.negatives, false_rate[1:])
    np.testing.assert_allclose(ranking.true_positives / ranking.positives, true_rate[1:])
    np.testing.assert_array_equal(ranking.thresholds, thresholds[1:])
    precision, _, _ = metrics.precision_recall_curve(belongs, scores)
    np.testing.assert_allclose(ranking.precision, precision[:-1][::-1])


def test_what_one_class_alone_leaves_undefined_is_no_number() -> None:
    result = evaluate(np.array([1, 1]), one_hot([1, 1], 2), ["a", "b"])
    assert (result.roc_auc, result.cohens_kappa, result.matthews_correlation) == (None, None, 0.0)
    assert result.average_precision == 1.0  # of the class that is there
    assert not {"roc_auc", "cohens_kappa"} & set(result.summary())
    assert [found.average_precision for found in result.per_class] == [None, 1.0]


def test_per_class_results_by_hand() -> None:
    result = evaluate(np.array([0, 0, 0, 1]), one_hot([0, 0, 1, 1], 2), ["cat", "dog"])
    cat, dog = result.per_class
    assert (cat.name, cat.precision, cat.recall, cat.f1, cat.support) == pytest.approx(("cat", 1.0, 2 / 3, 0.8, 3))
    assert (dog.name, dog.precision, dog.recall, dog.f1, dog.support) == pytest.approx(("dog", 0.5, 1.0, 2 / 3, 1))
    assert result.confusion.tolist() == [[2, 1], [0, 1]]


def test_summary_holds_plain_numbers() -> None:
    small = evaluate(*random_predictions(50, 5), list("abcde")).summary()
    large = evaluate(*random_predictions(50, 6), list("abcdef")).summary()
    assert list(small) == [
        "images",
        "accuracy",
        "accuracy_low",
        "accuracy_high",
        "macro_f1",
        "balanced_accuracy",
        "roc_auc",
        "average_precision",
        "cohens_kappa",
        "matthews_correlation",
        "log_loss",
        "brier_score",
        "calibration_error",
    ]
    assert set(large) - set(small) == {"top5_accuracy"}
    assert {type(value) for value in large.values()} == {int, float}


def test_equal_probabilities_are_not_all_in_the_top_five() -> None:
    result = evaluate(np.arange(10), np.full((10, 10), 0.1), list("abcdefghij"))
    assert result.top5_accuracy == 0.5
    assert result.accuracy == 0.1


def test_a_class_without_images_is_left_out_of_the_averages() -> None:
    labels = np.array([0, 0, 1, 1])
    without = evaluate(labels, one_hot([0, 0, 1, 0], 2), ["a", "b"])
    with_empty = evaluate(labels, one_hot([0, 0, 1, 0], 3), ["a", "b", "empty"])
    assert with_empty.macro_f1 == pytest.approx(without.macro_f1)
    assert with_empty.balanced_accuracy == pytest.approx(without.balanced_accuracy)
    empty = with_empty.per_class[2]
    assert (empty.precision, empty.recall, empty.f1, empty.support) == (None, None, None, 0)
    assert "empty          -         -         -         0" in with_empty.report()


def test_predicting_a_class_without_images_costs_the_true_class() -> None:
    result = evaluate(np.array([0, 0, 1]), one_hot([0, 2, 1], 3), ["a", "b", "empty"])
    assert (result.per_class[2].precision, result.per_class[2].recall, result.per_class[2].f1) == (0.0, None, None)
    assert result.per_class[0].recall == 0.5
    assert result.balanced_accuracy == pytest.approx(0.75)


def test_a_present_class_that_is_never_predicted_counts_as_zero() -> None:
    result = evaluate(np.array([0, 1]), one_hot([0, 0], 2), ["a", "b"])
    assert (result.per_class[1].precision, result.per_class[1].recall, result.per_class[1].f1) == (0.0, 0.0, 0.0)
    assert result.macro_f1 == pytest.approx(1 / 3)


def test_most_confused_pairs_come_largest_first_without_the_diagonal() -> None:
    labels = np.array([0] * 5 + [1] * 4 + [2] * 3)
    predictions = [0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 0]
    result = evaluate(labels, one_hot(predictions, 3), ["a", "b", "c"])
    assert result.most_confused == (("a", "b", 3), ("b", "c", 2), ("c", "a", 1))


def test_most_confused_holds_at_most_ten_pairs() -> None:
    labels = np.arange(12)
    result = evaluate(labels, one_hot([*range(1, 12), 0], 12), [str(i) for i in labels])
    assert len(result.most_confused) == 10
    assert all(pair[2] == 1 for pair in result.most_confused)


def test_log_loss_is_finite_for_a_certain_mistake() -> None:
    result = evaluate(np.array([0, 1]), np.array([[0.0, 1.0], [0.0, 1.0]]), ["a", "b"])
    assert result.log_loss == pytest.approx(-np.log(1e-7) / 2)


def test_calibration_error_by_hand() -> None:
    # Confidences 0.95, 0.95 (one right) and 0.55 (right): 2/3 * |0.95 - 0.5| + 1/3 * |0.55 - 1|.
    probabilities = np.array([[0.95, 0.05], [0.95, 0.05], [0.45, 0.55]])
    labels = np.array([0, 1, 1])
    bins = calibration_bins(labels, probabilities)
    assert bins.error == pytest.approx(2 / 3 * 0.45 + 1 / 3 * 0.45)
    assert bins.counts.sum() == 3
    assert bins.counts[14] == 2
    assert bins.accuracy[14] == 0.5
    assert np.isnan(bins.accuracy[0])
    assert evaluate(labels, probabilities, ["a", "b"]).calibration_error == pytest.approx(bins.error)


def test_calibration_bins_include_their_upper_edge() -> None:
    bins = calibration_bins(np.array([0, 0]), np.array([[0.5, 0.5], [1.0, 0.0]]), bins=4)
    assert bins.counts.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(("images", "bins"), [(5, 1), (207, 4), (1000, 10)])
def test_adaptive_bins_have_as_many_images_each(images: int, bins: int) -> None:
    labels, probabilities = random_predictions(images, 3)
    found = adaptive_bins(labels, probabilities)
    assert len(found.counts) == bins
    assert found.counts.sum() == images
    assert np.ptp(found.counts) <= 1
    order = np.argsort(probabilities.max(axis=1))
    right = (probabilities.argmax(axis=1) == labels)[order]
    assert found.correct[0] == right[: found.counts[0]].sum()
    assert (np.diff(found.confidence) > 0).all()


def test_images_of_the_same_confidence_share_an_adaptive_bin() -> None:
    probabilities = np.repeat([[0.6, 0.4], [1.0, 0.0]], [90, 210], axis=0)
    found = adaptive_bins(np.zeros(300, int), probabilities)
    assert found.counts.tolist() == [90, 210]
    assert found.error == pytest.approx(0.3 * 0.4)


def test_worst_mistakes_are_the_most_confident_wrong_ones() -> None:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7], [0.2, 0.8]])
    labels = np.array([0, 0, 1, 0, 0])
    assert worst_mistakes(labels, probabilities).tolist() == [1, 4, 3, 2]
    assert worst_mistakes(labels, probabilities, count=2).tolist() == [1, 4]
    assert worst_mistakes(probabilities.argmax(axis=1), probabilities).tolist() == []


def test_half_precision_probabilities_are_accepted() -> None:
    labels, probabilities = random_predictions(100, 50)
    exact = evaluate(labels, probabilities, [str(i) for i in range(50)])
    rounded = evaluate(labels, probabilities.astype(np.float16), [str(i) for i in range(50)])
    assert rounded.accuracy == pytest.approx(exact.accuracy, abs=0.02)
    assert rounded.log_loss == pytest.approx(exact.log_loss, rel=0.05)


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        (np.array([], int), np.zeros((0, 2)), "empty split"),
        (np.array([0, 1]), np.array([[0.5, 0.5], [np.nan, np.nan]]), "1 of 2 images .* image 1 with the sum nan"),
        (np.array([0]), np.array([[2.0, -1.0]]), "not negative"),
        (np.array([0]), np.array([[0.7, 0.7]]), "sum to one"),
        (np.array([2]), np.array([[0.5, 0.5]]), "integers from 0 to 1"),
        (np.array([-1]), np.array([[0.5, 0.5]]), "integers from 0 to 1"),
        (np.array([0.0]), np.array([[0.5, 0.5]]), "integers from 0 to 1"),
        (np.array([0, 1]), np.array([[0.5, 0.5]]), "shape"),
        (np.array([0]), np.array([0.5]), "shape"),
    ],
)
def test_invalid_predictions_are_refused(labels: np.ndarray, probabilities: np.ndarray, message: str) -> None:
    for measure in (lambda *data: evaluate(*data, ["a", "b"]), worst_mistakes, calibration_bins, adaptive_bins):
        with pytest.raises(HeadstartError, match=message):
            measure(labels, probabilities)


def test_evaluate_refuses_names_that_do_not_match() -> None:
    with pytest.raises(HeadstartError, match="1 names, 2 columns"):
        evaluate(np.array([0]), np.array([[0.5, 0.5]]), ["a"])
