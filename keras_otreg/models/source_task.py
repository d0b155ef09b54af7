"""A labelled source task that trains beside the target task."""

from collections.abc import Iterable
from typing import Any

import keras

from keras_otreg import checks
from keras_otreg.features.taps import capture
from keras_otreg.models.terms import deserialize_weight, serialize_weight
from keras_otreg.models.validation import export_signature
from keras_otreg.saving import Composed, Configurable, export

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
class SourceModel(Composed, keras.Model):
    """The shared layers of a network under a second head.

    Args:
        network: A built `keras.Model`, shared with its owner.
        at: Path of the last layer that is shared.
        head: The second head, shared too.
        name: Name of the model.
    """

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

    def export(
        self,
        filepath: Any,
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> None:
        """Exports the second head's prediction; see `keras.Model.export`."""
        signature = export_signature(self.network, input_signature)
        super().export(filepath, format, verbose, signature, **kwargs)

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
