"""Problems, solvers and compiled calls shared by the tests of `ot`."""

import functools

import numpy as np
import pytest
from keras import ops
from scipy.optimize import linprog
from scipy.special import rel_entr

from keras_otreg.ot import ProximalPoint, Sinkhorn, TransportProblem

TIGHT = {
    "sinkhorn": Sinkhorn(5000, tolerance=1e-11, jit_compile=False),
    "proximal_point": ProximalPoint(
        step=1.0, max_iterations=5000, tolerance=1e-11
    ),
}
RHOS = {
    "balanced": None,
    "relaxed": 0.5,
    "rows_exact": (None, 0.5),
    "columns_exact": (0.5, None),
}


def some_slow(values, quick):
    """Parameters of which all but a few are slow tests."""
    return [
        pytest.param(
            value, id=str(name), marks=() if name in quick else pytest.mark.slow
        )
        for name, value in values.items()
    ]


@pytest.fixture(params=some_slow(TIGHT, ["sinkhorn"]))
def solver(request):
    """Each solver, with a tolerance for oracles in float64."""
    return request.param


@pytest.fixture
def tight_sinkhorn():
    return TIGHT["sinkhorn"]


@pytest.fixture(params=some_slow(RHOS, ["balanced", "relaxed"]))
def rho(request):
    return request.param


@pytest.fixture
def make_problem(rng):
    """Makes random problems whose mean cost is one."""

    def make(n=6, m=8, *, epsilon=0.1, rho=None, zeros=0, batch=()):
        x = rng.normal(size=(*batch, n, 1, 2))
        y = rng.normal(size=(*batch, 1, m, 2))
        C = np.sum((x - y) ** 2, axis=-1)
        C = C / C.mean(axis=(-2, -1), keepdims=True)
        a, b = (
            rng.uniform(0.5, 1.5, (*batch, n)),
            rng.uniform(0.5, 1.5, (*batch, m)),
        )
        a[..., :zeros], b[..., :zeros] = 0.0, 0.0
        a = a / a.sum(axis=-1, keepdims=True)
        b = b / b.sum(axis=-1, keepdims=True)
        return TransportProblem(C, a, b, epsilon, rho)

    return make


@pytest.fixture(scope="session")
def as_tensors():
    """Turns a problem of NumPy arrays into tensors of the cost's dtype."""

    def as_tensor(value, dtype):
        if value is None or ops.is_tensor(value):
            return value
        return ops.convert_to_tensor(np.asarray(value, dtype))

    def convert(problem):
        dtype, rho = problem.C.dtype, problem.rho
        if isinstance(rho, tuple):
            rho = tuple(as_tensor(side, dtype) for side in rho)
        else:
            rho = as_tensor(rho, dtype)
        return TransportProblem(
            *(as_tensor(value, dtype) for value in problem[:4]), rho
        )

    return convert


@pytest.fixture(scope="session")
def solve(as_tensors, one_graph):
    """Calls a solver, compiled once for all tests of the session."""

    @functools.cache
    def compiled(solver, ranks):
        del ranks  # One graph for each would be traced again for the other.
        return one_graph(solver.__call__, reduce_retracing=True)

    def call(solver, problem, init=None):
        problem = as_tensors(problem)
        ranks = tuple(ops.ndim(x) for x in problem[:4])
        return compiled(solver, ranks)(problem, init)

    return call


@pytest.fixture
def with_gradients(one_graph, value_and_gradients):
    """Compiles a function to return its value and all its gradients."""

    def compiled(function, **options):
        graph = one_graph(value_and_gradients(function), **options)
        return lambda *arguments: graph(
            *(ops.convert_to_tensor(argument) for argument in arguments)
        )

    return compiled


@pytest.fixture
def assert_slope(with_gradients):
    """Compares gradients with central differences along directions."""

    def check(function, arguments, directions, h=1e-5):
        compiled = with_gradients(function)
        _, gradients = compiled(*arguments)
        for k, direction in enumerate(directions):
            before, after = list(arguments), list(arguments)
            before[k] = before[k] - h * direction
            after[k] = after[k] + h * direction
            rise = compiled(*after)[0] - compiled(*before)[0]
            slope = np.sum(gradients[k] * direction)
            np.testing.assert_allclose(
                slope, rise / (2 * h), rtol=1e-5, atol=1e-8
            )

    return check


@pytest.fixture
def primal():
    """The textbook objective of a plan, in NumPy."""

    def divergence(p, q):
        return np.sum(rel_entr(p, q)) - np.sum(p) + np.sum(q)

    def value(problem, P):
        P, rho = np.asarray(P), problem.rho
        rho_a, rho_b = rho if isinstance(rho, tuple) else (rho, rho)
        reference = np.outer(problem.a, problem.b)
        total = np.sum(P * problem.C)
        total += problem.epsilon * divergence(P, reference)
        if rho_a is not None:
            total += rho_a * divergence(P.sum(1), problem.a)
        if rho_b is not None:
            total += rho_b * divergence(P.sum(0), problem.b)
        return total

    return value


@pytest.fixture
def exact_cost():
    """Unregularised transport, as a linear program."""

    def cost(problem):
        n, m = problem.C.shape
        rows = np.kron(np.eye(n), np.ones(m))
        columns = np.kron(np.ones(n), np.eye(m))
        program = linprog(
            problem.C.ravel(),
            A_eq=np.vstack([rows, columns]),
            b_eq=np.concatenate([problem.a, problem.b]),
        )
        return program.fun

    return cost
