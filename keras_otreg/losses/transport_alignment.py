"""Transport between neurons, up to their sign and scale."""

from typing import Any

from keras import ops

from keras_otreg import checks
from keras_otreg.losses.base import NEURONS, TransportLoss
from keras_otreg.losses.batch_loss import BatchLoss, mean_of
from keras_otreg.ot import Sinkhorn, TransportProblem, regularized_cost
from keras_otreg.ot.costs import squared_cosine
from keras_otreg.ot.numerics import (
    column,
    frozen,
    matmul,
    safe_divide,
    safe_sqrt,
)
from keras_otreg.saving import export


@export
class TransportAlignment(BatchLoss, TransportLoss):
    """One minus the alignment of two sets of neurons, by transport.

    A neuron is its centred activations on the batch, and weighs as much as
    their variance. Moving it onto another costs one minus their squared
    correlation. With `S` one minus the optimal transport cost, the loss is
    `1 - S(x, y) / sqrt(S(x, x) S(y, y))`. It is zero between equal layers, and
    permuting neurons, shifting each of them, or scaling a layer, with any sign,
    changes nothing. It is 1 if one of the layers is constant over the batch.

    For a small `epsilon` each neuron has to find a partner. Towards infinity
    the loss is `CenteredKernelAlignment`; in between, neurons of a narrow
    student can stand for mixtures of the teacher's.

    Args:
        epsilon: Entropic strength; the costs are in [0, 1].
        solver: A `keras_otreg.ot.Sinkhorn` or `ProximalPoint`.
        **options: As of `keras_otreg.losses.batch_loss.BatchLoss`.

    Call arguments:
        y_true: Teacher activations of shape `(batch, ..., teacher neurons)`.
        y_pred: Student activations of shape `(batch, ..., student neurons)`.
        sample_weight: Shape `(batch,)`: the mass of each sample.

    Example:
        ```python
        loss = otreg.losses.TransportAlignment()
        penalty = otreg.Penalty(loss, at="features", teacher_at="avg_pool")
        ```

    References:
        This package. It joins Khosla and Williams, "Soft matching distance"
        (2023), and Kornblith et al., "Similarity of neural network
        representations revisited" (ICML 2019).
    """

    adds_up = True

    def __init__(
        self, epsilon: float = 0.5, *, solver: Any = None, **options: Any
    ):
        super().__init__(**options)
        self.epsilon = checks.positive(epsilon, "epsilon")
        self.solver = checks.solver(solver or Sinkhorn())

    def value(self, x, a, y, b):
        """One minus the alignment of two layers over weighted samples."""
        checks.same_samples(x.shape, y.shape)
        of_x, of_y, between = self._covariances(x, a, y, b)
        of_teacher = frozen(self._similarity(of_x, of_x, of_x))
        norm = safe_sqrt(of_teacher * self._similarity(of_y, of_y, of_y))
        aligned = safe_divide(self._similarity(between, of_x, of_y), norm)
        # Of a single sample, or none that weighs, there is nothing to say.
        variance = ops.trace(of_x) + ops.trace(of_y)
        return ops.where(variance > 0.0, 1.0 - aligned, 0.0)

    def solved(self, teacher, student, sample_weight=None, memory=None):
        """The plan between the neurons."""
        of_x, of_y, between = self._covariances(
            *self.samples(teacher, sample_weight),
            *self.samples(student, sample_weight),
        )
        return self._solve(self._problem(between, of_x, of_y), NEURONS)

    def _covariances(self, x, a, y, b):
        """Return covariances in each layer and between the two."""
        # About the mean a covariance has no slope in it.
        means = frozen(self.total([mean_of(x, a), mean_of(y, b)]))
        x = column(safe_sqrt(a)) * (x - means[0])
        y = column(safe_sqrt(b)) * (y - means[1])
        pairs = (x, x), (y, y), (x, y)
        return self.total(
            [matmul(ops.transpose(one), other) for one, other in pairs]
        )

    def _similarity(self, between, of_x, of_y):
        problem = self._problem(between, of_x, of_y)
        return 1.0 - regularized_cost(problem, self.solver(problem))

    def _problem(self, between, of_x, of_y):
        variances = ops.diagonal(of_x), ops.diagonal(of_y)
        C = squared_cosine.from_sums([between, *variances])
        return TransportProblem(C, *map(_shares, variances), self.epsilon)


def _shares(variance):
    """Shares of the variance; equal ones of a layer without any."""
    variance = ops.where(ops.sum(variance) > 0.0, variance, 1.0)
    return variance / ops.sum(variance)
