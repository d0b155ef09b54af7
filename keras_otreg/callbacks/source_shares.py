"""Shares of source classes that follow the features during training."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_otreg import checks, class_costs


class SourceShares(keras.callbacks.Callback):
    """Shares of the source classes by how near they are to the target's.

    A callback that computes the shares of `keras_otreg.class_costs.shares` from
    the features as they are, and the function that `keras_otreg.data.paired`
    asks for them in each epoch. Before training they are equal.

    Args:
        source: Batches `(x, y)` of source samples, some of each class.
        target: Batches `(x, y)` of labelled target samples.
        at: Path of the layer of the student with the features.
        every: After how many epochs they are computed again.
        cost: Of `class_costs`; `class_costs.mkmmd` if not given.
        **options: Those of `class_costs.shares`, such as `epsilon`.

    Attributes:
        shares: The latest, of shape `(source classes,)`, if there are any.

    Example:
        ```python
        shares = otreg.callbacks.SourceShares(
            source_data, target_data, at="features", every=5
        )
        data = otreg.data.paired(target, source, source_shares=shares)
        model.fit(data, epochs=20, callbacks=[shares])
        ```
    """

    def __init__(
        self,
        source: Any,
        target: Any,
        at: str,
        *,
        every: int = 5,
        cost: Callable[..., np.ndarray] | None = None,
        **options: Any,
    ):
        super().__init__()
        self.source, self.target = source, target
        self.at = checks.layer_path(at, "at")
        self.every = checks.count(every, "every")
        self.cost = cost or class_costs.mkmmd
        self.options = options
        self.shares: np.ndarray | None = None

    def __call__(self) -> np.ndarray | None:
        """Return the latest shares."""
        return self.shares

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Compute the shares, in the first epoch and in every so many."""
        if self.shares is not None and epoch % self.every:
            return
        network = getattr(self.model, "student", self.model)
        features = [
            class_costs.extract(network, self.at, data, verbose=0)
            for data in (self.source, self.target)
        ]
        costs = self.cost(*features[0], *features[1])
        self.shares = class_costs.shares(costs, **self.options)
