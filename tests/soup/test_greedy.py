"""The greedy soup adds weights while validation accuracy does not fall."""

from __future__ import annotations

import numpy as np

from headstart.soup.greedy import Weights, greedy_soup


def weights(value: float) -> Weights:
    return [np.full(3, value, np.float32), np.full(2, 7, np.float32)]


def test_a_run_is_added_unless_accuracy_falls_and_the_average_is_over_those_added() -> None:
    tried: list[float] = []

    def accuracy(one: Weights) -> float:
        tried.append(float(one[0][0]))
        return {1.0: 0.8, 2.0: 0.8, 4.0: 0.7, 1.5: 0.9}[tried[-1]]

    soup = greedy_soup([weights(1), weights(3), weights(8), weights(0.5)], [0], accuracy)
    assert tried == [1.0, 2.0, 4.0, 1.5]
    assert soup.chosen == (True, True, False, True)
    assert soup.accuracies == (0.8, 0.8, 0.7, 0.9)
    np.testing.assert_array_equal(soup.weights[0], np.full(3, 1.5, np.float32))
    np.testing.assert_array_equal(soup.weights[1], np.full(2, 7, np.float32))


def test_equal_weights_average_to_themselves() -> None:
    one = [np.random.default_rng(0).normal(size=50).astype(np.float32)]
    soup = greedy_soup([one, one, one], [0], lambda _: 0.5)
    assert soup.chosen == (True, True, True)
    np.testing.assert_array_equal(soup.weights[0], one[0])
