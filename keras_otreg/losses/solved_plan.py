"""The plan of a loss, and how well it is solved."""

from typing import Any, NamedTuple

from keras_otreg.ot import TransportProblem, transport_plan

NEURONS, SAMPLES, CLASSES = "neuron", "sample", "class"


class SolvedPlan(NamedTuple):
    """Transport plan of a loss on one batch, and how well it is solved.

    Attributes:
        P: A plan of shape `(n, m)`, or one for each sample, of shape
            `(batch, n, m)`. Rows are the teacher's.
        between: What is transported: `"neuron"`, `"sample"` or `"class"`.
        epsilon: Entropic strength, in the units of the loss. `None`, as all
            that follows, where nothing was solved.
        solver: What solved it.
        num_iterations: Of the solver.
        marginal_error: L1 distance of the plan's marginals from what they
            should be, as the solver says.
    """

    P: Any
    between: str
    epsilon: float | None = None
    solver: Any = None
    num_iterations: Any = None
    marginal_error: Any = None


def solve(problem: TransportProblem, loss: Any, between: str) -> SolvedPlan:
    """Solves a problem of a loss to look at its plan."""
    solution = loss.solver(problem)
    P = transport_plan(problem, solution)
    return SolvedPlan(P, between, loss.epsilon, loss.solver, *solution[2:])
