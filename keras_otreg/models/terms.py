"""The terms of a total loss, their weights, and the steps that read these."""

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
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

    Terms of weight 0 are left out of the graph, and so change no bit.
    """
    for term in terms:
        if acts(term.weight):
            weighted = ops.multiply(weight_at(term.weight, step), term.value)
            total = ops.add(total, weighted)
    return total


def reported(terms: list[Term], penalties: int) -> list[Any]:
    """The values of terms, penalties first, as one device reports them.

    Keras divides each loss by the number of TensorFlow replicas, so that
    their sum is that of one device. That of a penalty is exactly this sum;
    any other is, as `loss` itself, a mean over replicas by batch size.
    """
    values = [ops.cast(term.value, "float32") for term in terms[:penalties]]
    others = [engine.unscale_loss(term.value) for term in terms[penalties:]]
    return [*engine.all_reduce_sum(values), *others]


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
    variable, which `update` sets before a step. Terms of weight 0 are left out
    of the graph, and schedules are part of it: such changes ask for another
    `structure`. The variables are neither weights nor saved.
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

    def save_own_variables(self, store: Any) -> None:
        """Saves nothing."""

    def load_own_variables(self, store: Any) -> None:
        """Loads nothing."""

    def _current(self):
        owners = self._owners.items()
        return {name: getattr(*owner) for name, owner in owners}


class StepFunctions:
    """Makes the functions by which Keras trains, evaluates and predicts.

    They read the weights of the loss before each step, and are made anew when
    one is set that their graph lacks, or when a network has other variables,
    because layers were quantised, unfrozen, or given LoRA.
    """

    def __init__(
        self,
        weights: LossWeights,
        penalties: Mapping[str, Any],
        adapters: Mapping[str, keras.layers.Layer],
    ):
        self._weights = weights
        self._penalties = {name: penalties[name] for name in adapters}
        self._adapters = adapters
        self._is_on = {k: acts(x.weight) for k, x in self._penalties.items()}
        self._variables: list[Any] | None = None

    def make(self, model: Any, kind: str, force: bool) -> Any:
        """Makes the function of a kind of step, if there is none."""
        if self._has_other_variables(model):
            model.find_layers()
            for known in ("train", "test", "predict"):
                if getattr(model, f"{known}_function") is not None:
                    self._remake(model, known, force=True)
        if kind == "train":
            self.train_adapters()
            build_optimizer(model)
        return self._remake(model, kind, force)

    def train_adapters(self) -> None:
        """Trains the adapters of penalties that act, and no other."""
        for name in self._switched():
            self._is_on[name] = acts(self._penalties[name].weight)
            self._adapters[name].trainable = self._is_on[name]

    def _remake(self, model, kind, force):
        name = f"{kind}_function"
        make = getattr(keras.Model, f"make_{name}")
        if kind == "predict":
            return make(model, force)
        before = getattr(model, name)
        with _another_step(model, f"{kind}_step"):
            make(model, force)
        made = getattr(model, name)
        if made is before:
            return made
        structure = self._weights.structure

        def step(*arguments):
            if self._weights.structure != structure:
                return self._made_for_weights(model, kind)(*arguments)
            if changed := self._weights.update():
                arguments = engine.with_variable_values(
                    arguments, model, changed
                )
            return made(*arguments)

        setattr(model, name, step)
        return step

    def _made_for_weights(self, model, kind):
        names = sorted(x for x in self._switched() if not self._is_on[x])
        if names:
            raise checks.invalid(
                f"a weight above 0 from the start of `fit` for {names}, whose "
                "adapters are not trained at weight 0",
                "a weight above 0 in the middle of it",
                "Start from a small weight, such as 1e-6",
            )
        return self._remake(model, kind, force=True)

    def _switched(self):
        """Names of adapters whose penalties act and did not, or otherwise."""
        return [
            name
            for name, penalty in self._penalties.items()
            if acts(penalty.weight) is not self._is_on[name]
        ]

    def _has_other_variables(self, model):
        variables = list(model.student.variables)
        if model.teacher is not None:
            variables += model.teacher.variables
        current = [(id(x), x.dtype, x.trainable) for x in variables]
        known, self._variables = self._variables, current
        return known not in (None, current)


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
    """Makes an optimizer's variables: a step that does is traced twice."""
    optimizer = model.optimizer if model.compiled else None
    if optimizer is not None and not optimizer.built:
        with engine.strategy_scope(model):
            optimizer.build(model.trainable_variables)


def first_batch(iterator: Any, strategy: Any) -> Any:
    """The first batch of a replica of this process, or `None`.

    Keras would take the shapes of the mean of the replicas' batches, which
    fails where these are unlike, and always between several workers
    (keras-team/keras, issue 20585).
    """
    for _, _, batches in iterator:
        return keras.tree.map_structure(
            lambda values: strategy.experimental_local_results(values)[0],
            next(batches),
        )
    return None
