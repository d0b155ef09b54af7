"""The terms that a source task adds to the loss."""

import functools
from typing import Any

import keras
from keras import ops

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
        predicted = self.task.head(
            batch.source_part(shared, parts), training=training
        )
        value = self.loss(source.y, predicted, sample_weight=source.weights)
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
            return keras.metrics.get(metric)
        kinds = {
            "sparse": keras.metrics.SparseCategoricalAccuracy,
            "binary": keras.metrics.BinaryAccuracy,
        }
        loss_name = self.loss.name
        kind = next((kinds[k] for k in kinds if k in loss_name), None)
        kind = kind or keras.metrics.CategoricalAccuracy
        return kind(name=f"{self.task.name}_accuracy")
