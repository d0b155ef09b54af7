"""The mathematics of entropic optimal transport, in `keras.ops`."""

from keras_otreg.ot import costs
from keras_otreg.ot.objectives import (
    regularized_cost,
    sinkhorn_divergence,
    transport_cost,
)
from keras_otreg.ot.plan import (
    TransportProblem,
    TransportSolution,
    barycentric_map,
    marginals,
    permuted_fraction,
    plan_entropy,
    transport_plan,
)
from keras_otreg.ot.solvers import ProximalPoint, Sinkhorn

__all__ = [
    "ProximalPoint",
    "Sinkhorn",
    "TransportProblem",
    "TransportSolution",
    "barycentric_map",
    "costs",
    "marginals",
    "permuted_fraction",
    "plan_entropy",
    "regularized_cost",
    "sinkhorn_divergence",
    "transport_cost",
    "transport_plan",
]
