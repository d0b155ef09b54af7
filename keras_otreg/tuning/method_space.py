"""Search spaces of the methods of the commands, by name."""

import random
from collections.abc import Callable, Mapping
from typing import Any

import keras_tuner

from keras_otreg import checks, losses
from keras_otreg.models import Penalty
from keras_otreg.tuning.spaces import (
    alignment_space,
    log_uniform,
    transport_space,
)

SPACES = {"transport": transport_space, "alignment": alignment_space}
# Losses, and the weights that the benchmark of accuracy searches for them.
LOSSES = {
    "cka": (losses.CenteredKernelAlignment, (0.1, 1000.0)),
    "hint": (losses.Hint, (0.01, 100.0)),
    "mmd": (losses.MaximumMeanDiscrepancy, (0.01, 100.0)),
    "coral": (losses.Coral, (1.0, 10000.0)),
    "attention": (losses.AttentionTransfer, (10.0, 100000.0)),
    "bss": (losses.BatchSpectralShrinkage, (0.001, 10.0)),
}
PENALTIES = (*SPACES, *LOSSES)
# The default of `add_starting_point` is in the middle.
STRENGTHS = (0.0001, 100.0)


def method_space(
    hp: keras_tuner.HyperParameters,
    method: str,
    at: str,
    teacher_at: str | None = None,
    *,
    weight: float | None = None,
) -> Penalty:
    """The penalty of a method, of which a search sets the choices.

    Args:
        hp: The `keras_tuner.HyperParameters` of a trial; new ones give the
            defaults, the middle of each range.
        method: `"transport"`, `"alignment"`, `"cka"`, `"hint"`, `"mmd"`,
            `"coral"`, `"attention"` or `"bss"`.
        at: Path of a layer of the student.
        teacher_at: Path of the teacher's layer; the same if not given.
        weight: The strength, if it is not to be searched.

    Raises:
        ValueError: If the method is unknown.

    Example:
        ```python
        defaults = keras_tuner.HyperParameters()
        otreg.tuning.method_space(defaults, "cka", "avg_pool").weight  # 10.0
        ```
    """
    checks.one_of(method, PENALTIES, "method")
    if method in SPACES:
        fixed = {} if weight is None else {"weight": weight}
        return SPACES[method](hp, {at: teacher_at or at}, name=method, **fixed)
    kind, weights = LOSSES[method]
    with hp.name_scope(method):
        strength = log_uniform(
            hp, "weight", weights if weight is None else weight
        )
    return Penalty(kind(), at, teacher_at, weight=strength, name=method)


def strength_space(
    hp: keras_tuner.HyperParameters, strength: float | None = None
) -> float:
    """The strength of a penalty on weights; by default the middle of a range.

    Args:
        hp: The `keras_tuner.HyperParameters` of a trial.
        strength: The strength, if it is not to be searched.

    Example:
        ```python
        hp = keras_tuner.HyperParameters()
        otreg.tuning.strength_space(hp)  # the middle of the range
        ```
    """
    strengths = STRENGTHS if strength is None else strength
    return log_uniform(hp, "strength", strengths)


def hyperparameters(values: Mapping[str, Any] | None = None) -> Any:
    """`keras_tuner.HyperParameters` with the values that a search has found.

    Args:
        values: By their names, such as a row of `trials`; those that are
            missing have their defaults.

    Example:
        ```python
        found = {"cka/weight": 3.0}
        hp = otreg.tuning.hyperparameters(found)
        penalty = otreg.tuning.method_space(hp, "cka", "avg_pool")
        ```
    """
    hp = keras_tuner.HyperParameters()
    hp.values.update(values or {})
    return hp


def random_values(space: Callable[[Any], Any], seed: int) -> dict[str, Any]:
    """Values drawn at random for all choices of a space, by their names.

    Args:
        space: A function of `keras_tuner.HyperParameters`, such as one that
            calls `method_space`.
        seed: The same gives the same values.

    Example:
        ```python
        values = otreg.tuning.random_values(
            otreg.tuning.strength_space, seed=3
        )
        ```
    """
    hp, rng = keras_tuner.HyperParameters(), random.Random(seed)
    space(hp)
    return {
        choice.name: choice.random_sample(rng.randrange(2**31))
        for choice in hp.space
    }


# Their names in version 0.1.0.
settled, drawn = hyperparameters, random_values
