"""The terms of a total loss, their weights, and the steps that read these."""

import contextlib
import functools
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_otreg import checks, engine


class Term(NamedTuple):
    """One summand of a total loss."""

    name: str
    # A scalar, without the weight.
    value: Any
    # A number or a schedule; 0 for a term that is only logged.
    weight: Any
    # Makes the `SolvedPlan` behind the value.
    solved: Callable[[], Any] | None = None
    # Whether both activations and the value are finite, if that is known.
    finite: Any = None
    # Whether it counts in the logs of a step; always if not given.
    counts: Any = None


def acts(weight: Any) -> bool:
    """Whether a weight can ever be other than zero."""
    return callable(weight) or weight != 0.0


class WeightAttribute:
    """An attribute with a checked weight, which may be set during training."""

    def __set_name__(self, owner, name):
        self._name = name

    def __set__(self, instance, value):
        vars(instance)[self._name] = checks.weight(value, self._name)


class LossWeights(keras.layers.Layer):
    """Lets a compiled step read weights that are attributes of other objects.

    Each number has a scalar variable, which `update` sets before a step. Terms
    of weight 0 are left out of the graph, and schedules are part of it: such
    changes ask for another `structure`.
    """

    def __init__(self, owners: Mapping[str, tuple[Any, str]], dtype: str):
        super().__init__(name="loss_weights", dtype=dtype, trainable=False)
        self._owners = dict(owners)
        self._scalars = {
            name: self.add_weight((), "zeros", trainable=False, name=name)
            for name in owners
        }
        # What the variables hold, to be compared without asking a device.
        self._held: dict[str, Any] = dict.fromkeys(owners, 0.0)
        self.built = True

    @property
    def weights(self) -> list[Any]:
        """None: no network depends on the variables, and no file has them."""
        return []

    @property
    def structure(self) -> list[Any]:
        """Key of a graph: if it changes, the graph is traced again."""
        found = []
        for owner in self._owners.values():
            weight = getattr(*owner)
            found.append(weight if callable(weight) else acts(weight))
        return found

    def update(self) -> list[tuple[Any, Any]]:
        """Give the variables the present numbers."""
        changed = []
        for name, owner in self._owners.items():
            weight = getattr(*owner)
            if callable(weight) or weight == self._held[name]:
                continue
            variable = self._scalars[name]
            value = ops.cast(weight, variable.dtype)
            variable.assign(value)
            self._held[name] = weight
            changed.append((variable, value))
        return changed

    def forget(self) -> None:
        """Let the next `update` set all variables."""
        self._held = dict.fromkeys(self._held)

    def at(self, term: Term, step: Any) -> Any:
        """The weight of a term at a step of the optimizer."""
        if callable(term.weight):
            return ops.cast(term.weight(step), "float32")
        variable = self._scalars.get(term.name)
        return term.weight if variable is None else variable.value

    def save_own_variables(self, store: Any) -> None:
        """Save nothing."""

    def load_own_variables(self, store: Any) -> None:
        """Load nothing."""


class StepFunctions:
    """Makes the functions by which Keras trains, evaluates and predicts.

    They are made anew when a weight is set that their graph lacks, or when a
    network has other variables: quantised, unfrozen, or with LoRA.
    """

    def __init__(self, weights, penalties, adapters):
        self._weights = weights
        self._penalties = {name: penalties[name] for name in adapters}
        self._adapters = adapters
        self._is_on = {k: acts(x.weight) for k, x in self._penalties.items()}
        self._variables = None

    def make(self, model: Any, kind: str, force: bool) -> Any:
        """Make the function of a kind of step, if there is none."""
        variables = list(model.student.variables)
        if model.frozen.model is not None:
            variables += model.frozen.model.variables
        kinds = map(operator.attrgetter("dtype", "trainable"), variables)
        current = list(zip(map(id, variables), kinds, strict=True))
        known, self._variables = self._variables, current
        if known not in (None, current):
            model.find_layers()
            for other in ("train", "test", "predict"):
                if getattr(model, f"{other}_function") is not None:
                    self._made(model, other)
        if kind == "train" and self._adapters:
            self.train_adapters()
        made = getattr(model, f"{kind}_function")
        return self._made(model, kind) if force or made is None else made

    def train_adapters(self) -> None:
        """Train the adapters of penalties that act, and no other."""
        for name, penalty in self._penalties.items():
            if acts(penalty.weight) is not self._is_on[name]:
                self._is_on[name] = acts(penalty.weight)
                self._adapters[name].trainable = self._is_on[name]

    def _made(self, model, kind):
        name = f"{kind}_function"
        make = getattr(keras.Model, f"make_{name}")
        if kind == "predict":
            return make(model, True)
        if kind == "train":
            build_optimizer(model)
        with _another_step(model, f"{kind}_step"):
            make(model, True)
        made, structure = getattr(model, name), self._weights.structure

        def step(*given):
            if self._weights.structure != structure:
                self._check_adapters()
                return self._made(model, kind)(*given)
            if changed := self._weights.update():
                given = engine.with_variable_values(given, model, changed)
            return made(*given)

        setattr(model, name, step)
        return step

    def _check_adapters(self):
        off = [k for k in sorted(self._penalties) if not self._is_on[k]]
        if names := [k for k in off if acts(self._penalties[k].weight)]:
            raise checks.invalid(
                f"a weight above 0 from the start of `fit` for {names}, whose "
                "adapters are not trained at weight 0",
                "a weight above 0 in the middle of it",
                "Start from a small weight, such as 1e-6",
            )


@contextlib.contextmanager
def _another_step(model: Any, name: str) -> Iterator[None]:
    """Within the block, a step is a new object, of which JAX has no program."""
    own = vars(model).get(name)
    vars(model)[name] = functools.partial(getattr(model, name))
    try:
        yield
    finally:
        del vars(model)[name]
        if own is not None:
            vars(model)[name] = own


def build_optimizer(model: Any) -> None:
    """Make an optimizer's variables: a step that does is traced twice."""
    optimizer = model.optimizer if model.compiled else None
    if optimizer is not None and not optimizer.built:
        with engine.strategy_scope(model):
            optimizer.build(model.trainable_variables)
