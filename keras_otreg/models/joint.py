"""The terms that a source task adds to the loss."""

import functools
from typing import Any

import keras
from keras import ops

from keras_otreg import replicas
from keras_otreg.losses.transport_loss import solved_plan
from keras_otreg.models import batch
from keras_otreg.models.source_task import SourceTask
from keras_otreg.models.terms import Term
from keras_otreg.models.weights import acts


class FunctionLoss(keras.losses.Loss):
    """A loss function of Keras, with the weights and scaling of a loss."""

    def __init__(self, function):
        super().__init__(name=function.__name__)
        self.function = function

    def call(self, y_true, y_pred):
        """Values of shape `(batch, ...)`."""
        return self.function(y_true, y_pred)


class JointTraining:
    """Computes what a source task adds to a step.

    Args:
        task: A `SourceTask` whose head is built.
    """

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

    def terms(
        self,
        parts: batch.Parts,
        forward: tuple[Any, dict[str, Any]],
        source: batch.Labels,
        target_weights: Any,
        training: bool,
        target_loss: Any,
    ) -> list[Term]:
        """The terms of one step; takes them up in the metrics too.

        Args:
            parts: Inputs of the step.
            forward: Prediction and activations of all samples of the step.
            source: Labels and weights of the source samples.
            target_weights: Weights of the target samples, or `None`.
            training: Passed to the head.
            target_loss: Loss of the target task, which is only logged.

        Returns:
            A list of `Term`s.
        """
        outputs, activations = forward
        shared = activations[self.task.at]
        predicted, own = _called(
            self.task.head, batch.source_part(shared, parts), training
        )
        value = self.loss(source.y, predicted, sample_weight=source.weights)
        value = sum(own, value)
        for metric in self.metrics:
            metric.update_state(
                source.y, predicted, sample_weight=source.weights
            )
        values = [(target_loss, 0.0), (value, self.task.weight)]
        if self.task.transport is not None:
            transport, solved = self._transport(
                batch.target_part(shared, parts),
                batch.target_part(outputs, parts),
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
        """The transport loss between what both heads say of the target.

        With it comes what makes the plan.
        """
        source_view = self.task.head(shared, training=training)
        if self.task.gradient_to == "source":
            prediction = ops.stop_gradient(prediction)
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
    """What a layer says, and what it adds to the loss in that."""
    if keras.backend.backend() != "jax":
        return layer(inputs, training=training), _losses_of_call(layer)
    # In a step on JAX losses are kept where someone asks for them alone.
    known = [(variable, variable.value) for variable in layer.variables]
    with keras.StatelessScope(known, collect_losses=True) as scope:
        outputs = layer(inputs, training=training)
        losses = _losses_of_call(layer)
    for variable, value in known:
        new = scope.get_current_value(variable)
        if new is not value:
            variable.assign(new)
    return outputs, losses


def _losses_of_call(layer):
    """What `add_loss` and activity regularisers added in the last call.

    As Keras scales them for replicas. Those of weights, which come last, are
    among the losses of the whole model.
    """
    weights = [x for x in layer.trainable_weights if x.regularizer is not None]
    losses = layer.losses
    of_call = losses[: len(losses) - len(weights)]
    return [replicas.scaled(ops.sum(loss)) for loss in of_call]
