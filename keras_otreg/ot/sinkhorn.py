"""Sinkhorn's algorithm, by matrix products that cannot underflow."""

import dataclasses
from typing import Any, NamedTuple

from keras import ops

from keras_otreg import checks
from keras_otreg.ot.kernel import KernelUpdate
from keras_otreg.ot.numerics import frozen
from keras_otreg.ot.plan import marginal_error
from keras_otreg.ot.problem import TransportProblem, prepared
from keras_otreg.ot.solution import TransportSolution, initial_potentials
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
        f, g, _ = c_transforms(
            problem, initial_potentials(problem, init)[1], problem.epsilon
        )
        unknown = ops.full_like(f[..., 0], float("inf"))
        state = _State(
            f, g, ops.ones_like(unknown, "int32"), unknown, unknown, unknown
        )
        state = _State(
            *ops.while_loop(
                lambda *state: self._goes_on(_State(*state)),
                lambda *state: self._absorb(problem, _State(*state)),
                tuple(state),
                maximum_iterations=self.max_iterations,
            )
        )
        return frozen(TransportSolution(*state[:3], state.error))

    def _short_of(self, num_iterations, error):
        # A NaN counts as converged: there is nothing left to gain.
        return ops.logical_and(
            error > self.tolerance, num_iterations < self.max_iterations
        )

    def _goes_on(self, state):
        # Once the loop has converged, what is left is the rounding of the
        # potentials, unless the error still falls.
        worth_it = ops.logical_or(
            state.loop_error > self.tolerance,
            state.error < 0.5 * state.previous_error,
        )
        short = self._short_of(state.num_iterations, state.error)
        return ops.any(ops.logical_and(short, worth_it))

    def _absorb(self, problem, state):
        """Iterates on one kernel until converged, or due for absorption."""
        update = KernelUpdate(problem, state.f, state.g)

        def goes_on(u, v, sums, num_iterations, error):
            within = ops.maximum(ops.max(u), ops.max(v)) < LARGEST_SCALING
            short = ops.any(self._short_of(num_iterations, error))
            return ops.logical_and(within, short)

        def body(u, v, sums, num_iterations, error):
            more = ops.cast(error > self.tolerance, "int32")
            u, v, sums = update(u, v, sums)
            return u, v, sums, num_iterations + more, update.error(u, sums)

        u, v = ops.ones_like(state.f), ops.ones_like(state.g)
        sums = update.row_sums(v)
        is_first = ops.isinf(state.error)
        error = ops.where(is_first, update.error(u, sums), float("inf"))
        u, v, _, num_iterations, error = ops.while_loop(
            goes_on,
            body,
            (u, v, sums, state.num_iterations, error),
            maximum_iterations=self.max_iterations,
        )
        f, g = update.absorbed(u, v)
        honest = marginal_error(problem, f, g)
        return tuple(_State(f, g, num_iterations, honest, state.error, error))


class _State(NamedTuple):
    """What the loop over absorptions carries.

    `loop_error` is what the loop on the last kernel made of its error,
    `error` and `previous_error` are those of the absorbed potentials.
    """

    f: Any
    g: Any
    num_iterations: Any
    error: Any
    previous_error: Any
    loop_error: Any
