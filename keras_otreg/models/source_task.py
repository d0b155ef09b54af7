"""A labelled source task beside the target task, or a frozen source head."""

from typing import Any, NamedTuple

import keras
import numpy as np

from keras_otreg import checks
from keras_otreg.class_costs import conditional, from_conditional
from keras_otreg.features import batches
from keras_otreg.features.taps import capture, end_of, find_layer
from keras_otreg.losses import ClassConditional, ClassTransport
from keras_otreg.models.parts import Wrapper
from keras_otreg.models.terms import WeightAttribute
from keras_otreg.saving import Configurable, export

GRADIENTS = ("both", "source", "target")
RELATIONS = ("plan", "conditional")
# Temperatures to choose from; the first of equally good ones, so 1 is first.
TEMPERATURES = (1.0, *(2.0**k for k in (-0.5, 0.5, -1, 1, -1.5, 1.5, -2, 2)))


@export
class SourceTask(Configurable):
    """Trains a second head on source data, tied to the target's by transport.

    The loss of a step is `CE(target) + weight * CE(source) + transport_weight
    * OT(source head, target head)`. The last term compares the predictions of
    the two heads for the target samples. Without a `loss` there are no source
    data, and the head is frozen; `frozen` makes such a task.

    Args:
        head: Any layer or model from the activations at `at` to source
            classes.
        at: Path of the last shared layer of the student.
        loss: Loss of the source task: a `keras.losses.Loss`, or the name of
            one; `None` for no source data and a head that stays as it is.
        weight: Factor of the source task's loss, as of a `Penalty`.
        transport: A `keras_otreg.losses.ClassTransport` or
            `ClassConditional`, or any Keras loss over (source, target)
            predictions; `None` for none.
        transport_weight: Factor of the transport term, like `weight`.
        gradient_to: Which classifier the transport term moves, with the shared
            layers: `"both"`, as the paper's objective is printed, `"source"`,
            as its abstract says, or `"target"`. A frozen head never changes.
        name: Prefix of what is logged: `source_loss`, `source_accuracy`,
            `source_transport`.
        metrics: `"accuracy"`, or `keras.metrics.Metric`s of other names than
            those of the target task.

    Example:
        ```python
        head = keras.layers.Dense(52, activation="softmax")
        loss = "sparse_categorical_crossentropy"
        transport = otreg.losses.ClassTransport(cost_matrix)
        task = otreg.SourceTask(head, "features", loss, transport=transport)
        model = otreg.TransferModel(student, source_task=task)
        model.compile("adam", "sparse_categorical_crossentropy")
        model.fit(otreg.data.paired(target, source, batch_size=32))
        ```

    References:
        Lu, Chen and Saidi, "Optimal transport for deep joint transfer
        learning" (2017), arXiv 1709.02995.
    """

    weight = WeightAttribute()
    transport_weight = WeightAttribute()

    def __init__(
        self,
        head: Any,
        at: str,
        loss: Any = None,
        *,
        weight: Any = 1.0,
        transport: Any = None,
        transport_weight: Any = 1.0,
        gradient_to: str = "both",
        name: str = "source",
        metrics: Any = ("accuracy",),
    ):
        expected = "a Keras layer or model"
        self.head = checks.instance_of(head, keras.Layer, "head", expected)
        self.at = checks.layer_path(at, "at")
        self.loss = loss
        self.weight = weight
        self.transport = transport and checks.loss(transport, "transport")
        self.transport_weight = transport_weight
        self.gradient_to = checks.one_of(gradient_to, GRADIENTS, "gradient_to")
        self.name = checks.instance_of(name, str, "name", "a string")
        self.metrics = [] if loss is None else keras.tree.flatten(metrics)
        expected = "'accuracy' or a list of `keras.metrics.Metric` objects"
        for x in self.metrics:
            if x != "accuracy":
                checks.instance_of(x, keras.metrics.Metric, "metrics", expected)
        if loss is None and transport is None:
            raise checks.invalid(
                "a `loss` of source data, or a `transport` from a frozen head "
                "to the target's",
                "neither",
            )
        if loss is None:
            head.trainable = False

    @classmethod
    def frozen(
        cls,
        teacher: keras.Model,
        at: str,
        data: Any,
        *,
        relation: str = "conditional",
        temperature: float | None = None,
        weight: Any = 1.0,
        gradient_to: str = "source",
        epsilon: float = 0.1,
        from_logits: bool = False,
        name: str = "source",
    ) -> "SourceTask":
        """Make a task of a pretrained classifier's own head, without its data.

        The relation of its classes to the target's is estimated from its
        predictions on labelled target samples. The student starts with the
        teacher's layers up to `at`; `fit` takes target data alone.

        Args:
            teacher: A `keras.Model` that ends in a `Dense` and a softmax, or
                logits. It is copied.
            at: Path of the last layer that the student shares with it.
            data: Labelled target samples: arrays `(x, y)`, or batches of them.
            relation: `"conditional"` for `ClassConditional`, as in Co-Tuning,
                or `"plan"` for `ClassTransport` with the costs
                `class_costs.from_conditional`.
            temperature: By which the head's logits are divided. If not given,
                the one at which its predictions tell the labels of samples
                best, each left out in turn.
            weight: The `transport_weight`.
            gradient_to: `"source"` moves the shared layers such that the frozen
                head sees what the target head says; `"target"` pulls the target
                head towards the coarser view of the frozen one.
            epsilon: As of `ClassTransport`.
            from_logits: Whether the student returns logits.
            name: Prefix of what is logged, as in `source_transport`.

        Example:
            ```python
            task = otreg.SourceTask.frozen(teacher, "features", (x, y))
            model = otreg.TransferModel(student, source_task=task)
            model.compile("adam", "sparse_categorical_crossentropy")
            model.fit(x, y)
            ```

        References:
            You et al., "Co-Tuning for transfer learning" (NeurIPS 2020).
        """
        checks.one_of(relation, RELATIONS, "relation")
        found = calibrated_head(teacher, at, data, temperature)
        logits = found.is_logits, checks.flag(from_logits, "from_logits")
        R = conditional(found.probabilities, found.labels)
        loss: Any = ClassConditional(R, from_logits=logits)
        if relation == "plan":
            costs = from_conditional(R)
            loss = ClassTransport(costs, epsilon, from_logits=logits)
        options = {"transport": loss, "transport_weight": weight, "name": name}
        return cls(found.head, at, gradient_to=gradient_to, **options)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        # The loss may be a function.
        loss = keras.saving.serialize_keras_object(self.loss)
        return {**super().get_config(), "loss": loss}


