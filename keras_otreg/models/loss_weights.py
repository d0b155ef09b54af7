"""Variables for the weights of loss terms, which may change in training."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
from keras import ops

from keras_otreg import engine
from keras_otreg.models.terms import Term
from keras_otreg.models.weights import acts


class LossWeights(keras.layers.Layer):
    """Lets a compiled step read weights that are attributes of other objects.

    A callback may set `penalty.weight` at any time. Each number has a scalar
    variable, which `update` sets before a step. A number that is zero and a
    schedule have no use for theirs: a term of weight 0 is left out of the
    graph, and a change from or to one of them asks for another `structure`.

    The variables are part of the state of a step, and are neither weights nor
    saved: the configuration of their owners holds the numbers.

    Args:
        owners: By the name of each term, the object that has its weight, and
            the name of the attribute.
        dtype: Type of the variables.
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
        """What a graph has to be made anew for, if it changes."""
        current = self._current().values()
        return tuple(x if callable(x) else acts(x) for x in current)

    def update(self) -> list[tuple[Any, Any]]:
        """Gives the variables the present numbers.

        Returns:
            The variables that were changed, each with its new value.
        """
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
        """Wraps a function of Keras that makes steps of a model.

        Args:
            function: `train_function` or `test_function`.
            model: Whose function it is.
            remade: Makes and returns the function that follows it when the
                structure has changed.
        """
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
