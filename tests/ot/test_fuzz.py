"""Whatever is finite goes in, nothing but finite numbers come out.

The problems have any shape, in one graph: 1,700 of them here, and as many in
`tests/losses/test_fuzz.py` as make it 2,400.
"""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from keras_otreg.ot import (
    ProximalPoint,
    Sinkhorn,
    TransportProblem,
    barycentric_map,
    costs,
    plan_entropy,
    regularized_cost,
    sinkhorn_divergence,
    transport_cost,
    transport_plan,
)
from keras_otreg.ot.plan import mean_cost

SOLVERS = {
    "sinkhorn": (Sinkhorn(jit_compile=False), None),
    "few iterations": (
        Sinkhorn(20, accelerated=False, jit_compile=False),
        None,
    ),
    "proximal point": (ProximalPoint(), None),
    "relaxed": (Sinkhorn(jit_compile=False), 1.0),
}
KINDS = ("any", "ties", "zero", "equal", "outlier", "skewed")


@st.composite
def problems(draw):
    """Costs, weights with zeros, and an epsilon over six decades."""
    n, m = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    C = rng.uniform(size=(n, m))
    kind = draw(st.sampled_from(KINDS))
    if kind == "ties":
        C = np.round(2.0 * C)
    elif kind == "zero":
        C = 0.0 * C
    elif kind == "equal":
        C = np.ones_like(C)
    elif kind == "outlier":
        C[0, 0] = 10.0 ** draw(st.integers(0, 8))
    elif kind == "skewed":
        C = C**8
    C = C * 10.0 ** draw(st.integers(-12, 12))
    epsilon = (C.mean() or 1.0) * 10.0 ** draw(st.floats(-3.0, 3.0))
    return C, draw(weights(n)), draw(weights(m)), epsilon


@st.composite
def weights(draw, n):
    """Weights of sum one, some of them zero or next to it."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    w = rng.uniform(0.1, 1.0, n) ** draw(st.sampled_from([0, 1, 8]))
    w[: draw(st.integers(0, n - 1))] = 0.0
    return rng.permutation(w / w.sum())


def graph(function, dtype, *ranks):
    """One graph of a function of tensors of any shape."""
    signature = [tf.TensorSpec([None] * rank, dtype) for rank in ranks]
    made = tf.function(function, input_signature=signature, autograph=False)
    return lambda *arrays: {
        name: value.numpy()
        for name, value in made(*(np.asarray(x, dtype) for x in arrays)).items()
    }


def all_of(solver, rho):
    """Everything that `ot` says about a problem."""

    def found(C, a, b, epsilon):
        with tf.GradientTape() as tape:
            tape.watch((C, a, b))
            relaxed = None if rho is None else rho * epsilon
            problem = TransportProblem(C, a, b, epsilon, relaxed)
            solution = solver(problem)
            value = regularized_cost(problem, solution)
            cost = transport_cost(problem, solution)
            total = value + cost
        slopes = tape.gradient(total, (C, a, b))
        points = ops.ones((ops.shape(C)[1], 2), C.dtype)
        return {
            **dict(zip(("dC", "da", "db"), slopes, strict=True)),
            "f": solution.f,
            "g": solution.g,
            "error": solution.marginal_error,
            "plan": transport_plan(problem, solution),
            "value": value,
            "cost": cost,
            "entropy": plan_entropy(problem, solution),
            "image": barycentric_map(problem, solution, points),
        }

    return found


@pytest.mark.tensorflow
@pytest.mark.release
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SOLVERS)
def test_a_solution_is_finite_and_its_marginals_are_as_reported(name, dtype):
    solver, rho = SOLVERS[name]
    solve = graph(all_of(solver, rho), dtype, 2, 1, 1, 0)
    tiny = 1e-6 if dtype == "float32" else 1e-14

    @settings(max_examples=150, deadline=None, derandomize=True)
    @given(problems())
    def check(problem):
        found = solve(*problem)
        _, a, b, _ = problem
        if rho is not None:
            # Mass where nothing can serve it costs more than float32 holds.
            found["da"], found["db"] = found["da"][a > 0], found["db"][b > 0]
        for key, value in found.items():
            assert np.isfinite(value).all(), key
        P = found["plan"]
        assert (P >= 0.0).all()
        assert 0.0 <= found["entropy"] <= 1.0
        assert found["cost"] >= 0.0
        if rho is None:
            error = np.abs(P.sum(1) - a).sum() + np.abs(P.sum(0) - b).sum()
            np.testing.assert_allclose(found["error"], error, atol=tiny)

    check()


@pytest.mark.release
@pytest.mark.tensorflow
def test_a_row_without_mass_has_the_potential_of_a_little_mass():
    # The iteration ends as soon as the one row that has mass is right.
    C = np.array([[86.0, 9.4, 19.0, 7.7], [75.0, 83.0, 33.0, 72.0]])
    a, b, epsilon = np.array([0.0, 1.0]), np.array([0.4, 0.2, 0.1, 0.3]), 0.12
    solver = Sinkhorn(jit_compile=False)
    found = graph(all_of(solver, None), "float64", 2, 1, 1, 0)(C, a, b, epsilon)
    shares = b * np.exp((found["f"][:, None] + found["g"] - C) / epsilon)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=1e-3)
    # That is what the gradient in its weight is made of.
    np.testing.assert_allclose(found["da"], found["f"], rtol=1e-3)


@st.composite
def clouds(draw):
    """Two clouds with weights, and a relative epsilon."""
    n, m, d = (draw(st.integers(1, 7)) for _ in range(3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d))
    kind = draw(st.sampled_from(["any", "ties", "same", "point", "far"]))
    if kind == "ties":
        x, y = np.round(x), np.round(y)
    elif kind == "same":
        y = x.copy()
    elif kind == "point":
        x = 0.0 * x
    elif kind == "far":
        y = y + 1e3
    scale = 10.0 ** draw(st.integers(-12, 12))
    a, b = draw(weights(len(x))), draw(weights(len(y)))
    return x * scale, y * scale, a, b, 10.0 ** draw(st.floats(-3.0, 3.0))


@pytest.mark.tensorflow
@pytest.mark.release
@pytest.mark.parametrize("name", costs.COSTS)
def test_a_divergence_is_finite_and_not_negative(name):
    cost, solver = costs.get(name), Sinkhorn(jit_compile=False)

    def found(x, y, a, b, relative):
        with tf.GradientTape() as tape:
            tape.watch((x, y))
            scale = mean_cost(cost(x, y), a, b)
            epsilon = relative * ops.where(scale > 0.0, scale, 1.0)
            value = sinkhorn_divergence(x, y, cost, epsilon, solver, a=a, b=b)
        slopes = tape.gradient(value, (x, y))
        unit = scale + epsilon
        return {"value": value, "dx": slopes[0], "dy": slopes[1], "unit": unit}

    diverge = graph(found, "float32", 2, 2, 1, 1, 0)

    @settings(max_examples=100, deadline=None, derandomize=True)
    @given(clouds())
    def check(clouds):
        found = diverge(*clouds)
        for key, value in found.items():
            assert np.isfinite(value).all(), key
        assert found["value"] >= -1e-6 * found["unit"]

    check()
