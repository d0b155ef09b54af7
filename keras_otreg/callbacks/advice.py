"""Warnings of plans that are nearly uniform or not solved."""

import warnings
from collections.abc import Mapping

from keras_otreg.losses.base import SolvedPlan
from keras_otreg.ot import ProximalPoint, Sinkhorn

# Above this entropy a plan is called uniform.
UNIFORM = 0.95


def advise(
    name: str, plan: SolvedPlan, numbers: Mapping[str, float], given: set[str]
) -> None:
    """Warn once of a plan that is nearly uniform, and once if it is unsolved.

    Args:
        name: Name of the penalty.
        plan: Its plan.
        numbers: Entropy, marginal error and iterations of the plan, as logged.
        given: Keys of the warnings so far, to which new ones are added.
    """
    # Of controls the user knows, and of the solvers of others we do not.
    if not isinstance(plan.solver, (Sinkhorn, ProximalPoint)):
        return
    texts = {
        f"{name}: uniform": _uniform(name, plan, numbers["entropy"]),
        f"{name}: unsolved": _unsolved(name, plan, numbers),
    }
    for key, text in texts.items():
        if text and key not in given:
            given.add(key)
            warnings.warn(text, stacklevel=3)


def _uniform(name, plan, entropy):
    if not entropy > UNIFORM:
        return None
    return (
        f"The plan of '{name}' is nearly uniform and says next to nothing: its "
        f"entropy is {entropy:.3f}, where 0 is a matching and 1 a uniform "
        f"plan. Its epsilon, {plan.epsilon:g}, is too large: use a smaller one "
        f"in the loss, such as epsilon={plan.epsilon / 5:.2g}."
    )


def _unsolved(name, plan, numbers):
    solver, error = plan.solver, numbers["marginal_error"]
    # With no tolerance at all, a number of iterations is asked for.
    if error <= solver.tolerance or solver.tolerance == 0.0:
        return None
    count = int(numbers["iterations"])
    text = (
        f"The solver of '{name}' did not converge: after {count} iterations "
        f"the marginal error is {error:.2g}, above the tolerance of "
        f"{solver.tolerance:g}. "
    )
    if count < solver.max_iterations:
        return text + (
            "It is down to what rounding leaves: give the loss a solver with "
            f"a larger tolerance, such as tolerance={2 * error:.1g}."
        )
    kind = type(solver).__name__
    return text + (
        f"Use a larger epsilon in the loss, such as "
        f"epsilon={plan.epsilon * 2:.2g}, or more iterations: "
        f"solver=otreg.ot.{kind}(max_iterations={10 * solver.max_iterations})."
    )
