"""The teacher, and frozen copies of networks."""

import dataclasses
import tempfile
from collections.abc import Iterable
from typing import Any

import keras

from keras_otreg import checks
from keras_otreg.features.fingerprint import (
    fingerprint_of,
    precision_before,
    weights_before,
)
from keras_otreg.features.taps import Taps, walk
from keras_otreg.models.parts import Parts, joined
from keras_otreg.ot.numerics import frozen
from keras_otreg.saving import copy_own_variables

# Of data sets, until they are mapped to others.
ATTRIBUTE = "keras_otreg_teacher"
ANEW = "Make the data with `keras_otreg.data.with_teacher(data, this_model)`."


@dataclasses.dataclass(eq=False)
class Teacher:
    """Holds the teacher, which Keras would train with its owner if it knew."""

    model: keras.Model | None
    paths: list[str]
    owned: bool = False
    reads_weights: bool = False
    # Of each `WeightPenalty`, by its name.
    weight_pairs: dict[str, Any] = dataclasses.field(default_factory=dict)
    _taps: Taps | None = None
    _before: list[Any] | None = None

    def fingerprint(self, of_all: bool = False) -> str:
        """Digest of the weights that the penalties depend on, or of all."""
        if self.model is None:
            return "none"
        if of_all or self.reads_weights:
            return fingerprint_of(self.model, self.model.weights)
        if self._before is None:
            # To find them takes longer than to read them.
            self._before = weights_before(self.model, self.paths)
        return fingerprint_of(self.model, self._before)

    def precision(self) -> list[str]:
        """Dtypes in which the activations are computed."""
        return precision_before(self.model, self.paths)

    def forget(self) -> None:
        """Clear the cache of layers and weights."""
        self._taps = None
        self._before = None

    @property
    def supports_jit(self) -> bool:
        """Whether XLA can compile all layers, as Keras keeps note of it."""
        layers = () if self.model is None else walk(self.model, into_loops=True)
        return all(layer.supports_jit for _, layer in layers)

    def activations(self, parts: Parts) -> dict[str, Any]:
        """Constant activations of target samples, which may carry them."""
        if not self.paths:
            return {}
        if parts.cached is None:
            inputs = joined(parts.target, parts.unlabelled)
            self._taps = self._taps or Taps(self.model, self.paths)
            return frozen(self._taps(inputs, training=False)[1])
        cached = joined(*parts.cached)
        if missing := sorted(set(self.paths) - set(cached)):
            raise checks.invalid(
                "batches that carry the activations of the teacher's layers "
                f"{self.paths}",
                f"those of {sorted(cached)}, without {missing}",
                ANEW,
            )
        return cached

    def mark(self, dataset: Any) -> None:
        """Note on a data set that it carries activations of this teacher."""
        known = self.fingerprint(), self.precision(), self.paths
        setattr(dataset, ATTRIBUTE, known)

    def check_data(self, data: Iterable[Any]) -> None:
        """Raise if a data set carries activations of another teacher."""
        if self.model is None:
            return
        marks = (getattr(dataset, ATTRIBUTE, None) for dataset in data)
        for fingerprint, precision, paths in filter(None, marks):
            same = paths == self.paths and not self.reads_weights
            other = self if same else Teacher(self.model, paths)
            if fingerprint != other.fingerprint():
                raise checks.invalid(
                    "the teacher whose activations the data carry",
                    f"a model whose teacher has other weights up to {paths}",
                    ANEW,
                )
            if precision != other.precision():
                raise checks.invalid(
                    "the teacher whose activations the data carry, computed "
                    f"in {precision}",
                    "a model whose teacher has the same weights and computes "
                    f"in {other.precision()} up to {paths}",
                    ANEW,
                )


def frozen_copy(model: keras.Model) -> keras.Model:
    """Copy a model as it is now."""
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


def copy_of(model: keras.Model, weights: Any = None) -> keras.Model:
    """The same network with a state of its own, or with that of `weights`."""
    copy = keras.models.clone_model(model)
    if not copy.built:
        copy.build_from_config(model.get_build_config())
    set_names(copy, names_of(model))
    # Keras forgets in a clone that inputs may be `None`.
    for part, known in [(copy, model), *_pairs(copy, model)]:
        for layer in known.layers if isinstance(known, keras.Model) else ():
            if isinstance(layer, keras.layers.InputLayer) and layer.optional:
                part.get_layer(layer.name).optional = True
    weights = weights or model
    copy.set_weights(weights.get_weights())
    # Adapted statistics, vocabularies and the like.
    for layer, known in _pairs(copy, weights):
        if _keeps_more(layer, "load_own_variables"):
            copy_own_variables(layer, known)
        if _keeps_more(layer, "load_assets"):
            with tempfile.TemporaryDirectory() as folder:
                known.save_assets(folder)
                layer.load_assets(folder)
    return copy


def _pairs(model, other):
    both = [walk(network, into_loops=True) for network in (model, other)]
    return [(x, y) for (_, x), (_, y) in zip(*both, strict=True)]


def _keeps_more(layer, method):
    """Whether a layer loads in a way of its own, beyond its weights."""
    own = getattr(type(layer), method, None)
    return own is not getattr(keras.Layer, method, None)


def names_of(network: Any) -> list[str]:
    """The name of each layer of a network, in the order of `walk`."""
    return [layer.name for _, layer in walk(network, into_loops=True)]


def set_names(network: Any, names: list[str]) -> None:
    """Give layers their names, if Keras numbered those without one anew."""
    if not isinstance(network, keras.Model):
        return
    layers = list(walk(network, into_loops=True))
    if len(layers) == len(names):
        for (_, layer), name in zip(layers, names, strict=True):
            layer.name = name
