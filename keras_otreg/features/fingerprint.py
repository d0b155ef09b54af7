"""Digest of the weights of a network, up to some layers."""

import contextlib
import hashlib
from collections.abc import Iterable
from typing import Any

import keras
from keras import ops

from keras_otreg import checks
from keras_otreg.features import taps


def fingerprint(model: keras.Model, at: Iterable[str] = ()) -> str:
    """Digest of the weights of a model, of 64 hexadecimal digits.

    Equal weights have equal digests, whatever the layers are called and do;
    one other bit gives another. The states of metrics and of random numbers do
    not count. A layer with LoRA counts as it is saved, with the sum as kernel.

    Args:
        model: A built `keras.Model`.
        at: Paths of layers. If given, only what runs before these layers
            return counts: a new head does not change the features. In a model
            whose input shape is not on record, all weights count.

    Raises:
        ValueError: If the model is not built, or a path is unknown.

    Example:
        ```python
        otreg.features.fingerprint(model.teacher, at=["avg_pool"])
        ```
    """
    return fingerprint_of(model, weights_before(model, at))


def fingerprint_of(model: keras.Model, weights: Iterable[Any]) -> str:
    """Digest of some weights of a model, of 64 hexadecimal digits."""
    # Values as in a file, where kernels with LoRA are sums of their parts.
    saved: dict[int, list[Any]] = {}
    for _, layer in taps.walk(model, into_loops=True):
        if getattr(layer, "lora_enabled", False):
            store: dict[str, Any] = {}
            layer.save_own_variables(store)
            saved.update({id(weight): [] for weight in layer.weights})
            saved[id(layer.weights[0])] = list(store.values())
    found = hashlib.sha256()
    for weight in (x for each in weights for x in saved.get(id(each), [each])):
        value = ops.convert_to_numpy(weight)
        found.update(f"{value.dtype.name}{value.shape}".encode())
        found.update(value.tobytes())
    return found.hexdigest()


def weights_before(model: keras.Model, at: Iterable[str]) -> list[Any]:
    """Return the weights on which activations at some paths can depend."""
    checks.built_model(model, "model")
    paths = list(at)
    done = _done_before(model, paths) if paths else None
    if done is None:
        return model.weights
    early: set[int] = set()
    late: set[int] = set()
    for _, layer in taps.walk(model):
        inside = [layer, *(x for _, x in taps.walk(layer))]
        if id(layer) in done:
            early.update(id(weight) for weight in layer.weights)
        elif not any(id(x) in done for x in inside):
            late.update(id(weight) for weight in layer.weights)
    return [x for x in model.weights if id(x) not in late - early]


def precision_before(model: keras.Model, at: Iterable[str]) -> list[str]:
    """Return the compute dtypes of the layers before some paths."""
    done = _done_before(model, list(at))
    # A layer of layers computes nothing itself.
    layers = [x for _, x in taps.walk(model) if not taps.children(x)]
    known = (x for x in layers if done is None or id(x) in done)
    return sorted({x.compute_dtype for x in known})


def _done_before(model, paths):
    """Which layers return before the last of some; `None` if unknown."""
    last = [taps.find_layer(model, path) for path in paths]
    inputs = taps.input_spec(model)
    if inputs is None:
        return None
    layers = [layer for _, layer in taps.walk(model)]
    done = {id(layer) for layer in last}

    def run(inputs):
        with taps.recording(layers) as record, contextlib.ExitStack() as stack:

            def note(outputs):
                done.update(k for k, calls in record.items() if calls)
                return outputs

            for layer in last:
                stack.enter_context(taps.changing(layer, note))
            return model(inputs, training=False)

    taps.symbolic_outputs(run, inputs)
    return done
