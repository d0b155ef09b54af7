"""Copies of a classifier's head at the temperature that suits some samples."""

from typing import Any, NamedTuple

import keras
import numpy as np

from keras_otreg import checks
from keras_otreg.class_costs.extract import extract
from keras_otreg.features.batches import softmax
from keras_otreg.features.walk import find_layer

# Temperatures to choose from; the first of equally good ones, so 1 is first.
TEMPERATURES = (1.0, *(2.0**k for k in (-0.5, 0.5, -1, 1, -1.5, 1.5, -2, 2)))
BATCH = 128
# In float32 the logarithm of less is not finite.
SMALLEST = 1e-30
LAYERS = keras.layers
ENDS = (LAYERS.Activation, LAYERS.Dropout, LAYERS.Softmax)


class CalibratedHead(NamedTuple):
    """A frozen head, and what it predicts for labelled samples."""

    head: keras.Model
    is_logits: bool
    temperature: float
    probabilities: np.ndarray
    labels: np.ndarray


def calibrated_head(
    teacher: keras.Model, at: str, data: Any, temperature: float | None = None
) -> CalibratedHead:
    """Copy the layers behind `at`, with the temperature in their weights."""
    head = _copied(teacher, at)
    last = _last_dense(head)
    is_logits = not _has_softmax(head, last)
    last_name = teacher.layers[-1].name
    if isinstance(data, tuple):
        x, y, *_ = checks.sample_tuple(data, "target")
        data = [
            keras.tree.map_structure(lambda v, k=k: v[k : k + BATCH], (x, y))
            for k in range(0, len(y), BATCH)
        ]
    found, labels = extract(teacher, last_name, data, verbose=0)
    if not is_logits:
        found = np.log(np.maximum(found, SMALLEST))
    if temperature is None:
        temperature = fitted_temperature(found, labels)
    checks.positive(temperature, "temperature")
    last.set_weights([w / temperature for w in last.get_weights()])
    probabilities = softmax((found / temperature).astype(np.float64))
    return CalibratedHead(head, is_logits, temperature, probabilities, labels)


def fitted_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature at which predictions tell the labels of samples best.

    The measure is the log-likelihood of a sample's label, through the mean
    predictions of all other samples of each class.
    """
    scores = [
        round(_likelihood(softmax((logits / t).astype(np.float64)), labels), 9)
        for t in TEMPERATURES
    ]
    return TEMPERATURES[int(np.argmax(scores))]


def _likelihood(probabilities, labels):
    """Mean log-likelihood of each label, given the other samples."""
    classes, own = np.unique(labels, return_inverse=True)
    own = own.reshape(-1)
    members = np.eye(len(classes))[own]
    sums, counts = members.T @ probabilities, members.sum(axis=0)
    mean = probabilities.mean(axis=0)
    rates = (sums + mean) / (counts + 1.0)[:, None]
    # Of each sample: its class without it, and all classes together.
    rate = (sums[own] - probabilities + mean) / counts[own][:, None]
    total = rates.sum(axis=0) - rates[own] + rate
    return float(np.log((probabilities * rate / total).sum(axis=1)).mean())


def _copied(teacher, at):
    """A frozen copy of the layers behind a layer."""
    checks.built_model(teacher, "teacher")
    layer = find_layer(teacher, at)
    try:
        part = keras.Model(layer.output, teacher.output, name="frozen_head")
        head = keras.models.clone_model(part)
    except Exception as error:
        raise checks.invalid(
            f"a Functional or Sequential teacher that can be cut at '{at}'",
            f"'{teacher.name}', of type {type(teacher).__name__}: {error}",
            "Name a layer of the teacher itself, not of a model in it.",
        ) from error
    head.set_weights(part.get_weights())
    return head


def _last_dense(head):
    layers = list(head.layers)
    while isinstance(layers[-1], ENDS):
        layers.pop()
    if isinstance(layers[-1], keras.layers.Dense):
        return layers[-1]
    raise checks.invalid(
        "a teacher whose last layer with weights is a `Dense` behind `at`",
        f"'{layers[-1].name}', of type {type(layers[-1]).__name__}",
        "Name the layer before the head, such as the pooling.",
    )


def _has_softmax(head, last):
    """Whether a head ends in a softmax; raises for any other activation."""
    ends = head.layers[head.layers.index(last) :]
    names = [
        getattr(getattr(layer, "activation", None), "__name__", "linear")
        for layer in ends
    ]
    softmax = any(isinstance(layer, keras.layers.Softmax) for layer in ends)
    others = {*names} - {"linear", "softmax"}
    if others:
        raise checks.invalid(
            "a teacher that ends in a softmax, or logits, of its classes",
            f"activations {sorted(others)}",
        )
    return softmax or "softmax" in names
