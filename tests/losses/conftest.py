import functools

import keras
import numpy as np
import pytest
from keras import ops

from keras_otreg import losses, ot

TIGHT = ot.Sinkhorn(max_iterations=20_000, tolerance=1e-8)


@pytest.fixture(scope="session")
def compiled(one_graph):
    """Makes one graph of a function, because eager loops are slow."""

    def make(function, **kwargs):
        graph = one_graph(lambda *args: function(*args), **kwargs)
        return lambda *args: keras.tree.map_structure(np.asarray, graph(*args))

    return make


@pytest.fixture(scope="session")
def smooth():
    """A transport loss in float64 that is quick to solve without a graph."""

    def make(cost="euclidean", epsilon=0.3, **kwargs):
        return losses.RepresentationTransport(
            cost, epsilon, solver=TIGHT, dtype="float64", **kwargs
        )

    return make


@pytest.fixture(scope="session")
def exact(smooth, compiled):
    """A transport loss that is nearly unregularised, as one graph."""

    @functools.cache
    def make(cost="euclidean", epsilon=0.005, **kwargs):
        return compiled(smooth(cost, epsilon, **kwargs))

    return make


@pytest.fixture
def divergence():
    """A Sinkhorn divergence to full precision, in float64."""

    def make(cost="squared_euclidean", epsilon=1.0, **kwargs):
        return losses.SinkhornDivergence(
            cost, epsilon, solver=TIGHT, dtype="float64", **kwargs
        )

    return make


@pytest.fixture
def value_and_gradient(value_and_gradients):
    """The value of a loss, and its gradient in the student's features."""

    def make(loss, factor=1.0):
        def run(teacher, student):
            teacher = ops.convert_to_tensor(teacher)
            value, (gradient,) = value_and_gradients(
                lambda student: factor * loss(teacher, student)
            )(student)
            return value, gradient

        return run

    return make


@pytest.fixture
def pair(rng):
    """Teacher and student features of seven samples."""

    def make(teacher=5, student=None, inner=(), samples=7):
        return [
            rng.normal(size=(samples, *inner, width))
            for width in (teacher, student or teacher)
        ]

    return make
