"""The summands of a total loss."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from keras import ops

from keras_otreg import engine
from keras_otreg.models.weights import acts, weight_at


class Term(NamedTuple):
    """One summand of a total loss.

    Attributes:
        name: Under which the value is logged.
        value: A scalar, without the weight.
        weight: A number or a schedule; 0 for a term that is only logged.
        solved: Makes the `SolvedPlan` behind the value, or `None`. Until it
            is called, nothing is computed for it.
        finite: What was found to be finite, as booleans; `None` if nobody
            has looked.
    """

    name: str
    value: Any
    weight: Any
    solved: Callable[[], Any] | None = None
    finite: Any = None


def weighted_sum(total: Any, terms: Iterable[Term], step: Any) -> Any:
    """Adds the terms to a total, each with its weight at a step.

    A term of weight 0 is left out of the graph: the rest is then what it
    would be without the term, to the last bit.
    """
    for term in terms:
        if acts(term.weight):
            weighted = ops.multiply(weight_at(term.weight, step), term.value)
            total = ops.add(total, weighted)
    return total


def reported(penalties: list[Term], others: list[Term]) -> list[Any]:
    """The values of terms as one device reports them.

    Keras divides each loss by the number of TensorFlow replicas, so that
    their sum is that of one device. That of a penalty is exactly this sum;
    any other is, as `loss` itself, a mean over replicas by batch size.
    """
    values = [ops.cast(term.value, "float32") for term in penalties]
    return [
        *engine.all_reduce_sum(values),
        *(engine.unscale_loss(term.value) for term in others),
    ]
