"""Divergence between two classifiers through a conditional of their classes."""

from typing import Any

from keras import ops

from keras_otreg import checks
from keras_otreg.losses.base import CLASSES, ClassLoss, SolvedPlan
from keras_otreg.losses.logits_distillation import (
    SMALLEST_PROBABILITY,
    log_softened,
)
from keras_otreg.ot.numerics import at_least_float32, maximum
from keras_otreg.saving import decode_array, export


@export
class ClassConditional(ClassLoss):
    """Divergence of a classifier from what another one leads to expect.

    For each sample it is `KL(R t | s)`, between the source prediction `s` and
    the mixture of source classes that the target prediction `t` stands for:
    `R[i, j]` is the probability of source class `i` given target class `j`.
    Its plan `R[i, j] t[j]` is that of a transport whose source marginal is
    free. For a one-hot `t` it is Co-Tuning's loss, but for a constant.

    Args:
        conditional: `R` of shape `(source classes, target classes)`, whose
            columns sum to one; see `keras_otreg.class_costs.conditional`.
        **options: `from_logits`, as of `ClassTransport`, and `name`,
            `reduction` and `dtype` of a `keras.losses.Loss`.

    Call arguments:
        y_true: Source probabilities of shape `(batch, source classes)`.
        y_pred: Target probabilities of shape `(batch, target classes)`.

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
        return SolvedPlan(R * target[:, None, :], CLASSES)

    def _parts(self, source, target):
        """The target probabilities and the conditional."""
        target = at_least_float32(target)
        self.check_classes(source.shape, target.shape)
        if self.from_logits[1]:
            target = ops.softmax(target, axis=-1)
        return target, ops.convert_to_tensor(self.conditional, target.dtype)
