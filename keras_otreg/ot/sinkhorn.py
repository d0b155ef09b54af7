"""Sinkhorn's algorithm, by matrix products that cannot underflow."""

import dataclasses
from typing import Any

from keras import ops

from keras_otreg import checks
from keras_otreg.ot.kernel import KernelUpdate
from keras_otreg.ot.numerics import frozen
from keras_otreg.ot.plan import marginal_error
from keras_otreg.ot.problem import TransportProblem, prepared
from keras_otreg.ot.solution import TransportSolution
from keras_otreg.ot.updates import c_transforms
from keras_otreg.saving import Configurable, export

# Scalings above this, exp(30), are absorbed: entries of the kernel that
# underflow, below exp(-87), then still count for less than exp(-27) of a row.
LARGEST_SCALING = 1e13


@export
@dataclasses.dataclass(frozen=True)
class Sinkhorn(Configurable):
    """Alternating projections onto the two marginals.

    An iteration is two products of the kernel `exp((f + g - C) / epsilon)`
    with a vector of scalings. The potentials are absorbed into the kernel at
    the start, after one iteration in the log domain, and again whenever a
    scaling grows large. Each row and column of it therefore holds an entry of
    the size of a weight, and none can vanish, whatever `epsilon` is. No
    gradient passes through the loop: take gradients of the objectives.

    Args:
        max_iterations: Iterations after which the solver gives up.
        tolerance: L1 error of the marginals at which it stops.

    Example:
        ```python
        solution = Sinkhorn(tolerance=1e-4)(problem)
        again = Sinkhorn(tolerance=1e-4)(similar_problem, init=solution)
        ```

    References:
        Cuturi, "Sinkhorn distances" (2013). Schmitzer, "Stabilized sparse
        scaling algorithms for entropy regularized transport problems" (2019).
    """

    max_iterations: int = 200
    tolerance: float = 1e-3

    def __post_init__(self):
        checks.count(self.max_iterations, "max_iterations")
        checks.non_negative(self.tolerance, "tolerance")

    def __call__(
        self, problem: TransportProblem, init: Any = None
    ) -> TransportSolution:
        """Solves a problem.

        Args:
            problem: A `TransportProblem`.
            init: Potentials to start from: a `TransportSolution`, or a pair
                of shapes `(..., n)` and `(..., m)`.

        Returns:
            A `TransportSolution`.
        """
        problem = frozen(prepared(problem))
        g = ops.zeros_like(problem.C[..., 0, :]) if init is None else init[1]
        f, g = c_transforms(problem, frozen(g), problem.epsilon)
        num_iterations = ops.ones_like(f[..., 0], dtype="int32")
        error = ops.full_like(f[..., 0], float("inf"))
        f, g, num_iterations, _ = ops.while_loop(
            lambda f, g, num_iterations, error: self._goes_on(
                num_iterations, error
            ),
            lambda f, g, num_iterations, error: self._iterate(
                problem, f, g, num_iterations
            ),
            (f, g, num_iterations, error),
            maximum_iterations=self.max_iterations,
        )
        error = marginal_error(problem, f, g)
        return frozen(TransportSolution(f, g, num_iterations, error))

    def _goes_on(self, num_iterations, error):
        # A NaN counts as converged: there is nothing left to gain.
        return ops.any(
            ops.logical_and(
                error > self.tolerance, num_iterations < self.max_iterations
            )
        )

    def _iterate(self, problem, f, g, num_iterations):
        """Iterates on one kernel until converged, or due for absorption."""
        update = KernelUpdate(problem, f, g)

        def goes_on(u, v, sums, num_iterations, error):
            within = ops.maximum(ops.max(u), ops.max(v)) < LARGEST_SCALING
            return ops.logical_and(within, self._goes_on(num_iterations, error))

        def body(u, v, sums, num_iterations, error):
            more = ops.cast(error > self.tolerance, "int32")
            u, v, sums = update(u, v, sums)
            return u, v, sums, num_iterations + more, update.error(u, sums)

        u, v = ops.ones_like(f), ops.ones_like(g)
        sums = update.row_sums(v)
        u, v, _, num_iterations, error = ops.while_loop(
            goes_on,
            body,
            (u, v, sums, num_iterations, update.error(u, sums)),
            maximum_iterations=self.max_iterations,
        )
        return *update.absorbed(u, v), num_iterations, error
