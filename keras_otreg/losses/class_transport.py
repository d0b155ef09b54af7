"""The optimal-transport loss between two classifiers with other classes."""

from typing import Any

import numpy as np
from keras import ops

from keras_otreg import checks
from keras_otreg.losses.base import CLASSES, ClassLoss
from keras_otreg.ot import Sinkhorn
from keras_otreg.ot.numerics import at_least_float32, safe_divide
from keras_otreg.ot.shared_cost import (
    LARGEST_SAFE_RATIO,
    SharedProblem,
    shared_cost_plans,
    shared_cost_values,
)
from keras_otreg.saving import decode_array, export


@export
class ClassTransport(ClassLoss):
    """Cost of transporting one prediction onto another, sample by sample.

    The predictions may be over different classes. With a square matrix and
    one-hot labels it is the Wasserstein loss of a classifier whose classes have
    a metric. The value is `<P, C> + epsilon KL(P | a b^T)`, whose gradient in
    both distributions is exact.

    Args:
        cost_matrix: Non-negative costs of shape `(source classes, target
            classes)`. See `keras_otreg.class_costs`.
        epsilon: Entropic strength in units of the mean cost; `1 / lambda` of
            the papers is `epsilon * mean(cost_matrix)`.
        rho: `None`, or the price of violating the marginals in the units of
            the costs. The distributions need not sum to one then, and the
            value is `<P, C> + epsilon <P, log P> + rho KL(P 1 | a) + rho
            KL(P^T 1 | b)`.
        solver: A `keras_otreg.ot.Sinkhorn`.
        **options: `from_logits`, whether the predictions are logits, or a pair
            of such answers, for source and target; and `name`, `reduction` and
            `dtype` of a `keras.losses.Loss`.

    Call arguments:
        y_true: Source probabilities of shape `(batch, source classes)`.
        y_pred: Target probabilities of shape `(batch, target classes)`.

    Example:
        ```python
        loss = otreg.losses.ClassTransport(cost_matrix, epsilon=0.1)
        model.compile("adam", loss=loss)  # with one-hot labels
        ```

    References:
        Lu, Chen and Saidi, "Optimal transport for deep joint transfer
        learning" (2017), arXiv 1709.02995. Frogner et al., "Learning with a
        Wasserstein loss" (2015).
    """

    def __init__(
        self,
        cost_matrix: Any,
        epsilon: float = 0.1,
        *,
        rho: float | None = None,
        solver: Any = None,
        **options: Any,
    ):
        super().__init__(**options)
        self.cost_matrix = checks.cost_matrix(decode_array(cost_matrix))
        self.classes = self.cost_matrix.shape
        self.epsilon = checks.positive(epsilon, "epsilon")
        self.rho = None if rho is None else checks.positive(rho, "rho")
        self.solver = checks.instance_of(
            solver or Sinkhorn(),
            Sinkhorn,
            "solver",
            "a `keras_otreg.ot.Sinkhorn`",
        )

    def call(self, y_true, y_pred):
        """Values of shape `(batch,)`."""
        problem, scale, safe = self._problem(y_true, y_pred)
        return scale * shared_cost_values(problem, self.solver, safe=safe)

    def solved(self, teacher, student, sample_weight=None, memory=None):
        """The plans between the classes, one for each sample."""
        problem, _, safe = self._problem(teacher, student)
        P, solution = shared_cost_plans(problem, self.solver, safe=safe)
        return self._solved_plan(P, CLASSES, solution)

    def _problem(self, source, target):
        """The problem in units of the mean cost, and what it was scaled by."""
        source, target = map(ops.convert_to_tensor, (source, target))
        self.check_classes(source.shape, target.shape)
        both = zip((source, target), self.from_logits, strict=True)
        a, b = (self._distribution(y, is_logits) for y, is_logits in both)
        # Costs that are all zero have no scale, and need none.
        scale = float(np.mean(self.cost_matrix)) or 1.0
        problem = SharedProblem(
            ops.convert_to_tensor(self.cost_matrix / scale, dtype=a.dtype),
            a,
            b,
            self.epsilon,
            None if self.rho is None else self.rho / scale,
        )
        largest = float(np.max(self.cost_matrix)) / scale / self.epsilon
        return problem, scale, largest <= LARGEST_SAFE_RATIO

    def _distribution(self, y, is_logits):
        y = at_least_float32(y)
        if is_logits:
            return ops.softmax(y, axis=-1)
        if self.rho is not None:
            return y
        # Equal masses: rounding, and a finite difference, move off the simplex.
        return safe_divide(y, ops.sum(y, axis=-1, keepdims=True))
