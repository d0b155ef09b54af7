"""The stability tricks, and what they are for: float32 at its edges."""

import functools

import keras
import numpy as np
import pytest
from keras import ops
from scipy.special import logsumexp

from keras_otreg import engine
from keras_otreg.ot import (
    ProximalPoint,
    Sinkhorn,
    TransportProblem,
    costs,
    marginals,
    numerics,
    plan_entropy,
    regularized_cost,
    transport_cost,
)

assert_allclose = np.testing.assert_allclose


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("float16", "float32"),
        ("bfloat16", "float32"),
        ("float32", "float32"),
        ("float64", "float64"),
        ("int32", "float32"),
        ("bool", "float32"),
    ],
)
def test_numbers_are_at_least_float32(given, expected):
    found = numerics.at_least_float32(ops.ones(3, given))
    assert keras.backend.standardize_dtype(found.dtype) == expected


@pytest.mark.skipif(
    keras.backend.backend() == "jax", reason="the tests run JAX in 64 bits"
)
@pytest.mark.parametrize("value", [1.5, [[1, 2.5]]])
def test_lists_and_python_numbers_are_float32(value):
    found = numerics.at_least_float32(value)
    assert keras.backend.standardize_dtype(found.dtype) == "float32"


@pytest.mark.parametrize(
    "shape",
    [(3, 4), (2, 3, 4), (0, 3), (1024, 512), (1023, 600), (2, 1024, 512)],
)
def test_rows_are_summed_up_whatever_their_number(rng, shape):
    matrix = rng.normal(size=shape)
    weights = rng.normal(size=shape[:-1])
    found = numerics.sum_of_rows(
        ops.convert_to_tensor(weights), ops.convert_to_tensor(matrix)
    )
    expected = np.einsum("...n,...nm->...m", weights, matrix)
    assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("axis", [-1, -2])
@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (5, 2), (3, 4, 7), (7, 6)])
def test_the_smallest_is_found_wherever_it_is(rng, shape, axis):
    numbers = rng.normal(size=shape)
    for _ in range(shape[axis]):
        numbers = np.roll(numbers, 1, axis)
        found = numerics.smallest(ops.convert_to_tensor(numbers), axis)
        np.testing.assert_array_equal(found, numbers.min(axis))


