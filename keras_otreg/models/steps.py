"""Step functions of Keras, and when they are traced again."""

import contextlib
import functools
from collections.abc import Iterator, Mapping
from typing import Any

import keras

from keras_otreg import checks, engine
from keras_otreg.models.terms import LossWeights, acts


class StepFunctions:
    """Makes the functions by which Keras trains, evaluates and predicts.

    They read the weights of the loss before each step, and are made anew when
    one is set that their graph lacks, or when a network has other variables:
    layers that were quantised, unfrozen, or given LoRA.
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
        self._variables: list[int] | None = None

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
        if made is not before:
            made = self._weights.before(
                made, model, lambda: self._made_for_weights(model, kind)
            )
            setattr(model, name, made)
        return made

    def _made_for_weights(self, model, kind):
        """Makes a step again, after a weight was set that its graph lacks."""
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
        current = [len(variables)]
        for x in variables:
            current.append(hash((id(x), x.dtype, x.trainable)))
        known, self._variables = self._variables, current
        return known not in (None, current)


@contextlib.contextmanager
def _another_step(model: Any, name: str) -> Iterator[None]:
    """Within the block, a step is another object that does the same.

    JAX would find the program that it made of the same method before.
    """
    own = vars(model).get(name)
    vars(model)[name] = functools.partial(getattr(model, name))
    try:
        yield
    finally:
        del vars(model)[name]
        if own is not None:
            vars(model)[name] = own


def build_optimizer(model: Any) -> None:
    """Makes the variables of the optimizer of a model, if it has none yet.

    TensorFlow would trace a step that makes them twice.
    """
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
