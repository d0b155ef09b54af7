"""The terms that a source task adds to the loss of a step."""

import functools
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_otreg import checks, engine
from keras_otreg.features import taps
from keras_otreg.losses.base import ClassLoss, TransportLoss
from keras_otreg.models.parts import with_mask_of
from keras_otreg.models.source_task import SourceTask
from keras_otreg.models.terms import Term, acts


class SourceTerms:
    """Computes the terms that a source task adds to the loss of a step."""

    def __init__(self, task, student):
        kind, expected = SourceTask, "a `SourceTask`"
        self.task = checks.instance_of(task, kind, "source_task", expected)
        check_source_task(student, task)
        self.loss = loss = keras.losses.get(task.loss)
        if loss is not None and not isinstance(loss, keras.losses.Loss):
            # A function, with the weights and scaling of a loss.
            self.loss = keras.losses.Loss(name=loss.__name__)
            self.loss.call = loss
        accuracy = f"{task.name}_accuracy"
        self.metrics = [
            keras.metrics.MeanMetricWrapper(_accuracies, name=accuracy)
            if metric == "accuracy"
            else metric
            for metric in task.metrics
        ]
        self._names = f"{task.name}_loss", f"{task.name}_transport"
        # Whether there are source samples, beside the target's in a step.
        self.has_data = self.loss is not None

    @property
    def acts(self) -> bool:
        """Whether the task can have any effect, or needs no samples for it."""
        has_weight = acts(self.task.weight) or self._transports
        return has_weight or not self.has_data

    @property
    def names(self) -> list[str]:
        """Names of the terms that `terms` returns, in their order."""
        return ["target_loss", *self.weights] if self.acts else []

    @property
    def weights(self) -> dict[str, tuple[Any, str]]:
        """Owner and attribute of the weight of each term."""
        found: dict[str, tuple[Any, str]] = {}
        if self.has_data:
            found[self._names[0]] = self.task, "weight"
        if self.task.transport is not None:
            found[self._names[1]] = self.task, "transport_weight"
        return found

    def terms(self, parts, source, target_weights, training, target_loss):
        """The terms of one step; updates the metrics of the source task too."""
        if parts.source is None and self.has_data:
            return []
        shared = parts.activations[self.task.at]
        found = [Term("target_loss", target_loss, 0.0)]
        if self.has_data:
            rows = parts.source_rows(shared)
            value = self._source_loss(rows, source, training)
            found.append(Term(self._names[0], value, self.task.weight))
        if self.task.transport is not None:
            rows = parts.target_rows(shared), parts.target_rows(parts.outputs)
            learns = training and self._transports and self.has_data
            found.append(self._transport(*rows, target_weights, learns))
        return found

    def _source_loss(self, shared, source, training):
        (y, weights), head = source, self.task.head
        predicted, losses = engine.call_with_losses(head, shared, training)
        for metric in self.metrics:
            metric.update_state(y, predicted, sample_weight=weights)
        value = self.loss(y, predicted, sample_weight=weights)
        # Those of weight regularisers come last: the whole model has them.
        known = [x for x in head.trainable_weights if x.regularizer is not None]
        for loss in losses[: len(losses) - len(known)]:
            value = value + engine.scale_loss(ops.sum(loss))
        return value

    @property
    def _transports(self):
        present = self.task.transport is not None
        return present and acts(self.task.transport_weight)

    def _transport(self, shared, prediction, weights, learns):
        source_view = self.task.head(shared, training=learns)
        if self.task.gradient_to == "source":
            constant = ops.stop_gradient(prediction)
            prediction = with_mask_of(prediction, constant)
        if self.task.gradient_to == "target":
            source_view = ops.stop_gradient(source_view)
        loss, solved = self.task.transport, None
        arguments = source_view, prediction, weights
        if isinstance(loss, TransportLoss):
            solved = functools.partial(loss.solved, *arguments)
        weight = self.task.transport_weight
        return Term(self._names[1], loss(*arguments), weight, solved)


def _accuracies(y_true, y_pred):
    """Whether each prediction is right, by its shape as Keras tells kinds."""
    y_true = ops.convert_to_tensor(y_true)
    if y_pred.shape[-1] == 1:
        return keras.metrics.binary_accuracy(y_true, y_pred)
    if len(y_true.shape) < len(y_pred.shape) or y_true.shape[-1] == 1:
        return keras.metrics.sparse_categorical_accuracy(y_true, y_pred)
    return keras.metrics.categorical_accuracy(y_true, y_pred)


def check_source_task(student, task):
    """Build the source head, or raise if it cannot be tied to a student."""
    taps.find_layer(student, task.at)
    inputs = taps.input_spec(student)
    if inputs is None:
        if not task.head.built:
            raise checks.invalid(
                f"source head '{task.head.name}' to be built, because the "
                "input shape of the student is not on record",
                "a head without weights",
                "Call the head once on activations of the student.",
            )
        return
    specs = taps.activation_specs(student)
    shared = taps.output_of(specs, task.at)
    try:
        predicted = task.head(keras.KerasTensor(shared.shape, shared.dtype))
    except Exception as error:
        raise checks.invalid(
            f"source head '{task.head.name}' to take the activations at "
            f"'{task.at}', of shape {tuple(shared.shape)}",
            error,
        ) from error
    if isinstance(task.transport, ClassLoss):
        prediction = student.compute_output_spec(inputs)
        checks.single_tensor(prediction, f"{student.name} (its prediction)")
        task.transport.check_classes(predicted.shape, prediction.shape)
        _check_probabilities(student, task, inputs)


def _check_probabilities(student, task, inputs):
    """Raise if a head does not return probabilities for samples of noise."""
    if any(None in x.shape[1:] for x in keras.tree.flatten(inputs)):
        return
    rng = np.random.default_rng(0)
    noise = keras.tree.map_structure(
        lambda x: ops.cast(rng.normal(size=(2, *x.shape[1:])), x.dtype), inputs
    )
    target, found = taps.capture(student, noise, [task.at], training=False)
    source = task.head(found[task.at], training=False)
    heads = (f"source head '{task.head.name}'", f"student '{student.name}'")
    each = zip(heads, (source, target), task.transport.from_logits, strict=True)
    for head, values, is_logits in each:
        values = ops.convert_to_numpy(values)
        sums = values.sum(axis=-1)
        inside = values.min() >= -1e-6 and values.max() <= 1.0 + 1e-6
        if not is_logits and not (inside and abs(sums - 1.0).max() <= 1e-2):
            raise checks.invalid(
                f"{head} to return probabilities, because its predictions are "
                "transported with from_logits=False",
                f"values from {values.min():.3g} to {values.max():.3g} with "
                f"row sums near {sums.mean():.3g}",
                "End it with a softmax, or set `from_logits` of the loss.",
            )
