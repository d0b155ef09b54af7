"""A labelled source task that trains beside the target task."""

import functools
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_otreg import checks, engine
from keras_otreg.features.masks import with_mask_of
from keras_otreg.features.taps import (
    activation_specs,
    capture,
    input_spec,
    output_of,
)
from keras_otreg.features.walk import find_layer
from keras_otreg.losses import ClassTransport
from keras_otreg.losses.base import solved_plan
from keras_otreg.models.parts import Forward, Labels, Wrapper
from keras_otreg.models.terms import (
    Term,
    acts,
    deserialize_weight,
    serialize_weight,
)
from keras_otreg.saving import Configurable, export

GRADIENTS = ("both", "source", "target")


@export
class SourceTask(Configurable):
    """Trains a second head on source data, tied to the target's by transport.

    The loss of a step is `CE(target) + weight * CE(source) + transport_weight
    * OT(source head, target head)`. The last term compares the predictions of
    the two heads for the target samples.

    Args:
        head: Any layer or model from the activations at `at` to source
            classes.
        at: Path of the last shared layer of the student.
        loss: Loss of the source task: a `keras.losses.Loss`, or the name of
            one.
        weight: Factor of the source task's loss: a number of at least 0 or a
            `LearningRateSchedule` over the optimizer's steps. A callback may
            set the attribute: it counts from the next step on.
        transport: A `keras_otreg.losses.ClassTransport`, or any Keras loss
            over (source, target) predictions; `None` for none.
        transport_weight: Factor of the transport term, like `weight`.
        gradient_to: Which classifier the transport term moves: `"both"`, as
            the paper's objective is printed, `"source"`, as its abstract says,
            or `"target"`.
        name: Prefix of what is logged: `source_loss`, `source_accuracy`,
            `source_transport`.
        metrics: Metrics of the source task: `keras.metrics.Metric`s of other
            names than those of the target task, or `"accuracy"`.

    Example:
        ```python
        task = otreg.SourceTask(
            keras.layers.Dense(52, activation="softmax"),
            at="features",
            loss="sparse_categorical_crossentropy",
            transport=otreg.losses.ClassTransport(cost_matrix),
        )
        model = otreg.TransferModel(student, source_task=task)
        model.compile("adam", "sparse_categorical_crossentropy")
        model.fit(otreg.data.paired(target, source, batch_size=32))
        ```

    References:
        Lu, Chen and Saidi, "Optimal transport for deep joint transfer
        learning" (2017), arXiv 1709.02995.
    """

    def __init__(
        self,
        head: Any,
        at: str,
        loss: Any,
        *,
        weight: Any = 1.0,
        transport: Any = None,
        transport_weight: Any = 1.0,
        gradient_to: str = "both",
        name: str = "source",
        metrics: Any = ("accuracy",),
    ):
        self.head = checks.instance_of(
            head, keras.layers.Layer, "head", "a Keras layer or model"
        )
        self.at = checks.layer_path(at, "at")
        self.loss = loss
        self.weight = weight
        self.transport = (
            None if transport is None else checks.loss(transport, "transport")
        )
        self.transport_weight = transport_weight
        self.gradient_to = checks.one_of(gradient_to, GRADIENTS, "gradient_to")
        self.name = checks.instance_of(name, str, "name", "a string")
        self.metrics = _as_metrics(metrics)

    @property
    def weight(self) -> Any:
        """Factor of the source task's loss; may be set during training."""
        return self._weight

    @weight.setter
    def weight(self, value: Any) -> None:
        self._weight = checks.weight(value)

    @property
    def transport_weight(self) -> Any:
        """Factor of the transport term; may be set during training."""
        return self._transport_weight

    @transport_weight.setter
    def transport_weight(self, value: Any) -> None:
        self._transport_weight = checks.weight(value, "transport_weight")

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        serialize = keras.saving.serialize_keras_object
        return {
            "head": serialize(self.head),
            "at": self.at,
            "loss": serialize(self.loss),
            "weight": serialize_weight(self.weight),
            "transport": serialize(self.transport),
            "transport_weight": serialize_weight(self.transport_weight),
            "gradient_to": self.gradient_to,
            "name": self.name,
            "metrics": serialize(self.metrics),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SourceTask":
        """Builds the task that `get_config` described."""
        config = dict(config)
        for key in ("head", "loss", "transport", "metrics"):
            config[key] = keras.saving.deserialize_keras_object(config[key])
        for key in ("weight", "transport_weight"):
            config[key] = deserialize_weight(config[key])
        return cls(**config)


@export
class SourceModel(Wrapper):
    """The shared layers of a network under a second head."""

    def __init__(
        self, network: Any, at: str, head: Any, *, name: str = "source_model"
    ):
        super().__init__(name=name, dtype=network.dtype_policy, autocast=False)
        self.network = network
        self.at = at
        self.head = head
        self.built = True

    def build(self, input_shape: Any = None) -> None:
        """Does nothing: both parts are built."""

    def call(self, inputs, training=None):
        """Returns the second head's prediction."""
        _, found = capture(self.network, inputs, [self.at], training=training)
        return self.head(found[self.at], training=training)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            "network": keras.saving.serialize_keras_object(self.network),
            "at": self.at,
            "head": keras.saving.serialize_keras_object(self.head),
            "name": self.name,
        }


