"""The search space of an alignment penalty."""

from collections.abc import Mapping, Sequence

import keras_tuner

from keras_otreg.losses import TransportAlignment
from keras_otreg.models import Penalty
from keras_otreg.tuning.choices import LAST, layer, log_uniform, teacher_layer


def alignment_space(
    hp: keras_tuner.HyperParameters,
    at: str | Sequence[str] | Mapping[str, str] = LAST,
    *,
    weight: float | tuple[float, float] = (0.1, 1000.0),
    epsilon: float | tuple[float, float] = (0.1, 2.0),
    name: str = "alignment",
) -> Penalty:
    """A `TransportAlignment` penalty of which a search sets the choices.

    What is given as one value is fixed; the rest is searched.

    Args:
        hp: The `keras_tuner.HyperParameters` of a trial.
        at: As for `transport_space`.
        weight: Strength, or the ends of its range, searched on a logarithmic
            scale.
        epsilon: Entropic strength, like `weight`.
        name: Under which the penalty is logged, and in front of the names of
            the hyperparameters: `"alignment/weight"`. Two spaces need two.

    Returns:
        A `Penalty` for `TransferHyperModel`.

    Raises:
        ValueError: If no layer is given, or if a range does not consist of
            two positive numbers.

    Example:
        ```python
        def penalties(hp):
            return [otreg.tuning.alignment_space(hp, {"features": "avg_pool"})]
        ```
    """
    with hp.name_scope(name):
        path = layer(hp, at)
        strength = log_uniform(hp, "weight", weight)
        loss = TransportAlignment(log_uniform(hp, "epsilon", epsilon))
    return Penalty(
        loss,
        at=path,
        teacher_at=teacher_layer(at, path),
        weight=strength,
        name=name,
    )
