"""Penalties between layers, or weights, of a student and its teacher."""

import fnmatch
import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_otreg import checks, engine
from keras_otreg.features import taps
from keras_otreg.losses.base import ActivationLoss, TransportLoss
from keras_otreg.models.parts import input_shapes
from keras_otreg.models.terms import Term, WeightAttribute, acts
from keras_otreg.ot.numerics import at_least_float32, frozen
from keras_otreg.regularizers import starting_points
from keras_otreg.saving import Configurable, export

# Distances of weights, each with its name in the logs.
DISTANCES = {"l2": "l2_sp", "transport": "neuron_transport"}


@export
class Penalty(Configurable):
    """Keeps a layer of the student close to a layer of the teacher.

    Args:
        loss: Any `keras.losses.Loss` over (teacher, student) activations.
        at: Path of the student's layer, such as `"backbone/block3_out"`;
            `keras_otreg.features.summary(model)` prints all of them.
            `"encoder#1"` is the second call of a layer.
        teacher_at: Path of the teacher's layer; the same if not given.
        weight: Factor of the loss: a number of at least 0, or a
            `keras.optimizers.schedules.LearningRateSchedule` over the steps
            of the optimizer. At weight 0 the loss is only logged. A callback
            may set the attribute: it counts from the next step on.
        name: Under which the loss, without the weight, is logged. If not
            given, the name of the loss, with the path of the layer behind it
            where a model has several of that name.

    Example:
        ```python
        otreg.Penalty(otreg.losses.RepresentationTransport(), at="avg_pool")
        ```
    """

    weight = WeightAttribute()

    def __init__(
        self,
        loss: Any,
        at: str,
        teacher_at: str | None = None,
        *,
        weight: Any = 1.0,
        name: str | None = None,
    ):
        self.loss = checks.loss(loss)
        self.at = checks.layer_path(at, "at")
        self.teacher_at = checks.layer_path(teacher_at or at, "teacher_at")
        self.weight = weight
        self._name = name and checks.instance_of(name, str, "name", "a string")

    @property
    def name(self) -> str:
        """The name that was given, or that of the loss."""
        return self._name or self.loss.name

    @classmethod
    def at_each(
        cls,
        loss: Any,
        at: Sequence[str] | Mapping[str, str],
        *,
        weight: Any = 1.0,
        name: str | None = None,
    ) -> list["Penalty"]:
        """Return a list with the same loss at several layers.

        Args:
            loss: As of `Penalty`.
            at: Paths of the student's layers, such as the ends of all stages;
                a mapping from them to layers of the teacher where those have
                other paths.
            weight: Factor of the loss at each of them.
            name: Under which the values are logged, with the path behind it;
                the name of the loss if not given.

        Example:
            ```python
            paths = {"stage1": "block2_out", "features": "avg_pool"}
            loss = otreg.losses.TransportAlignment()
            penalties = otreg.Penalty.at_each(loss, paths)
            ```
        """
        paths = [at] if isinstance(at, str) else at
        theirs = at if isinstance(at, Mapping) else {}
        name = name or checks.loss(loss).name
        return [
            cls(loss, x, theirs.get(x), weight=weight, name=_name_at(name, x))
            for x in paths
        ]

    def term(self, teacher, student, sample_weight, adapter=None, memory=None):
        """Term that the penalty adds to a loss, for `(batch, ...)` activations.

        `adapter` and `memory` are what these methods of the loss made; the
        latter is given in training steps alone.
        """
        if adapter is not None:
            student = adapter(student)
        if sample_weight is not None:
            # A Keras loss has a value for each position of each sample.
            inner = (1,) * (len(student.shape) - 2)
            sample_weight = ops.reshape(sample_weight, (-1, *inner))
            shape = ops.shape(student)[:-1]
            sample_weight = ops.broadcast_to(sample_weight, shape)
        # Any Keras loss may be here; only some take a memory.
        kept = {} if memory is None else {"memory": memory}
        value = self.loss(teacher, student, sample_weight=sample_weight, **kept)
        solved = None
        if isinstance(self.loss, TransportLoss):
            arguments = teacher, student, sample_weight, memory
            solved = functools.partial(self.loss.solved, *arguments)
        return Term(self.name, value, self.weight, solved)


