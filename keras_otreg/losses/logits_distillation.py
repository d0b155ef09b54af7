"""Knowledge distillation: the teacher's predictions as soft targets."""

from typing import Any

from keras import ops

from keras_otreg import checks
from keras_otreg.losses.sample_loss import SampleLoss, mean_over_positions
from keras_otreg.ot.numerics import maximum
from keras_otreg.saving import export

# Its logarithm, and the slope of the logarithm there, are finite in float32.
SMALLEST_PROBABILITY = 1e-30


@export
class LogitsDistillation(SampleLoss):
    """Divergence between softened predictions (knowledge distillation).

    For each sample it is `T^2 KL(softmax(teacher / T) | softmax(student /
    T))`. The factor `T^2` is the paper's: with it, the size of the gradient
    hardly depends on the temperature `T`. It stands between two networks over
    the same classes; for others see `ClassTransport`.

    Args:
        temperature: `T`, above zero. Towards infinity the loss compares
            logits by their squares.
        from_logits: Whether the predictions are logits; or a pair of such
            answers, for the teacher and for the student. Logarithms of
            probabilities are logits too, as far as they have not underflowed.
        **options: `name`, `reduction` and `dtype` of a `keras.losses.Loss`.

    Call arguments:
        y_true: The teacher's predictions, of shape `(batch, ..., classes)`.
            Values are averaged over any axes in between.
        y_pred: The student's predictions, of the same shape.
        sample_weight: Shape `(batch,)`.

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
        self.from_logits = checks.one_or_two_flags(from_logits, "from_logits")

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
        terms = mean_over_positions(ops.exp(log_p) * (log_p - log_q))
        return self.temperature**2 * ops.sum(terms, axis=-1)


def log_softened(
    prediction: Any, is_logits: bool, temperature: float = 1.0
) -> Any:
    """Return log-probabilities of a prediction at some temperature."""
    if not is_logits:
        prediction = ops.log(maximum(prediction, SMALLEST_PROBABILITY))
    return ops.log_softmax(prediction / temperature, axis=-1)
