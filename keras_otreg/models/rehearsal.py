"""What Keras does with a model before its first step."""

import functools
from typing import Any

import keras

from keras_otreg import checks, engine
from keras_otreg.models import optimizer_state
from keras_otreg.models.weights import acts


class Rehearsed:
    """Knows when Keras tries a model on the shapes of its data.

    JAX, PyTorch and the strategies of TensorFlow make their metrics that way,
    on what `fit` is given but in inference mode: a pair is then no mistake.
    Strategies take the shapes from the mean of the replicas' batches, which
    fails where these are unlike, and always between several workers
    (keras-team/keras, issue 20585): here they come from one of the batches. To
    be inherited from before `keras.Model`.
    """

    _is_rehearsal = False
    _known_variables: Any = None

    def _maybe_symbolic_build(
        self, iterator: Any = None, data_batch: Any = None
    ) -> None:
        strategy = self.distribute_strategy  # type: ignore[attr-defined]
        if iterator is not None and strategy.num_replicas_in_sync > 1:
            data_batch = _first_batch(iterator, strategy)
            iterator = None
        super()._maybe_symbolic_build(  # type: ignore[misc]
            iterator=iterator, data_batch=data_batch
        )

    def compute_metrics(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The logs of a step; see `keras.Model.compute_metrics`."""
        logs = super().compute_metrics(*args, **kwargs)  # type: ignore[misc]
        return engine.reducible_logs(logs)

    def make_train_function(self: Any, force: bool = False) -> None:
        """Makes the step of training; see `keras.Model.make_train_function`.

        A step that makes the variables of the optimizer is traced twice by
        TensorFlow: here they are made before.
        """
        self._forget_old_networks()
        self._train_adapters()
        optimizer_state.build(self)
        self._remake("train", force)

    def make_test_function(self: Any, force: bool = False) -> None:
        """Makes the step of `evaluate`; see `keras.Model.evaluate`."""
        self._forget_old_networks()
        self._remake("test", force)

    def make_predict_function(self: Any, force: bool = False) -> Any:
        """Makes the step of `predict`; see `keras.Model.predict`."""
        self._forget_old_networks()
        return super().make_predict_function(force)  # type: ignore[misc]

    def _remake(self: Any, kind: str, force: bool) -> Any:
        """Makes a step that reads the weights of the loss, and returns it."""
        before = getattr(self, f"{kind}_function")
        step = getattr(self, f"{kind}_step")
        # JAX would find the program that it made of the same method before.
        vars(self)[f"{kind}_step"] = functools.partial(step)
        try:
            getattr(super(), f"make_{kind}_function")(force)
        finally:
            del vars(self)[f"{kind}_step"]
        made = getattr(self, f"{kind}_function")
        if made is not before:
            made = self.loss_weights.before(
                made, self, lambda: self._remade(kind)
            )
            setattr(self, f"{kind}_function", made)
        return made

    def _remade(self: Any, kind: str) -> Any:
        """Makes a step anew, after a weight was set that its graph lacks."""
        checks.trained_adapters(
            name
            for name, penalty in self._switched_adapters().items()
            if acts(penalty.weight)
        )
        return self._remake(kind, force=True)

    def _switched_adapters(self: Any) -> dict[str, Any]:
        """Penalties with an adapter that are on and were off, or otherwise."""
        return {
            name: penalty
            for name, penalty in self._named().items()
            if name in self.adapters
            and acts(penalty.weight) is not self._is_on[name]
        }

    def _train_adapters(self: Any) -> None:
        """Trains the adapters of penalties that are on, and no other."""
        for name, penalty in self._switched_adapters().items():
            is_on = acts(penalty.weight)
            self.adapters[name].trainable = is_on
            self._is_on[name] = is_on

    def _forget_old_networks(self: Any) -> None:
        """Lets all steps be made anew if a network has other variables.

        They do not know of layers that were quantised, unfrozen, or given
        LoRA since they were made.
        """
        networks = [x for x in (self.student, self.teacher) if x is not None]
        variables = [x for network in networks for x in network.variables]
        current = hash(tuple((id(x), x.dtype, x.trainable) for x in variables))
        known, self._known_variables = self._known_variables, current
        if known in (None, current):
            return
        self._frozen.forget()
        for kind in ("train", "test"):
            if getattr(self, f"{kind}_function") is not None:
                self._remake(kind, force=True)
        if self.predict_function is not None:
            super().make_predict_function(force=True)  # type: ignore[misc]

    def _symbolic_build(self, *args: Any, **kwargs: Any) -> None:
        self._is_rehearsal = True
        try:
            super()._symbolic_build(*args, **kwargs)  # type: ignore[misc]
        finally:
            self._is_rehearsal = False


def _first_batch(iterator, strategy):
    """The first batch of a replica of this process."""
    for _, _, batches in iterator:
        return keras.tree.map_structure(
            lambda values: strategy.experimental_local_results(values)[0],
            next(batches),
        )
    return None
