"""A batch that is solved in chunks."""

import numpy as np
import pytest
from keras import ops
from numpy.testing import assert_allclose, assert_array_equal

from keras_otreg import engine
from keras_otreg.ot import Sinkhorn, solvers
from keras_otreg.ot.plan import prepared


@pytest.fixture
def small(monkeypatch):
    """Chunks of at most two problems of 6 x 8 in float64."""
    monkeypatch.setattr(solvers, "CHUNK_BYTES", 2 * 6 * 8 * 8)


@pytest.fixture
def sizes():
    """The sizes of the chunks that `recording` was given."""
    return []


@pytest.fixture
def recording(sizes):
    """A solver that returns what tells which problem is which."""

    def solve(problem, g):
        sizes.append(tuple(g.shape[:-1]))
        strength = problem.epsilon + ops.zeros_like(g[..., 0])
        price = 0.0 if problem.rho[1] is None else problem.rho[1]
        return ops.sum(problem.C, (-2, -1)) + g[..., 0], strength + price

    return solvers.chunked(solve)


def ready(make_problem, batch, **changes):
    problem = make_problem(batch=batch)._replace(**changes)
    return prepared(problem), ops.zeros((*batch, 8), "float64")


@pytest.mark.usefixtures("small")
def test_chunks_differ_by_one_problem_and_keep_their_order(
    recording, sizes, make_problem
):
    problem, g = ready(make_problem, (7,), epsilon=np.arange(1.0, 8.0))
    costs, strengths = recording(problem, g)
    assert sizes == [(2,), (2,), (2,), (1,)]
    assert_allclose(costs, ops.sum(problem.C, (1, 2)))
    assert_array_equal(strengths, np.arange(1.0, 8.0))


@pytest.mark.usefixtures("small")
def test_what_has_no_batch_axis_goes_with_every_chunk(
    recording, sizes, make_problem
):
    problem, g = ready(make_problem, (4,), rho=(None, np.arange(4.0)))
    problem = problem._replace(C=problem.C[0], a=problem.a[0])
    costs, strengths = recording(problem, g)
    assert sizes == [(2,), (2,)]
    assert_allclose(costs, np.full(4, np.sum(problem.C)))
    assert_allclose(strengths, 0.1 + np.arange(4.0))


@pytest.mark.usefixtures("small")
def test_several_batch_axes_are_split_along_the_first(
    recording, sizes, make_problem
):
    recording(*ready(make_problem, (4, 2)))
    assert sizes == [(1, 2)] * 4


@pytest.mark.parametrize("batch", [(), (1,), (3,)])
def test_what_fits_into_the_cache_is_not_split(
    recording, sizes, make_problem, batch
):
    recording(*ready(make_problem, batch))
    assert sizes == [batch]


def test_the_number_of_chunks_is_bounded(
    recording, sizes, make_problem, monkeypatch
):
    monkeypatch.setattr(solvers, "CHUNK_BYTES", 1)
    recording(*ready(make_problem, (100,)))
    assert len(sizes) == solvers.MAX_CHUNKS
    assert sum(size for (size,) in sizes) == 100


@pytest.mark.tensorflow
@pytest.mark.usefixtures("small")
def test_a_batch_of_unknown_size_is_solved_whole(
    recording, sizes, make_problem
):
    import tensorflow as tf

    problem, g = ready(make_problem, (5,))
    unknown = tf.TensorSpec((None, 8), "float64")
    tf.function(
        lambda g: recording(problem, g), input_signature=[unknown]
    ).get_concrete_function()
    assert sizes == [(None,)]


@pytest.mark.release
@pytest.mark.tensorflow
@pytest.mark.compiled
@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("rho", [None, (None, 0.5), np.geomspace(0.1, 10.0, 5)])
def test_chunks_have_the_solutions_of_the_whole(make_problem, rho):
    assert engine.runs_programs_in_parallel()
    problem = make_problem(batch=(5,), rho=rho, zeros=1)
    problem = problem._replace(epsilon=np.geomspace(0.05, 1.0, 5))
    split = Sinkhorn(2000, 1e-12)(problem)
    whole = Sinkhorn(2000, 1e-12, jit_compile=False)(problem)
    assert_allclose(split.f, whole.f, atol=1e-8)
    assert_allclose(split.g, whole.g, atol=1e-8)
    assert split.num_iterations.shape == (5,)
    assert np.all(split.marginal_error <= 1e-11)
