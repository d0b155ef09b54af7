"""What Keras does with a model before its first step."""

from typing import Any

import keras

from keras_otreg import replicas
from keras_otreg.models import optimizer_state


class Rehearsed:
    """Knows when Keras tries a model on the shapes of its data.

    JAX, PyTorch and the strategies of TensorFlow make their metrics that way,
    on what `fit` is given but in inference mode: a pair is then no mistake.
    Strategies take the shapes from the mean of the replicas' batches, which
    fails where these are unlike, and always between several workers
    (keras-team/keras, issue 20585): here they come from one of the batches. To
    be inherited from before `keras.Model`.
    """

    _is_rehearsal = False

    def _maybe_symbolic_build(
        self, iterator: Any = None, data_batch: Any = None
    ) -> None:
        strategy = self.distribute_strategy  # type: ignore[attr-defined]
        if iterator is not None and strategy.num_replicas_in_sync > 1:
            data_batch = _first_batch(iterator, strategy)
            iterator = None
        super()._maybe_symbolic_build(  # type: ignore[misc]
            iterator=iterator, data_batch=data_batch
        )

    def compute_metrics(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The logs of a step; see `keras.Model.compute_metrics`."""
        logs = super().compute_metrics(*args, **kwargs)  # type: ignore[misc]
        return replicas.logged(logs)

    def make_train_function(self: Any, force: bool = False) -> Any:
        """Makes the step of training; see `keras.Model.make_train_function`.

        A step that makes the variables of the optimizer is traced twice by
        TensorFlow: here they are made before.
        """
        optimizer_state.build(self)
        return super().make_train_function(force)  # type: ignore[misc]

    def _symbolic_build(self, *args: Any, **kwargs: Any) -> None:
        self._is_rehearsal = True
        try:
            super()._symbolic_build(*args, **kwargs)  # type: ignore[misc]
        finally:
            self._is_rehearsal = False


def _first_batch(iterator, strategy):
    """The first batch of a replica of this process."""
    for _, _, batches in iterator:
        return keras.tree.map_structure(
            lambda values: strategy.experimental_local_results(values)[0],
            next(batches),
        )
    return None
