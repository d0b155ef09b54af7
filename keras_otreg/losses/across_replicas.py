"""Losses of a batch that replicas share."""

from typing import Any

from keras_otreg import engine


class AcrossReplicas:
    """A loss of the whole batch of all replicas, or of that of each.

    Every replica knows the value of the whole, and Keras, which adds up what
    the replicas return, first divides by their number what it reduces to a
    mean.
    """

    across_replicas: bool
    reduction: Any

    @property
    def is_shared(self) -> bool:
        """True if there are other replicas, whose samples count."""
        return self.across_replicas and engine.is_replicated()

    def total(self, values: Any) -> Any:
        """Adds up tensors over the replicas that count."""
        return engine.all_reduce_sum(values) if self.across_replicas else values

    def _as_part(self, loss):
        """Return the share of one replica in a loss that all of them know."""
        if self.reduction == "sum" and self.is_shared:
            return loss / engine.num_replicas()
        return loss
