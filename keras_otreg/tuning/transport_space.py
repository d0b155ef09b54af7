"""The search space of a transport penalty."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras_tuner

from keras_otreg.losses import RepresentationTransport
from keras_otreg.models import Penalty
from keras_otreg.tuning.choices import (
    LAST,
    choice,
    layer,
    log_uniform,
    teacher_layer,
)


def transport_space(
    hp: keras_tuner.HyperParameters,
    at: str | Sequence[str] | Mapping[str, str] = LAST,
    *,
    weight: float | tuple[float, float] = (0.01, 100.0),
    epsilon: float | tuple[float, float] = (0.01, 0.25),
    cost: str | Sequence[str] = ("euclidean", "squared_euclidean", "cosine"),
    plan: str | Sequence[str] = "transport",
    name: str = "transport",
) -> Penalty:
    """A `RepresentationTransport` penalty of which a search sets the choices.

    What is given as one value is fixed; the rest is searched.

    Args:
        hp: The `keras_tuner.HyperParameters` of a trial.
        at: Path of a layer of the student, or several to choose from; a
            mapping from them to layers of the teacher where those have other
            paths. By default the last pooling of many networks of Keras.
        weight: Strength, or the ends of its range, searched on a logarithmic
            scale.
        epsilon: Entropic strength in units of the mean cost, like `weight`.
            Searched only where the plan is the transport plan.
        cost: Name of a cost, or several.
        plan: `"transport"`, or several plans of `RepresentationTransport`, to
            see whether a control does as well.
        name: Under which the penalty is logged, and in front of the names of
            the hyperparameters: `"transport/weight"`. Two spaces need two.

    Returns:
        A `Penalty` for `TransferHyperModel`.

    Raises:
        ValueError: If no layer is given, or if a range does not consist of
            two positive numbers.

    Example:
        ```python
        def penalties(hp):
            return [otreg.tuning.transport_space(hp, at=["stage3", "avg_pool"])]
        ```
    """
    with hp.name_scope(name):
        path = layer(hp, at)
        strength = log_uniform(hp, "weight", weight)
        settings: dict[str, Any] = {
            "cost": choice(hp, "cost", cost),
            "plan": choice(hp, "plan", plan),
        }
        with _scope_of_epsilon(hp, plan):
            chosen = log_uniform(hp, "epsilon", epsilon)
        # Outside its scope KerasTuner gives nothing.
        if chosen is not None:
            settings["epsilon"] = chosen
    return Penalty(
        RepresentationTransport(**settings),
        at=path,
        teacher_at=teacher_layer(at, path),
        weight=strength,
        name=name,
    )


def _scope_of_epsilon(hp, plan):
    # Only where it is needed: KerasTuner prints each condition that it sends
    # to a worker.
    if plan == "transport":
        return contextlib.nullcontext()
    return hp.conditional_scope("plan", ["transport"])
