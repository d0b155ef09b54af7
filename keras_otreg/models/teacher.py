"""The teacher, and frozen copies of networks."""

import tempfile
from collections.abc import Iterable
from typing import Any

import keras
from keras import ops

from keras_otreg import checks
from keras_otreg.features.fingerprint import (
    fingerprint_of,
    precision_before,
    weights_before,
)
from keras_otreg.features.taps import Taps
from keras_otreg.features.walk import walk
from keras_otreg.models.parts import Parts
from keras_otreg.saving import copy_own_variables

# Of data sets, until they are mapped to others.
ATTRIBUTE = "keras_otreg_teacher"
ANEW = (
    "Make the data anew with `keras_otreg.data.with_teacher(data, model)` for "
    "this model."
)


class Teacher:
    """Holds the teacher, hidden from the tracking of Keras.

    A tracked model would become part of its owner: its weights trainable, its
    regularisers counted, its `trainable` flags set with the owner's. The
    caller's model must stay as it is.
    """

    def __init__(
        self,
        model: keras.Model | None,
        paths: Iterable[str],
        owned: bool = False,
        reads_weights: bool = False,
    ):
        self.model = model
        self.paths = sorted(set(paths))
        self.owned = owned
        self.reads_weights = reads_weights
        # Of each `WeightPenalty`, by its name.
        self.weight_pairs: dict[str, Any] = {}
        self._taps: Taps | None = None
        self._before: tuple[list[Any], list[str]] | None = None

    def fingerprint(self) -> str:
        """Digest of the weights that the penalties depend on."""
        if self.model is None or self.reads_weights:
            return self.full_fingerprint()
        return fingerprint_of(self.model, self._read_first()[0])

    def full_fingerprint(self) -> str:
        """Digest of all weights."""
        if self.model is None:
            return "none"
        return fingerprint_of(self.model, self.model.weights)

    def precision(self) -> list[str]:
        """Dtypes in which the activations are computed."""
        return self._read_first()[1]

    def forget(self) -> None:
        """Clears the cache of layers and weights."""
        self._taps = None
        self._before = None

    def _read_first(self):
        """Weights and precision up to the layers that are read, found once.

        Which weights they are takes longer to find out than what they hold.
        """
        if self._before is None:
            self._before = (
                weights_before(self.model, self.paths),
                precision_before(self.model, self.paths),
            )
        return self._before

    @property
    def supports_jit(self) -> bool:
        """Whether XLA can compile all layers, as Keras keeps note of it."""
        layers = () if self.model is None else walk(self.model, into_loops=True)
        return all(layer.supports_jit for _, layer in layers)

    def activations(self, inputs: Any) -> dict[str, Any]:
        """Constant activations of the layers, in inference mode, by path."""
        self._taps = self._taps or Taps(self.model, self.paths)
        _, found = self._taps(inputs, training=False)
        return {path: ops.stop_gradient(x) for path, x in found.items()}

    def target_activations(self, parts: Parts) -> dict[str, Any]:
        """Constant activations for all target samples of a step.

        The model runs only if the inputs do not carry its activations.
        """
        if not self.paths:
            return {}
        known = parts.joined_known()
        if known is not None:
            if missing := sorted(set(self.paths) - set(known)):
                raise checks.invalid(
                    "batches that carry the activations of the teacher's "
                    f"layers {sorted(set(self.paths))}",
                    f"those of {sorted(known)}, without {missing}",
                    ANEW,
                )
            return known
        return self.activations(parts.joined_target())

    def mark(self, dataset: Any) -> None:
        """Notes on a data set that it carries activations of this teacher."""
        known = self.fingerprint(), self.precision(), self.paths
        setattr(dataset, ATTRIBUTE, known)

    def check_data(self, data: Iterable[Any]) -> None:
        """Raises if a data set carries activations of another teacher."""
        for dataset in data if self.model is not None else ():
            if known := getattr(dataset, ATTRIBUTE, None):
                fingerprint, precision, paths = known
                same = paths == self.paths and not self.reads_weights
                other = self if same else Teacher(self.model, paths)
                if fingerprint != other.fingerprint():
                    raise checks.invalid(
                        "the teacher whose activations the data carry",
                        "a model whose teacher has other weights up to "
                        f"{paths}",
                        ANEW,
                    )
                if precision != other.precision():
                    raise checks.invalid(
                        "the teacher whose activations the data carry, "
                        f"computed in {precision}",
                        "a model whose teacher has the same weights and "
                        f"computes in {other.precision()} up to {paths}",
                        ANEW,
                    )


def frozen_copy(model: keras.Model) -> keras.Model:
    """Copies a model as it is now."""
    try:
        copy = copy_of(model)
    except Exception as error:
        raise ValueError(
            f"Model '{model.name}' cannot be copied to be its own teacher: "
            f"{error} Either give it `get_config` and `from_config`, or pass a "
            "second instance of it with the same weights as `teacher=`."
        ) from error
    copy.trainable = False
    return copy


def copy_of(
    model: keras.Model, weights: keras.Model | None = None
) -> keras.Model:
    """The same network with a state of its own."""
    copy = keras.models.clone_model(model)
    if not copy.built:
        copy.build_from_config(model.get_build_config())
    take_names(copy, names_of(model))
    _take_optional_inputs(copy, model)
    take_state(copy, model if weights is None else weights)
    return copy


def take_state(model: keras.Model, other: keras.Model) -> None:
    """Gives a network the weights and adapted statistics of another."""
    model.set_weights(other.get_weights())
    for layer, known in _pairs(model, other):
        if _keeps_more(layer, "load_own_variables"):
            copy_own_variables(layer, known)
        if _keeps_more(layer, "load_assets"):
            with tempfile.TemporaryDirectory() as folder:
                known.save_assets(folder)
                layer.load_assets(folder)


def _pairs(model, other):
    both = [walk(network, into_loops=True) for network in (model, other)]
    return [(x, y) for (_, x), (_, y) in zip(*both, strict=True)]


def _take_optional_inputs(copy, model):
    """Lets inputs be `None` in a copy too, which Keras forgets in a clone."""
    for part, known in [(copy, model), *_pairs(copy, model)]:
        for layer in known.layers if isinstance(known, keras.Model) else ():
            if isinstance(layer, keras.layers.InputLayer) and layer.optional:
                part.get_layer(layer.name).optional = True


def _keeps_more(layer, method):
    """Whether a layer loads in a way of its own, beyond its weights."""
    own, usual = (
        getattr(kind, method, None) for kind in (type(layer), keras.Layer)
    )
    return own is not usual


def names_of(network: Any) -> list[str]:
    """The name of each layer of a network, in the order of `walk`."""
    return [layer.name for _, layer in walk(network, into_loops=True)]


def take_names(network: Any, names: list[str]) -> None:
    """Gives the layers of a network the names of those of its original.

    Those that a subclassed model makes without a name have another in each
    copy of it: a path that led to one would lead to nothing, or elsewhere.
    """
    if not isinstance(network, keras.Model):
        return
    layers = [layer for _, layer in walk(network, into_loops=True)]
    if len(layers) != len(names):
        return
    for layer, name in zip(layers, names, strict=True):
        if layer.name != name:
            layer.name = name
