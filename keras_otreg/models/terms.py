"""The summands of a total loss, and their weights."""

from collections.abc import Callable, Iterable, Mapping
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
    # Which of its inputs and outputs are finite, if that was computed.
    finite: Any = None


def weighted_sum(total: Any, terms: Iterable[Term], step: Any) -> Any:
    """Adds the terms to a total, each with its weight at a step.

    A term of weight 0 is left out of the graph: the rest is then what it
    would be without the term, to the last bit.
    """
    for term in terms:
        if acts(term.weight):
            weighted = ops.multiply(weight_at(term.weight, step), term.value)
            total = ops.add(total, weighted)
    return total


def reported(penalties: list[Term], others: list[Term]) -> list[Any]:
    """The values of terms as one device reports them.

    Keras divides each loss by the number of TensorFlow replicas, so that
    their sum is that of one device. That of a penalty is exactly this sum;
    any other is, as `loss` itself, a mean over replicas by batch size.
    """
    values = [ops.cast(term.value, "float32") for term in penalties]
    return [
        *engine.all_reduce_sum(values),
        *(engine.unscale_loss(term.value) for term in others),
    ]


def acts(weight: Any) -> bool:
    """Whether a weight can ever be other than zero."""
    return callable(weight) or weight != 0.0


def weight_at(weight: Any, step: Any) -> Any:
    """The weight at a step of the optimizer."""
    if isinstance(weight, keras.optimizers.schedules.LearningRateSchedule):
        return ops.cast(weight(step), "float32")
    return weight(step) if callable(weight) else weight


class WeightAttribute:
    """An attribute with a checked weight, which may be set during training."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        return self if instance is None else vars(instance)[f"_{self._name}"]

    def __set__(self, instance: Any, value: Any) -> None:
        vars(instance)[f"_{self._name}"] = checks.weight(value, self._name)


class LossWeights(keras.layers.Layer):
    """Lets a compiled step read weights that are attributes of other objects.

    A callback may set `penalty.weight` at any time. Each number has a scalar
    variable, which `update` sets before a step. A number that is zero and a
    schedule have no use for theirs: a term of weight 0 is left out of the
    graph, and a change from or to one of them asks for another `structure`.

    The variables are part of the state of a step, and are neither weights nor
    saved: the configuration of their owners holds the numbers.
    """

    def __init__(self, owners: Mapping[str, tuple[Any, str]], dtype: str):
        super().__init__(name="loss_weights", dtype=dtype, trainable=False)
        self._owners = dict(owners)
        self._scalars = {
            name: self.add_weight(
                shape=(), initializer="zeros", trainable=False, name=name
            )
            for name in owners
        }
        # What the variables hold, to be compared without asking a device.
        self._held: dict[str, Any] = dict.fromkeys(owners, 0.0)
        self.built = True

    @property
    def weights(self) -> list[Any]:
        """None: no network depends on the variables."""
        return []

    @property
    def structure(self) -> tuple[Any, ...]:
        """Key of a graph: if it changes, the graph is traced again."""
        current = self._current().values()
        return tuple(x if callable(x) else acts(x) for x in current)

    def update(self) -> list[tuple[Any, Any]]:
        """Gives the variables the present numbers."""
        changed = []
        for name, weight in self._current().items():
            if callable(weight) or weight == self._held[name]:
                continue
            variable = self._scalars[name]
            value = ops.cast(weight, variable.dtype)
            variable.assign(value)
            self._held[name] = weight
            changed.append((variable, value))
        return changed

    def forget(self) -> None:
        """Lets the next `update` set all variables."""
        self._held = dict.fromkeys(self._held)

    def read(self, term: Term) -> Term:
        """Lets a term read its weight where it is computed."""
        variable = self._scalars.get(term.name)
        if variable is None or callable(term.weight) or not acts(term.weight):
            return term
        return term._replace(weight=lambda step: variable.value)

    def before(
        self,
        function: Callable[..., Any],
        model: keras.Model,
        remade: Callable[[], Callable[..., Any]],
    ) -> Callable[..., Any]:
        """Wraps a function of Keras that makes steps of a model."""
        structure = self.structure

        def step(*arguments):
            if self.structure != structure:
                return remade()(*arguments)
            changed = self.update()
            if changed:
                arguments = engine.with_variable_values(
                    arguments, model, changed
                )
            return function(*arguments)

        return step

    def save_own_variables(self, store: Any) -> None:
        """Saves nothing."""

    def load_own_variables(self, store: Any) -> None:
        """Loads nothing."""

    def _current(self):
        return {
            name: getattr(owner, attribute)
            for name, (owner, attribute) in self._owners.items()
        }