@export
class SourceModel(Configurable, Wrapper):
    """The shared layers of a network under a second head."""

    def __init__(self, network, at, head, *, name="source_model"):
        super().__init__(name=name, dtype=network.dtype_policy, autocast=False)
        self.network, self.at, self.head = network, at, head
        self.built = True

    def build(self, input_shape: Any = None) -> None:
        """Do nothing: both parts are built."""

    def call(self, inputs, training=None):
        """Return the second head's prediction."""
        _, found = capture(self.network, inputs, [self.at], training=training)
        return self.head(found[self.at], training=training)


class CalibratedHead(NamedTuple):
    """A frozen head, and what it predicts for labelled samples."""

    head: keras.Model
    is_logits: bool
    temperature: float
    probabilities: np.ndarray
    labels: np.ndarray


def calibrated_head(teacher, at, data, temperature=None):
    """Copy the layers behind `at`, with the temperature in their weights."""
    head, last, is_logits = _head_of(teacher, at)
    found, labels, _ = batches.predictions(teacher, data)
    labels = batches.class_labels(labels)
    if not is_logits:
        found = batches.finite_log(found)
    if temperature is None:
        temperature = fitted_temperature(found, labels)
    checks.positive(temperature, "temperature")
    last.set_weights([w / temperature for w in last.get_weights()])
    probabilities = batches.softmax(found / temperature)
    return CalibratedHead(head, is_logits, temperature, probabilities, labels)


def fitted_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature at which predictions tell the labels of samples best."""
    softened = (batches.softmax(logits / t) for t in TEMPERATURES)
    scores = [round(_likelihood(p, labels), 9) for p in softened]
    return TEMPERATURES[int(np.argmax(scores))]


def _likelihood(probabilities, labels):
    """Mean log-likelihood of each label, by the mean of other samples."""
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


def _head_of(teacher, at):
    """A copy, its last layer with weights, and whether it returns logits."""
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
    last, activations = end_of(head)
    if not isinstance(last, keras.layers.Dense):
        raise checks.invalid(
            "a teacher whose last layer with weights is a `Dense` behind `at`",
            f"'{last.name}', of type {type(last).__name__}",
            "Name the layer before the head, such as the pooling.",
        )
    if others := activations - {"linear", "softmax"}:
        raise checks.invalid(
            "a teacher that ends in a softmax, or logits, of its classes",
            f"activations {sorted(others)}",
        )
    return head, last, "softmax" not in activations
