"""Search spaces for penalties, also by the names of methods."""

import contextlib
import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras_tuner

from keras_otreg import checks, losses
from keras_otreg.models import Penalty

# The last pooling of many networks of Keras.
LAST = "avg_pool"


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
            mapping from them to layers of the teacher if those differ.
        weight: Strength, or the ends of its range, searched on a logarithmic
            scale.
        epsilon: Entropic strength in units of the mean cost, like `weight`.
            Searched only where the plan is the transport plan.
        cost: Name of a cost, or several.
        plan: `"transport"`, or several plans of `RepresentationTransport`, to
            see whether a control does as well.
        name: Under which the penalty is logged, and in front of the names of
            the hyperparameters: `"transport/weight"`. Two spaces need two.

    Raises:
        ValueError: If no layer is given, or if a range does not consist of
            two positive numbers.

    Example:
        ```python
        def penalties(hp):
            return [otreg.tuning.transport_space(hp, at=["stage3", "avg_pool"])]
        ```
    """

    def loss():
        settings: dict[str, Any] = {
            "cost": hp.Choice("cost", _several(cost)),
            "plan": hp.Choice("plan", _several(plan)),
        }
        # KerasTuner prints each condition that it sends to a worker.
        scope: Any = contextlib.nullcontext()
        if plan != "transport":
            scope = hp.conditional_scope("plan", ["transport"])
        with scope:
            chosen = log_uniform(hp, "epsilon", epsilon)
        # Outside its scope KerasTuner gives nothing.
        if chosen is not None:
            settings["epsilon"] = chosen
        return losses.RepresentationTransport(**settings)

    return _penalty(hp, at, weight, name, loss)


def alignment_space(
    hp: keras_tuner.HyperParameters,
    at: str | Sequence[str] | Mapping[str, str] = LAST,
    *,
    weight: float | tuple[float, float] = (0.1, 1000.0),
    epsilon: float | tuple[float, float] = (0.1, 2.0),
    name: str = "alignment",
) -> Penalty:
    """A `TransportAlignment` penalty of which a search sets the choices.

    The arguments are those of `transport_space`; `epsilon` is in the units of
    the costs, which are in [0, 1].

    Example:
        ```python
        def penalties(hp):
            return [otreg.tuning.alignment_space(hp, {"features": "avg_pool"})]
        ```
    """

    def loss():
        return losses.TransportAlignment(log_uniform(hp, "epsilon", epsilon))

    return _penalty(hp, at, weight, name, loss)


def _penalty(hp, at, weight, name, make_loss):
    with hp.name_scope(name):
        path = hp.Choice("at", _several(checks.some_layers(at, "at")))
        strength = log_uniform(hp, "weight", weight)
        loss = make_loss()
    teacher_at = at[path] if isinstance(at, Mapping) else path
    return Penalty(loss, path, teacher_at, weight=strength, name=name)


def at_each(
    hp: keras_tuner.HyperParameters,
    at: Sequence[str] | Mapping[str, str],
    space: Callable[..., Penalty] = transport_space,
    **choices: Any,
) -> list[Penalty]:
    """Search one strength for the same penalty at each of several layers.

    Args:
        hp: The `keras_tuner.HyperParameters` of a trial.
        at: Paths of layers, as for `transport_space`.
        space: `transport_space`, `alignment_space`, or a function like them.
        **choices: For `space`, such as `weight` and `name`.

    Raises:
        ValueError: If no layer is given.

    Example:
        ```python
        def penalties(hp):
            return otreg.tuning.at_each(hp, ["stage3_out", "avg_pool"])
        ```
    """
    paths = checks.some_layers(at, "at")
    # For the table of trials they are one place, which is not searched.
    searched = space(hp, " + ".join(paths), **choices)
    return Penalty.at_each(
        searched.loss, at, weight=searched.weight, name=searched.name
    )


def log_uniform(hp, name, value):
    """Search a positive number on a logarithmic scale, or fix it."""
    if not isinstance(value, (tuple, list)):
        return hp.Fixed(name, checks.positive(value, name))
    expected = "a number above 0, or a pair of them, (lowest, highest)"
    checks.require(len(value) == 2, value, name, expected)
    low = checks.positive(value[0], f"{name}[0]")
    high = checks.positive(value[1], f"{name}[1]")
    expected = f"a finite number of at least {low:g}, the lower end"
    checks.require(low <= high, high, f"{name}[1]", expected)
    if low == high:
        return hp.Fixed(name, low)
    middle = math.sqrt(low * high)
    return hp.Float(name, low, high, sampling="log", default=middle)


def _several(names):
    return [names] if isinstance(names, str) else [*names]


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
