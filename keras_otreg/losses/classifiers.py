"""Losses between the predictions of two classifiers."""

from typing import Any

import numpy as np
from keras import ops

from keras_otreg import checks
from keras_otreg.features.points import samples_as_points
from keras_otreg.losses import base
from keras_otreg.ot import Sinkhorn, TransportProblem, shared_cost
from keras_otreg.ot.numerics import at_least_float32, maximum, safe_divide
from keras_otreg.saving import decode_array, export

# Its logarithm, and the slope of the logarithm there, are finite in float32.
SMALLEST_PROBABILITY = 1e-30


@export
class LogitsDistillation(base.SampleLoss):
    """Divergence between softened predictions (knowledge distillation).

    For each sample it is `T^2 KL(softmax(teacher / T) | softmax(student /
    T))`, averaged over any axes between samples and classes. With the factor
    `T^2`, the size of the gradient hardly depends on the temperature `T`. The
    classes are the same; for others see `ClassTransport`.

    Args:
        temperature: `T`, above zero. Towards infinity the loss compares
            logits by their squares.
        from_logits: Whether the predictions are logits; or a pair of such
            answers, for the teacher and for the student.
        **options: `name`, `reduction` and `dtype` of a `keras.losses.Loss`.

    Example:
        ```python
        loss = otreg.losses.LogitsDistillation(4.0, from_logits=False)
        penalty = otreg.Penalty(loss, at="head")  # which ends in a softmax
        ```

    References:
        Hinton, Vinyals and Dean, "Distilling the knowledge in a neural
        network" (2015), arXiv 1503.02531.
    """

    def __init__(
        self,
        temperature: float = 4.0,
        *,
        from_logits: bool | tuple[bool, bool] = True,
        **options: Any,
    ):
        super().__init__(**options)
        self.temperature = checks.positive(temperature, "temperature")
        self.from_logits = base.one_or_two_flags(from_logits, "from_logits")

    def values(self, teacher, student):
        """Scaled divergences, of shape `(batch,)`."""
        checks.equal_channels(
            teacher.shape,
            student.shape,
            "Compare predictions over other classes with "
            "`keras_otreg.losses.ClassTransport`.",
        )
        both = zip((teacher, student), self.from_logits, strict=True)
        log_p, log_q = (log_softened(*each, self.temperature) for each in both)
        terms = samples_as_points(ops.exp(log_p) * (log_p - log_q))
        return self.temperature**2 * ops.sum(terms, axis=-1)


def log_softened(prediction, is_logits, temperature=1.0):
    """Return log-probabilities of a prediction at some temperature."""
    if not is_logits:
        prediction = ops.log(maximum(prediction, SMALLEST_PROBABILITY))
    return ops.log_softmax(prediction / temperature, axis=-1)


@export
class ClassConditional(base.ClassLoss):
    """Divergence of a classifier from what another one leads to expect.

    For each sample it is `KL(R t | s)`, between the source prediction `s` and
    the mixture of source classes that the target prediction `t` stands for:
    `R[i, j]` is the probability of source class `i` given target class `j`.
    Its plan `R[i, j] t[j]` is that of a transport whose source marginal is
    free. For a one-hot `t` it is Co-Tuning's loss, but for a constant.

    Args:
        conditional: `R` of shape `(source classes, target classes)`, whose
            columns sum to one; see `keras_otreg.class_costs.conditional`.
        **options: `from_logits`, `name`, `reduction` and `dtype`, as of
            `keras_otreg.losses.base.ClassLoss`.

    Example:
        ```python
        labels = [0, 0, 1, 1, 2, 2]
        R = otreg.class_costs.conditional(source_predictions, labels)
        loss = otreg.losses.ClassConditional(R)
        loss(source_predictions, target_predictions)
        ```

    References:
        You et al., "Co-Tuning for transfer learning" (NeurIPS 2020).
    """

    def __init__(self, conditional: Any, **options: Any):
        super().__init__(**options)
        self.conditional = checks.conditional(decode_array(conditional))
        self.classes = self.conditional.shape

    def call(self, y_true, y_pred):
        """Values of shape `(batch,)`."""
        target, R = self._parts(y_true, y_pred)
        expected = ops.matmul(target, ops.transpose(R))
        log_expected = ops.log(maximum(expected, SMALLEST_PROBABILITY))
        log_source = log_softened(at_least_float32(y_true), self.from_logits[0])
        return ops.sum(expected * (log_expected - log_source), axis=-1)

    def solved(self, teacher, student, sample_weight=None, memory=None):
        """The plans between the classes, one for each sample."""
        target, R = self._parts(teacher, student)
        return base.SolvedPlan(R * target[:, None, :], base.CLASSES)

    def _parts(self, source, target):
        target = at_least_float32(target)
        self.check_classes(source.shape, target.shape)
        if self.from_logits[1]:
            target = ops.softmax(target, axis=-1)
        return target, ops.convert_to_tensor(self.conditional, target.dtype)


@export
class ClassTransport(base.ClassLoss):
    """Cost of transporting one prediction onto another, sample by sample.

    The classes may differ. With a square matrix and one-hot labels it is the
    Wasserstein loss of a classifier. The value is `<P, C> + epsilon KL(P | a
    b^T)`, whose gradient in both distributions is exact.

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
        **options: `from_logits`, `name`, `reduction` and `dtype`, as of
            `keras_otreg.losses.base.ClassLoss`.

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
        solver, expected = solver or Sinkhorn(), "a `keras_otreg.ot.Sinkhorn`"
        self.solver = checks.instance_of(solver, Sinkhorn, "solver", expected)

    def call(self, y_true, y_pred):
        """Values of shape `(batch,)`."""
        problem, scale, safe = self._problem(y_true, y_pred)
        return scale * shared_cost.values(problem, self.solver, safe=safe)

    def solved(self, teacher, student, sample_weight=None, memory=None):
        """The plans between the classes, one for each sample."""
        problem, _, safe = self._problem(teacher, student)
        P, solution = shared_cost.plans(problem, self.solver, safe=safe)
        return self._solved_plan(P, base.CLASSES, solution)

    def _problem(self, source, target):
        """The problem in units of the mean cost, and what it was scaled by."""
        source, target = map(ops.convert_to_tensor, (source, target))
        self.check_classes(source.shape, target.shape)
        both = zip((source, target), self.from_logits, strict=True)
        a, b = (self._distribution(y, is_logits) for y, is_logits in both)
        # Costs that are all zero have no scale, and need none.
        scale = float(np.mean(self.cost_matrix)) or 1.0
        C = ops.convert_to_tensor(self.cost_matrix / scale, dtype=a.dtype)
        rho = None if self.rho is None else self.rho / scale
        problem = TransportProblem(C, a, b, self.epsilon, rho)
        largest = float(np.max(self.cost_matrix)) / scale / self.epsilon
        return problem, scale, largest <= shared_cost.LARGEST_SAFE_RATIO

    def _distribution(self, y, is_logits):
        y = at_least_float32(y)
        if is_logits:
            return ops.softmax(y, axis=-1)
        if self.rho is not None:
            return y
        # Equal masses: rounding, and a finite difference, move off the simplex.
        return safe_divide(y, ops.sum(y, axis=-1, keepdims=True))
