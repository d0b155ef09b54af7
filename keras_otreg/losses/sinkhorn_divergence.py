"""A debiased optimal-transport loss between two sets of samples."""

from typing import Any

from keras_otreg import checks
from keras_otreg.losses.base import SAMPLES, TransportLoss
from keras_otreg.losses.batch_loss import BatchLoss
from keras_otreg.ot import Sinkhorn, costs
from keras_otreg.ot.function_cost import as_cost
from keras_otreg.ot.objectives import relative_divergence
from keras_otreg.ot.problem import relative_problem
from keras_otreg.saving import export


@export
class SinkhornDivergence(BatchLoss, TransportLoss):
    """Distance between the teacher's and the student's sets of samples.

    Here a point is a sample and its coordinates are the units, the transpose
    of `RepresentationTransport`: which sample is where does not matter, the
    shape of the whole cloud does. Zero if and only if the clouds are equal.

    Args:
        cost: Name of a cost in `keras_otreg.ot.costs`, or a cost function.
        epsilon: Entropic strength in units of the mean cost.
        solver: A `keras_otreg.ot.Sinkhorn` or `ProximalPoint`. It sees costs
            scaled to a mean of 1.
        **options: As of `keras_otreg.losses.batch_loss.BatchLoss`.

    Call arguments:
        y_true: Teacher activations of shape `(batch, ..., units)`.
        y_pred: Student activations of shape `(batch, ..., units)`, of as many
            units.
        sample_weight: Shape `(batch,)`: the mass of each sample, in both sets.

    Example:
        ```python
        penalty = otreg.Penalty(otreg.losses.SinkhornDivergence(), at="pool")
        ```

    References:
        Feydy et al., "Interpolating between optimal transport and MMD using
        Sinkhorn divergences" (2019).
    """

    def __init__(
        self,
        cost: Any = "squared_euclidean",
        epsilon: float = 0.05,
        *,
        solver: Any = None,
        **options: Any,
    ):
        super().__init__(**options)
        self.cost = costs.get(cost)
        self.epsilon = checks.positive(epsilon, "epsilon")
        self.solver = checks.solver(solver or Sinkhorn())

    def value(self, x, a, y, b):
        """The divergence between two sets of weighted samples."""
        checks.equal_features(x.shape, y.shape)
        return relative_divergence(
            x, y, self.cost, self.epsilon, self.solver, a, b
        )

    def solved(self, teacher, student, sample_weight=None, memory=None):
        """The plan between the samples of the two sets."""
        (x, a), (y, b) = (
            self.samples(layer, sample_weight) for layer in (teacher, student)
        )
        C = as_cost(self.cost)(x, y)
        return self._solve(relative_problem(C, a, b, self.epsilon), SAMPLES)

    def get_config(self):
        """Return the constructor's arguments."""
        return {**super().get_config(), "cost": costs.name_of(self.cost)}
