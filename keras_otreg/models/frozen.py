"""Networks that are read, and never trained."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

from keras_otreg import checks
from keras_otreg.features.fingerprint import (
    fingerprint_of,
    precision_before,
    weights_before,
)
from keras_otreg.features.taps import capture
from keras_otreg.features.walk import walk
from keras_otreg.models.batch import Parts
from keras_otreg.models.copies import copy_of


class FrozenNetwork:
    """Holds a model out of sight of the tracking of Keras.

    A tracked model would become part of its owner: its weights trainable, its
    regularisers counted, its `trainable` flags set with the owner's. The
    caller's model must stay as it is.

    Args:
        model: A built `keras.Model`.
        is_ours: Whether nobody else holds the model.

    Attributes:
        is_hidden: Whether Keras is to save and to load without the model.
    """

    def __init__(self, model: keras.Model, is_ours: bool = False):
        self.model = model
        self.is_ours = is_ours
        self.is_hidden = False
        self._known: dict[tuple[str, ...], tuple[Any, list[str]]] = {}

    def fingerprint(self, paths: list[str]) -> str:
        """A short name for the weights that some activations depend on."""
        return fingerprint_of(self.model, self._before(paths)[0])

    def precision(self, paths: list[str]) -> list[str]:
        """The types of number that some activations are computed in."""
        return self._before(paths)[1]

    def forget(self) -> None:
        """Finds out anew, when next asked, which weights the model has."""
        self._known = {}

    def _before(self, paths):
        """Weights and precision up to some layers, found out once.

        Which weights they are takes longer to find out than what they hold.
        """
        key = tuple(paths)
        if key not in self._known:
            self._known[key] = (
                weights_before(self.model, paths),
                precision_before(self.model, paths),
            )
        return self._known[key]

    @property
    def supports_jit(self) -> bool:
        """Whether XLA can compile all layers, as Keras keeps note of it."""
        layers = () if self.model is None else walk(self.model, into_loops=True)
        return all(layer.supports_jit for _, layer in layers)

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Whoever hides the model within it, it is not hidden afterwards."""
        try:
            yield
        finally:
            self.is_hidden = False

    def activations(self, inputs: Any, paths: list[str]) -> dict[str, Any]:
        """Constant activations of some layers, in inference mode."""
        _, found = capture(self.model, inputs, paths, training=False)
        return keras.tree.map_structure(keras.ops.stop_gradient, found)

    def target_activations(
        self, parts: Parts, paths: list[str]
    ) -> dict[str, Any]:
        """Constant activations for all target samples of a step.

        The model runs only if the inputs do not carry its activations.
        """
        known = parts.joined_known()
        if known is not None:
            return checks.carried_layers(known, paths)
        return self.activations(parts.joined_target(), paths)


def frozen_copy(model: keras.Model) -> keras.Model:
    """Copies a model as it is now.

    Args:
        model: A built `keras.Model`.

    Returns:
        A model of the same architecture, with equal weights of its own
        and all that layers have adapted to.

    Raises:
        ValueError: If the model cannot be copied.
    """
    try:
        copy = copy_of(model)
    except Exception as error:
        raise checks.uncopied_model(model.name, error) from error
    copy.trainable = False
    return copy
