"""A weight counts a sample in the distances between neurons."""

import numpy as np
import pytest
from keras import ops

from keras_otreg import losses
from keras_otreg.ot import costs

WEIGHTS = np.array([2.0, 0.0, 1.0, 3.0, 0.0, 1.0, 1.0])


def absolute(x, y):
    difference = ops.expand_dims(x, -2) - ops.expand_dims(y, -3)
    return ops.sum(ops.abs(difference), axis=-1)


def mean_absolute(x, y):
    return absolute(x, y) / x.shape[-1]


def silence(x, y, weights):
    return costs.cosine(ops.tanh(x), ops.tanh(y), weights)


EVERY = {**costs.COSTS, "sum": absolute, "mean": mean_absolute, "own": silence}


@pytest.mark.repeats
@pytest.mark.parametrize("cost", EVERY.values(), ids=EVERY)
def test_weights_and_batch_size_are_those_of_repeated_samples(
    smooth, pair, cost
):
    maps = pair(4, 6, inner=(2, 3))
    loss = smooth(cost, spatial="keep", plan="uniform")
    repeated = [np.repeat(x, WEIGHTS.astype(int), axis=0) for x in maps]
    twice = [np.concatenate([x, x]) for x in maps]
    value, weighted = loss(*maps), loss(*maps, WEIGHTS)
    np.testing.assert_allclose(weighted, loss(*repeated), rtol=1e-6)
    np.testing.assert_allclose(loss(*maps, 7.0 * WEIGHTS), weighted, rtol=1e-6)
    np.testing.assert_allclose(loss(*twice), value, rtol=1e-6)
    np.testing.assert_allclose(loss(*maps, 3.0), value, rtol=1e-6)


@pytest.mark.slow
def test_the_plan_is_that_of_repeated_samples(smooth, pair):
    maps, loss = pair(4, 6), smooth()
    repeated = [np.repeat(x, WEIGHTS.astype(int), axis=0) for x in maps]
    np.testing.assert_allclose(loss(*maps, WEIGHTS), loss(*repeated), rtol=1e-6)


@pytest.mark.slow
def test_a_sample_of_weight_zero_gets_no_gradient(pair, value_and_gradient):
    teacher, student = pair(5, 6)
    loss = losses.RepresentationTransport(epsilon=0.3)
    run = value_and_gradient(
        lambda teacher, student: loss(teacher, student, WEIGHTS)
    )
    _, gradient = run(teacher, student)
    moves = np.abs(gradient).max(axis=1) > 0.0
    np.testing.assert_array_equal(moves, WEIGHTS > 0)