@export
class WeightPenalty(Configurable):
    """Keeps weights of the student close to those of the teacher.

    Weights belong together whose layers have the same path, and which have the
    same name and shape in both networks. Others, such as those of a new head,
    stay free, and so do frozen ones for as long as they are frozen.

    Args:
        distance: `"l2"` for half the sum of squared differences (L2-SP), or
            `"transport"` for the same between the neurons of each layer in
            whatever order, see `keras_otreg.regularizers.NeuronTransport`.
        at: Path of a layer of the student that is pulled, with all inside it,
            or several; `*` and `?` stand for any characters, as in
            `"backbone/block*"`. If not given, all layers but the last one that
            has weights: the head, whose start means nothing.
        exclude: The same of layers that are not pulled, without `*` and `?`.
        epsilon: Entropic strength of `"transport"`, in units of the mean cost.
        weight: Factor of the distance, as of a `Penalty`. The paper on L2-SP
            uses 0.1.
        name: Under which the distance, without the weight, is logged;
            `"l2_sp"` or `"neuron_transport"` if not given.

    Raises:
        ValueError: If an argument is not valid; by the `TransferModel`, if a
            path is unknown or no weight has a partner.

    Example:
        ```python
        penalty = otreg.WeightPenalty(weight=0.1)
        model = otreg.TransferModel(student, penalties=[penalty])
        ```

    References:
        Li, Grandvalet and Davoine, "Explicit inductive bias for transfer
        learning with convolutional networks" (ICML 2018).
    """

    weight = WeightAttribute()

    def __init__(
        self,
        distance: str = "l2",
        at: str | Sequence[str] | None = None,
        *,
        exclude: str | Sequence[str] | None = None,
        epsilon: float = 0.05,
        weight: Any = 0.1,
        name: str | None = None,
    ):
        self.distance = checks.one_of(distance, DISTANCES, "distance")
        self.at, self.exclude = (
            None if paths is None else checks.some_layers(paths, argument)
            for paths, argument in ((at, "at"), (exclude, "exclude"))
        )
        self.epsilon = checks.positive(epsilon, "epsilon")
        self.weight = weight
        name = name or DISTANCES[distance]
        self.name = checks.instance_of(name, str, "name", "a string")

    def pairs(self, student: Any, teacher: Any) -> list[tuple[Any, Any, int]]:
        """Pairs of weights: the teacher's, the student's, the neurons' axis."""
        theirs = dict(taps.walk(teacher, into_loops=True))
        found = {}
        for path, layer in self._layers(student).items():
            starts = _own_weights(theirs[path]) if path in theirs else {}
            for key, weight in _own_weights(layer).items():
                start: Any = starts.get(key)
                fits = start is not None and start.shape == weight.shape
                # Whole numbers are what quantisation has made of weights.
                if fits and keras.backend.is_float_dtype(start.dtype):
                    axis = starting_points.axis_of_neurons(layer, weight)
                    found[id(weight)] = start, weight, axis
        return list(found.values())

    def check(self, student: keras.Model, teacher: keras.Model) -> None:
        """Raise unless some weights of two networks belong together."""
        if not self.pairs(student, teacher):
            raise checks.invalid(
                "weights that a student and its teacher both have, in layers "
                "of the same path, with the same name and shape",
                f"student '{student.name}' and teacher '{teacher.name}'",
                "Choose other layers by `at`, or use a `Penalty`",
            )

    def _layers(self, student):
        layers = dict(taps.walk(student, into_loops=True))
        exclude = self.exclude or (None if self.at is None else [])
        excluded = starting_points.excluded_layers(student, layers, exclude)
        for pattern in self.at or ():
            if not any(_matches(path, pattern) for path in layers):
                checks.known_layer(pattern, layers, student.name)
        return {
            path: layer
            for path, layer in layers.items()
            if id(layer) not in excluded
            and any(_matches(path, x) for x in self.at or ["*"])
        }

    def term(self, pairs: Sequence[tuple[Any, Any, int]]) -> Term:
        """Term of what `pairs` returns, in the loss of each replica."""
        values = []
        for start, weight, axis in (x for x in pairs if x[1].trainable):
            both = frozen(at_least_float32(start)), at_least_float32(weight)
            if self.distance == "l2":
                value = starting_points.half_squared_distance(*both)
            else:
                own = self.epsilon, axis
                value = starting_points.neuron_transport(*both, *own)
            values.append(value)
        value = sum(values) if values else ops.zeros(())
        return Term(self.name, engine.scale_loss(value), self.weight)


