"""Sinkhorn's half steps as products with a kernel that cannot vanish."""

from typing import Any

from keras import ops

from keras_otreg.ot.numerics import column, row
from keras_otreg.ot.plan import density, optimal_mass
from keras_otreg.ot.problem import TransportProblem
from keras_otreg.ot.updates import damping, translation

# One update may move a potential by this many epsilons, no further.
LARGEST_LOG_STEP = 60.0
SMALLEST_SUM = 1e-26
# Rows of zero mass follow the others, and may overflow where those do not.
LARGEST_SUM = 1e37


class KernelUpdate:
    """One Sinkhorn iteration against the kernel of given potentials.

    The potentials `f` and `g` are absorbed into the kernel; `u` and `v` scale
    its rows and columns, so that the current potentials are
    `f + epsilon log u` and `g + epsilon log v`.
    """

    def __init__(self, problem: TransportProblem, f: Any, g: Any):
        self.problem = problem
        self.f, self.g = f, g
        self.epsilon = column(problem.epsilon)
        self.kernel = density(problem, f, g)

    def __call__(self, u: Any, v: Any, sums: Any) -> tuple[Any, Any, Any]:
        """Updates `u`, then `v`, then the row sums under that `v`."""
        rho_a, rho_b = self.problem.rho
        if rho_a is not None and rho_b is not None:
            moved = self._translation(u, v)
            v, sums = v * moved, sums * moved
        u = self._scaling(sums, self.f, rho_a)
        v = self._scaling(self.column_sums(u), self.g, rho_b)
        return u, v, self.row_sums(v)

    def row_sums(self, v: Any) -> Any:
        """The kernel applied to the weighted columns."""
        sums = ops.matmul(self.kernel, column(self.problem.b * v))[..., 0]
        return ops.minimum(sums, LARGEST_SUM)

    def column_sums(self, u: Any) -> Any:
        """The transposed kernel applied to the weighted rows."""
        sums = ops.matmul(row(self.problem.a * u), self.kernel)[..., 0, :]
        return ops.minimum(sums, LARGEST_SUM)

    def error(self, u: Any, sums: Any) -> Any:
        """L1 error of the row marginal; the columns were just mended.

        Where a scaling was cut short they were not: what counts in the end is
        `marginal_error` of the potentials.
        """
        a, (rho_a, _) = self.problem.a, self.problem.rho
        f = self.f + self.epsilon * ops.log(u)
        optimal = optimal_mass(a, f, rho_a)
        return ops.sum(ops.abs(a * u * sums - optimal), axis=-1)

    def absorbed(self, u: Any, v: Any) -> tuple[Any, Any]:
        """The current potentials."""
        return (
            self.f + self.epsilon * ops.log(u),
            self.g + self.epsilon * ops.log(v),
        )

    def _scaling(self, sums, potential, rho):
        sums = ops.maximum(sums, SMALLEST_SUM)
        if rho is None:
            return 1.0 / sums
        pull = potential / (self.epsilon + column(rho))
        return _bounded(-damping(self.epsilon, rho) * ops.log(sums) - pull)

    def _translation(self, u, v):
        f, g = self.absorbed(u, v)
        constant = translation(self.problem, f, g)
        return _bounded(-column(constant) / self.epsilon)


def _bounded(log_scaling):
    return ops.exp(ops.clip(log_scaling, -LARGEST_LOG_STEP, LARGEST_LOG_STEP))
