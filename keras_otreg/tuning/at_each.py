"""A search space for a penalty at several layers at once."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras_tuner

from keras_otreg import checks
from keras_otreg.models import Penalty
from keras_otreg.tuning.transport_space import transport_space


def at_each(
    hp: keras_tuner.HyperParameters,
    at: Sequence[str] | Mapping[str, str],
    space: Callable[..., Penalty] = transport_space,
    **choices: Any,
) -> list[Penalty]:
    """The same penalty at several layers, with one strength for all of them.

    A space alone chooses one layer of those that it is given.

    Args:
        hp: The `keras_tuner.HyperParameters` of a trial.
        at: Paths of the student's layers; a mapping from them to layers of
            the teacher where those have other paths.
        space: `transport_space`, `alignment_space`, or a function like them.
        **choices: For `space`, such as `weight` and `name`.

    Returns:
        A list of `Penalty` objects, as of `Penalty.at_each`, for
        `TransferHyperModel`.

    Raises:
        ValueError: If no layer is given.

    Example:
        ```python
        def penalties(hp):
            layers = ["stage2_out", "stage3_out", "avg_pool"]
            return otreg.tuning.at_each(
                hp, layers, otreg.tuning.alignment_space
            )
        ```
    """
    paths = checks.some_layers(at, "at")
    # For the table of trials they are one place, which is not searched.
    searched = space(hp, " + ".join(paths), **choices)
    return Penalty.at_each(
        searched.loss, at, weight=searched.weight, name=searched.name
    )
