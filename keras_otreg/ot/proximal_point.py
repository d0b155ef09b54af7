"""The inexact proximal point method for optimal transport (IPOT)."""

import dataclasses
from typing import Any

from keras import ops

from keras_otreg import checks
from keras_otreg.ot.kernel import damping, translation
from keras_otreg.ot.numerics import (
    bounded_exp,
    column,
    frozen,
    maximum,
    minimum,
    row,
    safe_log,
    softmin,
)
from keras_otreg.ot.plan import marginal_error, optimal_mass
from keras_otreg.ot.problem import (
    TransportProblem,
    TransportSolution,
    initial_potentials,
    prepared,
)
from keras_otreg.saving import Configurable, export


@export
@dataclasses.dataclass(frozen=True, repr=False)
class ProximalPoint(Configurable):
    """Approaches the plan of a small `epsilon` by steps of a larger one.

    Each step minimises `<P, C> + step KL(P | previous P)`. Its `k`-th plan is
    the entropic plan of strength `step / k`, until that reaches the problem's
    own `epsilon`; from there on it converges to the same plan as `Sinkhorn`.
    All of it is in the log domain.

    Args:
        step: Strength of the first step, in the units of the cost. If
            `max_iterations` steps of it cannot reach `epsilon`, it is
            shortened so that they do.
        max_iterations: Proximal steps after which the solver gives up.
        inner_iterations: Sinkhorn iterations in each step.
        tolerance: L1 error of the marginals at which it stops.

    Example:
        ```python
        problem = TransportProblem(C, a, b, epsilon=0.005 * ops.mean(C))
        solution = ProximalPoint(step=0.3)(problem)
        ```

    References:
        Xie, Wang, Wang and Zha, "A fast proximal point method for computing
        exact Wasserstein distance" (2018), arXiv 1802.04307.
    """

    step: float = 0.3
    max_iterations: int = 100
    inner_iterations: int = 1
    tolerance: float = 1e-3

    def __post_init__(self):
        checks.positive(self.step, "step")
        checks.count(self.max_iterations, "max_iterations")
        checks.count(self.inner_iterations, "inner_iterations")
        checks.non_negative(self.tolerance, "tolerance")

    def __call__(
        self, problem: TransportProblem, init: Any = None
    ) -> TransportSolution:
        """Solve a problem; see `Sinkhorn.__call__`."""
        problem = frozen(prepared(problem))
        f, g = initial_potentials(problem, init)
        # Potentials that are given belong to the end of the walk.
        step = self.step if init is None else problem.epsilon

        def goes_on(f, g, num_iterations, error):
            return ops.any(
                ops.logical_and(
                    error > self.tolerance,
                    num_iterations < self.max_iterations,
                )
            )

        def body(f, g, num_iterations, error):
            more = ops.cast(error > self.tolerance, "int32")
            # Problems of a batch that are done go on with the others.
            k = ops.cast(ops.max(num_iterations) + 1, f.dtype)
            f, g, error = self._step(problem, f, g, step / k)
            return f, g, num_iterations + more, error

        num_iterations = ops.zeros_like(f[..., 0], dtype="int32")
        error = ops.full_like(f[..., 0], float("inf"))
        f, g, num_iterations, _ = ops.while_loop(
            goes_on,
            body,
            (f, g, num_iterations, error),
            maximum_iterations=self.max_iterations,
        )
        error = marginal_error(problem, f, g)
        return frozen(TransportSolution(f, g, num_iterations, error))

    def _step(self, problem, f, g, epsilon):
        """One proximal step, and the error that its last iteration met."""
        longest = problem.epsilon * self.max_iterations / self.step
        epsilon = maximum(epsilon * minimum(longest, 1.0), problem.epsilon)

        def iterate(_, potentials):
            f, g, _, _ = potentials
            return *_c_transforms(problem, g, epsilon), f

        f, g, exact, previous = ops.fori_loop(
            0, self.inner_iterations, iterate, (f, g, f, f)
        )
        rows = problem.a * bounded_exp((previous - exact) / column(epsilon))
        optimal = optimal_mass(problem.a, previous, problem.rho[0])
        error = ops.sum(ops.abs(rows - optimal), axis=-1)
        arrived = epsilon <= problem.epsilon
        return f, g, ops.where(arrived, error, float("inf"))


def _c_transforms(problem, g, epsilon):
    """The next `f` and `g`, and the `f` of exact rows under the old `g`."""
    rho_a, rho_b = problem.rho
    to_rows = problem.C - row(g)
    exact = softmin(epsilon, to_rows, row(safe_log(problem.b)), axis=-1)
    f = damping(column(epsilon), rho_a) * exact
    f = f + column(translation(problem, f, g))
    to_columns = problem.C - column(f)
    g = softmin(epsilon, to_columns, column(safe_log(problem.a)), axis=-2)
    return f, damping(column(epsilon), rho_b) * g, exact