def by_name(penalties: Any) -> dict[str, Any]:
    """One or several penalties of a model by their names in its logs."""
    several = isinstance(penalties, Iterable)
    penalties = list(penalties) if several else [penalties]
    expected = "`keras_otreg.Penalty` or `WeightPenalty` objects"
    for penalty in penalties:
        kinds = Penalty, WeightPenalty
        checks.instance_of(penalty, kinds, "penalties", expected)
    names = [penalty.name for penalty in penalties]
    found = list(names)
    for k, penalty in enumerate(penalties):
        is_named = isinstance(penalty, WeightPenalty) or penalty._name
        if not is_named and names.count(names[k]) > 1:
            found[k] = _name_at(names[k], penalty.at)
    # Under which the logs have the total.
    way_out = "Give one of them another `name=`."
    checks.unique([*found, "loss"], "penalties and the total loss", way_out)
    return dict(zip(found, penalties, strict=True))


def _name_at(name, path):
    return f"{name}_{re.sub('[/#]', '_', str(path))}"


def companions(student, teacher, penalties):
    """Checked adapters and memories of penalties, by the penalties' names."""
    if teacher is not None:
        checks.built_model(teacher, "teacher")
    check_apart(student, teacher)
    for penalty in penalties.values():
        taps.find_layer(student, penalty.at)
        taps.find_layer(teacher, penalty.teacher_at)
    adapters, memories = {}, {}
    if not penalties or taps.input_spec(student) is None:
        return adapters, memories
    student_specs = taps.activation_specs(student)
    teacher_specs = _teacher_specs(teacher, student)
    for name, penalty in penalties.items():
        known = taps.output_of(teacher_specs, penalty.teacher_at)
        found = taps.output_of(student_specs, penalty.at)
        sides = (
            (teacher, penalty.teacher_at, known),
            (student, penalty.at, found),
        )
        for network, path, spec in sides:
            layer = taps.find_layer(network, path)
            checks.channels_last(layer, len(spec.shape), path)
        is_ours = isinstance(penalty.loss, ActivationLoss)
        shapes = tuple(known.shape), tuple(found.shape)
        adapter = penalty.loss.adapter(*shapes) if is_ours else None
        if adapter is not None:
            adapter.build(found.shape)
            # What is only logged has no gradient to be trained by.
            adapter.trainable = acts(penalty.weight)
            adapters[name] = adapter
        _check_loss(name, penalty, known, found, adapter)
        memory = penalty.loss.memory(*shapes) if is_ours else None
        if memory is not None:
            memories[name] = memory
    return adapters, memories


def check_apart(student, teacher):
    """Raise if training a student would change its teacher."""
    if teacher is None:
        return
    trained = {id(v): v.path for v in student.trainable_variables}
    shared = [trained[id(v)] for v in teacher.variables if id(v) in trained]
    if shared:
        raise checks.invalid(
            "a teacher whose weights are its own, because it stays as it is",
            f"a teacher that shares {len(shared)} trainable weights with the "
            f"student, such as {shared[:3]}",
            "Leave out `teacher=` for a frozen copy of the student, or copy it "
            "with `keras.models.clone_model` and `set_weights`.",
        )


def _teacher_specs(teacher, student):
    inputs = taps.input_spec(student)
    try:
        return taps.activation_specs(teacher, inputs)
    except Exception as error:
        raise checks.invalid(
            "a teacher that takes the inputs of the student, because both see "
            "the same batch",
            f"teacher '{teacher.name}' with input shape "
            f"{getattr(teacher, 'input_shape', 'unknown')} and student "
            f"'{student.name}' with input shape {input_shapes(student)}",
            "Put a resizing or preprocessing layer in front of one of them.",
        ) from error


def _check_loss(name, penalty, teacher, student, adapter):
    def run(pair):
        return penalty.term(*pair, None, adapter).value

    try:
        taps.symbolic_outputs(run, (teacher, student))
    except Exception as error:
        # Keras wraps what it catches in advice about `Operation`.
        reason = error.__context__ or error
        raise ValueError(
            f"The loss of penalty '{name}' cannot compare teacher layer "
            f"'{penalty.teacher_at}' of shape {tuple(teacher.shape)} with "
            f"student layer '{penalty.at}' of shape {tuple(student.shape)}. "
            f"{reason}"
        ) from error


def _matches(path, pattern):
    """Whether a pattern means a layer, or one around it."""
    either = pattern, f"{pattern}/*"
    return any(fnmatch.fnmatchcase(path, x) for x in either)


def _own_weights(layer):
    """Weights in a layer itself, by name and how many before have the same."""
    inner = {id(x) for child in taps.children(layer) for x in child.variables}
    found = {}
    for weight in layer.weights:
        if id(weight) not in inner:
            count = sum(name == weight.name for name, _ in found)
            found[weight.name, count] = weight
    return found
