"""Alignment of two layers, whatever the order of their units."""

from typing import Any

from keras import ops

from keras_otreg import checks
from keras_otreg.losses.base import NEURONS, TransportLoss
from keras_otreg.losses.batch_loss import BatchLoss, mean_of
from keras_otreg.ot import Sinkhorn, TransportProblem, regularized_cost
from keras_otreg.ot import numerics as num
from keras_otreg.ot.costs import squared_cosine
from keras_otreg.saving import export


@export
class CenteredKernelAlignment(BatchLoss):
    """One minus the linear CKA of two layers.

    CKA is `|Y^T X|^2 / (|X^T X| |Y^T Y|)`, in the Frobenius norm, of
    activations centred over the samples. The widths may differ; rotating,
    shifting or scaling all units of a layer together changes nothing. It is in
    [0, 1]; the loss is 1 if one of the layers is constant over the batch.

    Its arguments are those of `keras_otreg.losses.batch_loss.BatchLoss`.

    Example:
        ```python
        loss = otreg.losses.CenteredKernelAlignment()
        penalty = otreg.Penalty(loss, at="features", teacher_at="avg_pool")
        ```

    References:
        Kornblith et al., "Similarity of neural network representations
        revisited" (ICML 2019).
    """

    def value(self, x, a, y, b):
        """One minus the alignment of two layers over weighted samples."""
        checks.same_samples(x.shape, y.shape)
        # One minus the cosine of two Gram matrices is half the squared
        # distance of their directions, which does not cancel where they meet.
        one, other = _direction(x, a), _direction(y, b)
        distance = ops.sum(ops.square(one - other))
        is_constant = [ops.logical_not(ops.any(d != 0.0)) for d in (one, other)]
        return ops.where(ops.logical_xor(*is_constant), 1.0, 0.5 * distance)


def _direction(points, weights):
    """Gram matrix of centred samples, of shape `(n, n)` and norm one."""
    points = num.of_unit_size(points)
    points = points - mean_of(points, weights)
    points = num.column(num.safe_sqrt(weights)) * points
    gram = points @ ops.transpose(points)
    return num.safe_divide(gram, num.safe_sqrt(ops.sum(ops.square(gram))))


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
    the loss is `CenteredKernelAlignment`.

    Args:
        epsilon: Entropic strength; the costs are in [0, 1].
        solver: A `keras_otreg.ot.Sinkhorn` or `ProximalPoint`.
        **options: `spatial`, `across_replicas`, `name`, `reduction` and
            `dtype`, as of `keras_otreg.losses.batch_loss.BatchLoss`.

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
        of_teacher = num.frozen(self._similarity(of_x, of_x, of_x))
        norm = num.safe_sqrt(of_teacher * self._similarity(of_y, of_y, of_y))
        aligned = num.safe_divide(self._similarity(between, of_x, of_y), norm)
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
        # About the mean a covariance has no slope in it.
        means = num.frozen(self.total([mean_of(x, a), mean_of(y, b)]))
        x = num.column(num.safe_sqrt(a)) * (x - means[0])
        y = num.column(num.safe_sqrt(b)) * (y - means[1])
        pairs = (x, x), (y, y), (x, y)
        return self.total([num.matmul(ops.transpose(v), w) for v, w in pairs])

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