def _as_metrics(values):
    several = isinstance(values, Iterable) and not isinstance(values, str)
    values = list(values) if several else [values]
    expected = "'accuracy' or a list of `keras.metrics.Metric` objects"
    for value in values:
        if value != "accuracy":
            checks.instance_of(value, keras.metrics.Metric, "metrics", expected)
    return values


class FunctionLoss(keras.losses.Loss):
    """A loss function of Keras, with the weights and scaling of a loss."""

    def __init__(self, function):
        super().__init__(name=function.__name__)
        self.function = function

    def call(self, y_true, y_pred):
        """Values of shape `(batch, ...)`."""
        return self.function(y_true, y_pred)


class SourceTerms:
    """Computes the terms that a source task adds to the loss of a step."""

    def __init__(self, task: SourceTask):
        self.task = task
        loss = keras.losses.get(task.loss)
        is_loss = isinstance(loss, keras.losses.Loss)
        self.loss = loss if is_loss else FunctionLoss(loss)
        self.metrics = [self._metric(metric) for metric in task.metrics]

    @property
    def acts(self) -> bool:
        """Whether the source samples can have any effect."""
        return acts(self.task.weight) or self._transports

    @property
    def names(self) -> list[str]:
        """Names of the terms that `terms` returns, in their order."""
        if not self.acts:
            return []
        names = ["target_loss", f"{self.task.name}_loss"]
        if self.task.transport is not None:
            names.append(f"{self.task.name}_transport")
        return names

    @property
    def weights(self) -> dict[str, tuple[Any, str]]:
        """Owner and attribute of the weight of each term."""
        name, task = self.task.name, self.task
        found = {f"{name}_loss": (task, "weight")}
        if task.transport is not None:
            found[f"{name}_transport"] = task, "transport_weight"
        return found

    def terms(
        self,
        forward: Forward,
        source: Labels,
        target_weights: Any,
        training: bool,
        target_loss: Any,
    ) -> list[Term]:
        """The terms of one step; updates the metrics of the source task too."""
        parts, outputs, activations = forward
        shared = activations[self.task.at]
        predicted, own = _called(
            self.task.head, parts.source_rows(shared), training
        )
        value = self.loss(source.y, predicted, sample_weight=source.weights)
        value = sum(own, value)
        for metric in self.metrics:
            metric.update_state(
                source.y, predicted, sample_weight=source.weights
            )
        values: list[Any] = [(target_loss, 0.0), (value, self.task.weight)]
        if self.task.transport is not None:
            transport, solved = self._transport(
                parts.target_rows(shared),
                parts.target_rows(outputs),
                target_weights,
                training and self._transports,
            )
            values.append((transport, self.task.transport_weight, solved))
        named = zip(self.names, values, strict=True)
        return [Term(name, *pair) for name, pair in named]

    @property
    def _transports(self):
        present = self.task.transport is not None
        return present and acts(self.task.transport_weight)

    def _transport(self, shared, prediction, weights, training):
        """The transport loss between the predictions of both heads."""
        source_view = self.task.head(shared, training=training)
        if self.task.gradient_to == "source":
            constant = ops.stop_gradient(prediction)
            prediction = with_mask_of(prediction, constant)
        if self.task.gradient_to == "target":
            source_view = ops.stop_gradient(source_view)
        loss = self.task.transport
        value = loss(source_view, prediction, sample_weight=weights)
        solved = functools.partial(
            solved_plan, loss, source_view, prediction, weights
        )
        return value, solved

    def _metric(self, metric):
        if metric != "accuracy":
            return metric
        return keras.metrics.MeanMetricWrapper(
            _accuracies, name=f"{self.task.name}_accuracy"
        )


