"""Sinkhorn's half steps as products with a kernel that cannot vanish."""

from typing import Any, NamedTuple

from keras import ops

from keras_otreg.ot.numerics import (
    LARGEST_EXPONENT,
    column,
    inner,
    maximum,
    minimum,
    row,
    safe_log,
    smallest,
    sum_of_columns,
    sum_of_rows,
)
from keras_otreg.ot.plan import density, optimal_mass
from keras_otreg.ot.problem import TransportProblem

# One update may move a potential by this many epsilons, no further.
LARGEST_LOG_STEP = 60.0
# Columns of next to no mass may start from anywhere.
LARGEST_START = 20.0
SMALLEST_SUM = 1e-26
# Rows of zero mass follow the others, and may overflow where those do not.
LARGEST_SUM = 1e37


class Iteration(NamedTuple):
    """Result of one iteration from the scalings of the columns."""

    log_u: Any
    log_v: Any
    # L1 error of the column marginal under `log_u` and the old scalings.
    error: Any
    # Dual objective there, up to a constant, in units of `epsilon`.
    value: Any


class KernelUpdate:
    """Sinkhorn's iteration against the kernel of given potentials.

    The potentials `f` and `g` are absorbed into the kernel, of which each row
    and column then holds an entry that counts. The current potentials are
    `f + epsilon log u` and `g + epsilon log v`; `start` is the first `log v`.
    """

    def __init__(self, problem: TransportProblem, g: Any):
        self.problem = problem
        self.epsilon = column(problem.epsilon)
        log_a, log_b = safe_log(problem.a), safe_log(problem.b)
        # What the potentials tend to as epsilon falls, on the points of mass.
        self.f = smallest(problem.C - row(g + self.epsilon * log_b), axis=-1)
        rows = column(self.f + self.epsilon * log_a)
        self.g = smallest(problem.C - rows, axis=-2)
        start = (g - self.g) / self.epsilon
        self.start = minimum(start, LARGEST_START)
        self.kernel = density(problem, self.f, self.g)

    def __call__(self, log_v: Any) -> Iteration:
        """Updates the rows, then the columns."""
        a, b, (rho_a, rho_b) = self.problem[1:3] + self.problem[4:]
        v = ops.exp(log_v)
        sums = sum_of_columns(self.kernel, b * v)
        log_u = self._scaling(sums, self.f, rho_a)
        if rho_a is not None and rho_b is not None:
            potentials = self.potentials(log_u, log_v)
            constant = translation(self.problem, *potentials)
            log_u = log_u + _bounded(column(constant) / self.epsilon)
        u = ops.exp(log_u)
        sums = minimum(sum_of_rows(a * u, self.kernel), LARGEST_SUM)
        columns = b * v * sums
        optimal = optimal_mass(b, self.g + self.epsilon * log_v, rho_b)
        value = self._dual(a, log_u, self.f, rho_a)
        value = value + self._dual(b, log_v, self.g, rho_b)
        return Iteration(
            log_u,
            self._scaling(sums, self.g, rho_b),
            error=ops.sum(ops.abs(columns - optimal), axis=-1),
            value=value - inner(b * v, sums),
        )

    def potentials(self, log_u: Any, log_v: Any) -> tuple[Any, Any]:
        """The potentials of some scalings."""
        return self.f + self.epsilon * log_u, self.g + self.epsilon * log_v

    def _scaling(self, sums, potential, rho):
        """The log scaling of a side under which its marginal is optimal."""
        log_sums = ops.log(ops.clip(sums, SMALLEST_SUM, LARGEST_SUM))
        if rho is None:
            return -log_sums
        pull = potential / (self.epsilon + column(rho))
        return _bounded(-damping(self.epsilon, rho) * log_sums - pull)

    def _dual(self, weights, log_scaling, potential, rho):
        """The part of a side in the dual objective, in units of epsilon."""
        if rho is not None:
            moved = conjugate(potential + self.epsilon * log_scaling, rho)
            log_scaling = moved / self.epsilon
        return inner(weights, log_scaling)


def _bounded(log_scaling):
    return ops.clip(log_scaling, -LARGEST_LOG_STEP, LARGEST_LOG_STEP)


def damping(epsilon: Any, rho: Any) -> Any:
    """Factor of a potential where marginals may be violated; 1 if not."""
    return 1.0 if rho is None else 1.0 / (1.0 + epsilon / column(rho))


def conjugate(potential: Any, rho: Any) -> Any:
    """Contribution of a unit of mass to the dual at a potential."""
    if rho is None:
        return potential
    rho = column(rho)
    # Of a point without mass it may be huge, but 0 times it must stay 0.
    largest = LARGEST_EXPONENT - ops.log(maximum(rho, 1.0))
    # 1 - exp would cancel where rho is large.
    return -rho * ops.expm1(minimum(-potential / rho, largest))


def translation(problem: TransportProblem, f: Any, g: Any) -> Any:
    """Best constant to move from `g` to `f`; zero if a side is exact.

    The plan does not change with it, the mass does. Without this step the
    total mass of a relaxed plan converges at the slow rate `epsilon / rho`.

    References:
        Séjourné, Vialard and Peyré, "Faster unbalanced optimal transport:
        translation invariant Sinkhorn and 1-D Frank-Wolfe" (2022).
    """
    rho_a, rho_b = problem.rho
    if rho_a is None or rho_b is None:
        return ops.zeros_like(f[..., 0])
    log_a, log_b = safe_log(problem.a), safe_log(problem.b)
    rows = ops.logsumexp(log_a - f / column(rho_a), axis=-1)
    columns = ops.logsumexp(log_b - g / column(rho_b), axis=-1)
    return (rows - columns) * rho_a * rho_b / (rho_a + rho_b)
