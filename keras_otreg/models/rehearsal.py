"""What Keras does with a model before its first step."""

from typing import Any


class Rehearsed:
    """Knows when Keras tries a model on the shapes of its data.

    JAX and PyTorch make their metrics that way, on what `fit` is given but in
    inference mode: a pair is then no mistake. To be inherited from before
    `keras.Model`.
    """

    _is_rehearsal = False

    def _symbolic_build(self, *args: Any, **kwargs: Any) -> None:
        self._is_rehearsal = True
        try:
            super()._symbolic_build(*args, **kwargs)  # type: ignore[misc]
        finally:
            self._is_rehearsal = False