def _accuracies(y_true, y_pred):
    """Whether each prediction is right, by its shape as Keras tells kinds."""
    y_true = ops.convert_to_tensor(y_true)
    if y_pred.shape[-1] == 1:
        return keras.metrics.binary_accuracy(y_true, y_pred)
    if len(y_true.shape) < len(y_pred.shape) or y_true.shape[-1] == 1:
        return keras.metrics.sparse_categorical_accuracy(y_true, y_pred)
    return keras.metrics.categorical_accuracy(y_true, y_pred)


def _called(layer, inputs, training):
    """Outputs of a layer, and the losses that its call added.

    They are scaled for replicas as in Keras. Those of weight regularisers come
    last, and are among the losses of the whole model already.
    """
    outputs, losses = engine.call_with_losses(layer, inputs, training)
    weights = [x for x in layer.trainable_weights if x.regularizer is not None]
    of_call = losses[: len(losses) - len(weights)]
    return outputs, [engine.scale_loss(ops.sum(loss)) for loss in of_call]


def check_source_task(student: keras.Model, task: Any) -> None:
    """Builds the source head, or raises if it cannot be tied to a student."""
    find_layer(student, task.at)
    inputs = input_spec(student)
    if inputs is None:
        if not task.head.built:
            raise checks.invalid(
                f"source head '{task.head.name}' to be built, because the "
                "input shape of the student is not on record",
                "a head without weights",
                "Call the head once on activations of the student.",
            )
        return
    specs = activation_specs(student)
    shared = output_of(specs, task.at)
    try:
        predicted = task.head(keras.KerasTensor(shared.shape, shared.dtype))
    except Exception as error:
        raise checks.invalid(
            f"source head '{task.head.name}' to take the activations at "
            f"'{task.at}', of shape {tuple(shared.shape)}",
            error,
        ) from error
    if isinstance(task.transport, ClassTransport):
        prediction = student.compute_output_spec(inputs)
        checks.single_tensor(prediction, f"{student.name} (its prediction)")
        costs = task.transport.cost_matrix
        checks.class_counts(costs.shape, predicted.shape, prediction.shape)
        _check_probabilities(student, task, inputs)


def _check_probabilities(student, task, inputs):
    """Raises if a head does not return probabilities for samples of noise."""
    shapes = [(2, *x.shape[1:]) for x in keras.tree.flatten(inputs)]
    if any(None in shape for shape in shapes):
        return
    rng = np.random.default_rng(0)
    noise = keras.tree.map_structure(
        lambda x: ops.cast(rng.normal(size=(2, *x.shape[1:])), x.dtype), inputs
    )
    target, found = capture(student, noise, [task.at], training=False)
    source = task.head(found[task.at], training=False)
    heads = (f"source head '{task.head.name}'", f"student '{student.name}'")
    for head, values, is_logits in zip(
        heads, (source, target), task.transport.from_logits, strict=True
    ):
        values = ops.convert_to_numpy(values)
        sums = values.sum(axis=-1)
        inside = values.min() >= -1e-6 and values.max() <= 1.0 + 1e-6
        if not is_logits and not (inside and abs(sums - 1.0).max() <= 1e-2):
            raise checks.invalid(
                f"{head} to return probabilities, because its predictions are "
                "transported with from_logits=False",
                f"values from {values.min():.3g} to {values.max():.3g} with "
                f"row sums near {sums.mean():.3g}",
                "End it with a softmax, or set `from_logits` of the loss (a "
                "pair for source and target).",
            )