def test_sizes_may_be_unknown_while_a_model_is_built(rng):
    def found(x):
        sums = numerics.sum_of_rows(ops.sum(x, axis=-1), x)
        return sums + numerics.smallest(x, axis=-2)

    inputs = keras.Input((None, None))
    model = keras.Model(inputs, keras.layers.Lambda(found)(inputs))
    x = rng.normal(size=(2, 3, 4)).astype("float32")
    expected = np.einsum("kn,knm->km", x.sum(axis=-1), x) + x.min(axis=-2)
    assert_allclose(model.predict_on_batch(x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("epsilon", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("axis", [-1, -2])
def test_softmin_is_the_weighted_log_sum_exp(rng, epsilon, axis):
    values, weights = rng.normal(size=(2, 3, 4, 5))
    softmin = numerics.softmin(np.array(epsilon), values, weights, axis)
    exponents = weights - values / epsilon
    expected = -epsilon * logsumexp(exponents, axis=axis)
    assert_allclose(softmin, expected, rtol=1e-9)


def test_softmin_tends_to_the_minimum_over_points_of_mass(rng):
    values = rng.normal(size=(4, 5)).astype("float32")
    weights = ops.convert_to_tensor(np.float32([0, 0.2, 0.3, 0, 0.5]))
    log_weights = numerics.safe_log(weights)
    softmin = numerics.softmin(np.float32(1e-6), values, log_weights, -1)
    assert_allclose(softmin, values[:, [1, 2, 4]].min(axis=1), atol=1e-5)


@pytest.mark.parametrize(
    ("function", "reference"),
    [
        (numerics.safe_log, np.log),
        (numerics.safe_sqrt, np.sqrt),
        (lambda x: numerics.safe_divide(2.0 * x, x * x), lambda x: 2.0 / x),
    ],
    ids=["log", "sqrt", "divide"],
)
def test_safe_functions_differ_from_unsafe_ones_at_zero_only(
    function, reference, with_gradients
):
    x = np.float32([0.0, 1e-6, 1.0, 1e6])
    values, (gradient,) = with_gradients(function)(x)
    assert_allclose(values[1:], reference(x[1:]), rtol=1e-5)
    assert np.isfinite(values[0])
    assert gradient[0] == 0.0
    assert np.all(np.isfinite(gradient))


def test_a_bounded_exponential_times_zero_is_zero():
    x = np.float32([-200.0, 0.0, 1.0, 200.0, np.inf])
    bounded = numerics.bounded_exp(ops.convert_to_tensor(x))
    assert_allclose(bounded[:3], np.exp(x[:3]), rtol=1e-6)
    assert_allclose(0.0 * bounded, 0.0)


def test_frozen_stops_gradients_and_keeps_the_structure(with_gradients):
    def total(x):
        kept, (inner, nothing) = numerics.frozen((x, [2.0 * x, None]))
        assert nothing is None
        return ops.sum(x * kept + inner)

    x = np.float32([1.0, 2.0])
    _, (gradient,) = with_gradients(total)(x)
    assert_allclose(gradient, x)


def test_rows_and_columns_broadcast_to_matrices(rng):
    a, b = rng.normal(size=(2, 3)), rng.normal(size=(2, 4))
    product = numerics.column(a) * numerics.row(b)
    assert_allclose(product, np.einsum("kn,km->knm", a, b))


def _peaked(rng, n):
    logits = 15.0 * rng.normal(size=n)
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


def _without(weights, *indices):
    weights = weights.copy()
    weights[list(indices)] = 0.0
    return weights / weights.sum()


CASES = {
    "square": lambda rng: (1.0, 8, 8, None),
    "wide": lambda rng: (1.0, 3, 40, None),
    "tall": lambda rng: (1.0, 40, 3, None),
    "one_point": lambda rng: (1.0, 1, 1, None),
    "one_row": lambda rng: (1.0, 1, 6, None),
    "large_costs": lambda rng: (1e4, 8, 10, None),
    "small_costs": lambda rng: (1e-4, 8, 10, None),
    "all_costs_zero": lambda rng: (0.0, 8, 10, None),
    "zero_weights": lambda rng: (1.0, 8, 8, _without(np.ones(8), 0, 3, 4)),
    "all_mass_on_one": lambda rng: (1.0, 8, 8, np.eye(8)[2]),
    "peaked_weights": lambda rng: (1.0, 8, 8, _peaked(rng, 8)),
}


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def make_edge(request, rng):
    """Problems in float32; `epsilon` is relative to their mean cost."""

    def make(epsilon):
        scale, n, m, weights = request.param(rng)
        x, y = rng.normal(size=(n, 2)), rng.normal(size=(m, 2))
        x[n // 2 :] = x[: n - n // 2]  # Half of the points appear twice.
        y[: min(n, m) // 2] = x[: min(n, m) // 2]
        C = np.sum((x[:, None] - y) ** 2, axis=-1)
        a = np.full(n, 1 / n) if weights is None else weights
        b = np.full(m, 1 / m) if weights is None else weights[::-1]
        epsilon = epsilon * (scale or 1.0) * C.mean()
        values = (np.float32(x) for x in (scale * C, a, b, epsilon))
        return TransportProblem(*map(ops.convert_to_tensor, values))

    return make


@pytest.fixture(scope="module")
def everything(one_graph, value_and_gradients):
    """A solution, and all that is computed from it."""

    def compute(solver, problem):
        solution = solver(problem)
        costs = (regularized_cost, transport_cost)

        def total(*live):
            changed = TransportProblem(*live, *problem[3:])
            return sum(cost(changed, solution) for cost in costs)

        _, gradients = value_and_gradients(total)(*problem[:3])
        values = [cost(problem, solution) for cost in costs]
        entropy = plan_entropy(problem, solution)
        return solution, (*values, entropy, *gradients)

    @functools.cache
    def compiled(solver):
        return one_graph(
            functools.partial(compute, solver), reduce_retracing=True
        )

    return lambda solver, problem: compiled(solver)(problem)


@pytest.mark.repeats
@pytest.mark.slow
@pytest.mark.parametrize("epsilon", [0.1, 1e-3])
@pytest.mark.parametrize(
    "solver", [Sinkhorn(), ProximalPoint()], ids=["sinkhorn", "proximal_point"]
)
def test_in_float32_everything_is_finite_and_the_error_honest(
    make_edge, everything, solver, epsilon
):
    problem = make_edge(epsilon)
    solution, derived = everything(solver, problem)
    for value in (*solution, *derived):
        assert np.all(np.isfinite(value))
    rows, columns = marginals(problem, solution)
    error = np.sum(np.abs(rows - problem.a), dtype="float64")
    error += np.sum(np.abs(columns - problem.b), dtype="float64")
    assert_allclose(solution.marginal_error, error, rtol=1e-4, atol=1e-5)
    # Rounding of C / epsilon is all that may come on top of the tolerance.
    bound = 1e-3 + 3e-7 * np.max(problem.C) / float(problem.epsilon)
    assert (
        solution.marginal_error <= 2.0 * bound
        or solution.num_iterations == solver.max_iterations
    )


def to_eleven_bits(x):
    """As a tensor core rounds a factor."""
    bits = np.asarray(x, "float32").view("int32")
    return ((bits + (1 << 12)) & ~((1 << 13) - 1)).view("float32")


@pytest.fixture
def tensor_cores(monkeypatch):
    """An engine that rounds the factors of products."""

    def product(x, y):
        x, y = (ops.convert_to_numpy(each) for each in (x, y))
        return ops.convert_to_tensor(to_eleven_bits(x) @ to_eleven_bits(y))

    monkeypatch.setattr(engine, "matmul", product)
    monkeypatch.setattr(engine, "rounds_matmul", lambda: True)


def test_small_distances_outlive_tensor_cores(rng, tensor_cores):
    neurons = rng.normal(size=(1, 64)) + 1e-3 * rng.normal(size=(30, 64))
    x = neurons.astype("float32") + 1.0
    expected = np.sum((neurons[:, None] - neurons) ** 2, axis=-1)
    found = costs.squared_euclidean(x, x)
    assert_allclose(found, expected, atol=0.01 * expected.mean())


def test_products_outlive_tensor_cores(rng, tensor_cores):
    x, y = rng.normal(size=(2, 20, 20)).astype("float32")
    exact = x.astype("float64") @ y
    assert np.abs(engine.matmul(x, y) - exact).max() > 1e-3
    assert_allclose(numerics.matmul(x, y), exact, atol=1e-5)
    weights = np.ones(20, "float32")
    rows = numerics.sum_of_rows(ops.convert_to_tensor(weights), x)
    assert_allclose(rows, x.sum(axis=0), atol=1e-5)
    columns = numerics.sum_of_columns(ops.convert_to_tensor(x), weights)
    assert_allclose(columns, x.sum(axis=1), atol=1e-5)


@pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="others have no such argument"
)
def test_on_jax_products_ask_for_all_bits():
    import jax

    made = jax.make_jaxpr(numerics.matmul)(np.ones((2, 2)), np.ones((2, 2)))
    assert "HIGHEST" in str(made)
