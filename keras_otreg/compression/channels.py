"""Groups of channels that belong together, and rules for layers.

A *group* is a set of neurons that can only be removed everywhere at once: the
outputs of a layer, and all that are added to them, multiplied with them or
passed on one by one. The last axis of a tensor holds one group, or several
side by side: its *layout*.
"""

import dataclasses
from typing import Any

import keras
import numpy as np

from keras_otreg.compression.graph import Call, Graph
from keras_otreg.saving import copy_own_variables

L = keras.layers
# Activations that see all channels at once.
NORMALISING = ("softmax", "log_softmax", "sparsemax", "glu")
Layout = tuple[int, ...]


@dataclasses.dataclass
class Group:
    """Neurons that are kept or removed together.

    `owners` are the paths of the layers that compute them; `why` is the reason
    why they all have to stay, empty if they need not.
    """

    number: int
    size: int
    owners: list[str]
    why: str = ""


class Groups(list[Group]):
    """The groups of a network, merged as layers are found to tie them.

    At the number of a group that was merged is the one that it is part of.
    """

    def add(self, size: int, owners: list[str], why: str = "") -> int:
        """Add a group and return its number."""
        self.append(Group(len(self), size, owners, why))
        return len(self) - 1

    def sizes(self) -> dict[int, int]:
        """Sizes of all groups that are left, by number."""
        return {k: x.size for k, x in enumerate(self) if x.number == k}

    def keep(self, layout: Layout, why: str) -> None:
        """Keep the width of all groups of a layout."""
        for number in layout:
            self[number].why = self[number].why or why

    def width(self, layout: Layout) -> int:
        """Length of the axis that a layout describes."""
        return sum(self[number].size for number in layout)

    def places(self, layout: Layout) -> list[np.ndarray]:
        """Positions of each group of a layout on its axis."""
        ends = np.cumsum([self[number].size for number in layout])
        return np.split(np.arange(ends[-1]), ends[:-1])

    def tie(self, layouts: list[Layout], why: str) -> Layout:
        """Merge the layouts of tensors that are combined channel by channel.

        Those of width 1 are broadcast; `why` is the reason if others differ.
        """
        wide = [x for x in layouts if self.width(x) != 1] or layouts[:1]
        sizes = {tuple(self[k].size for k in layout) for layout in wide}
        if len(sizes) > 1:
            for layout in layouts:
                self.keep(layout, why)
            return wide[0]
        for first, *others in zip(*wide, strict=True):
            kept = self[first]
            for other in (self[number] for number in others):
                kept.owners = list(dict.fromkeys(kept.owners + other.owners))
                kept.why = kept.why or other.why
                self[:] = [kept if x is other else x for x in self]
        return wide[0]


@dataclasses.dataclass(frozen=True)
class Rule:
    """Rule for how a layer treats channels; the base class of all rules.

    This one is for layers of which nothing is known: what they take and what
    they return stays as wide as it is.
    """

    why: str = "nothing is known of how it treats channels"

    def obstacle(self, call: Call) -> str:
        """Reason why a layer cannot be narrowed; empty if it can."""
        many = getattr(call.layer, "depth_multiplier", 1) != 1
        return "it makes several channels of each" if many else ""

    def trace(
        self, call: Call, layouts: list[Layout], shapes: Any, groups: Groups
    ) -> list[Layout]:
        """Return the layouts of the outputs, given those of what a call takes.

        `shapes` are those of all tensors, by key; ties are added to `groups`.
        """
        why = f"'{call.path}' ({type(call.layer).__name__}): {self.why}"
        for layout in layouts:
            groups.keep(layout, why)
        sizes = [(shapes[key] or (1,))[-1] or 1 for key in call.outputs]
        return [(groups.add(size, [call.path], why),) for size in sizes]

    def resize(self, config: dict[str, Any], widths: list[int]) -> None:
        """Change the config of a layer for the widths of its outputs."""

    def take(self, layer: Any, teacher: Any, kept: np.ndarray) -> None:
        """Give a layer the teacher's weights of the channels that stay."""
        shapes = [[x.shape for x in own.weights] for own in (layer, teacher)]
        if shapes[0] == shapes[1]:
            copy_own_variables(layer, teacher)
            return
        for own, original in zip(layer.weights, teacher.weights, strict=True):
            value = keras.ops.convert_to_numpy(original)
            for axis, k in enumerate(own.shape):
                if k != value.shape[axis]:
                    value = np.take(value, kept, axis)
            own.assign(value)


def activation_of(layer: Any) -> str:
    """Name of the activation that a layer applies itself; else "linear"."""
    return getattr(getattr(layer, "activation", None), "__name__", "linear")


class Passes(Rule):
    """Rule for layers that treat each channel separately."""

    def obstacle(self, call):
        joint = activation_of(call.layer) in NORMALISING
        return NORMALISES.why if joint else super().obstacle(call)

    def trace(self, call, layouts, shapes, groups):
        fits = groups.width(layouts[0]) == shapes[call.outputs[0]][-1]
        axis = getattr(call.layer, "axis", -1)
        rank = len(shapes[call.inputs[0]])
        if not fits or axis % rank != rank - 1:
            return super().trace(call, layouts, shapes, groups)
        return layouts[:1]


class Ties(Rule):
    """Rule for layers that combine several tensors channel by channel."""

    def obstacle(self, call):
        leaves = keras.tree.flatten(call.arguments)
        shapes = [x.shape for x in leaves if hasattr(x, "shape")]
        fits = call.inputs and all(np.prod(shape) <= 1 for shape in shapes)
        return "" if fits else "it combines channels with a constant array"

    def trace(self, call, layouts, shapes, groups):
        why = f"'{call.path}' combines channels that are laid out differently"
        return [groups.tie(layouts, why)]


class Stacks(Ties):
    """Rule for `Concatenate`."""

    def trace(self, call, layouts, shapes, groups):
        """One layout after the other, or the common one on other axes."""
        axis = getattr(call.layer, "axis", -1)
        rank = len(shapes[call.inputs[0]])
        if axis % rank == rank - 1:
            return [tuple(k for layout in layouts for k in layout)]
        return super().trace(call, layouts, shapes, groups)


class Reshapes(Rule):
    """Rule for layers that move positions and keep channels together."""

    def trace(self, call, layouts, shapes, groups):
        """The layout, repeated for positions that become channels."""
        before, after = (shapes[k[0]] for k in (call.inputs, call.outputs))
        width = groups.width(layouts[0])
        permuted = getattr(call.layer, "dims", (len(before) - 1,))
        if after[-1] == width and permuted[-1] == len(before) - 1:
            return layouts[:1]
        inner = before[1:-1]
        flat = len(after) == 2 and None not in inner
        if flat and after[-1] == int(np.prod(inner)) * width:
            return [layouts[0] * int(np.prod(inner))]
        return super().trace(call, layouts, shapes, groups)

    def resize(self, config, widths):
        if "target_shape" in config:
            config["target_shape"] = [*config["target_shape"][:-1], widths[0]]


NORMALISES = Rule("it normalises over its channels")
_RULES: dict[Any, Rule] = {}


def register(layer: type, rule: Rule) -> None:
    """Register how a type of layer treats channels.

    Args:
        layer: A class of layers; its subclasses follow unless they have a rule
            of their own.
        rule: `Passes()` for a layer that treats each channel by itself,
            `Ties()` for one that combines tensors channel by channel,
            `affine.Mixes(size="units")` for one that computes new neurons from
            all, `Rule("reason")` for one that keeps its width.

    Example:
        ```python
        channels = otreg.compression.channels
        channels.register(Scale, channels.Passes())  # a layer of your own
        ```
    """
    _RULES[layer] = rule


def rule_of(layer: Any) -> Rule:
    """The rule of a layer's class or of the nearest class above it."""
    for kind in type(layer).__mro__:
        if kind in _RULES:
            return _RULES[kind]
    # Or a `keras.ops` function in a graph.
    is_function = not isinstance(layer, keras.Layer)
    is_known = is_function and type(layer).__name__ in _ELEMENT_WISE
    return Ties() if is_known else Rule()


_ELEMENT_WISE = {
    *("Add", "Subtract", "Multiply", "Divide", "TrueDivide", "Maximum"),
    *("Minimum", "Negative", "Absolute", "Square", "Sqrt", "Exp", "Clip"),
    *("Cast", "Identity", "Relu", "Relu6", "LeakyRelu", "Elu", "Selu"),
    *("Celu", "Gelu", "Silu", "Swish", "HardSilu", "HardSwish", "Mish"),
    *("Sigmoid", "HardSigmoid", "Tanh", "Softplus", "Softsign"),
}


class Traced(Graph):
    """A graph with the groups of its channels, and each tensor's layout."""

    def __init__(self, model: keras.Model):
        super().__init__(model)
        groups = self.groups = Groups()
        layouts: dict[int, Layout] = {}
        why = "it is an input of the network"
        for key in self.inputs:
            width = self.shapes[key][-1] or 1
            layouts[key] = (groups.add(width, [], why),)
        calls: dict[int, list[Layout]] = {}
        for call in self.calls:
            rule = rule_of(call.layer)
            if reason := rule.obstacle(call):
                rule = Rule(reason)
            own = [layouts[key] for key in call.inputs]
            found = rule.trace(call, own, self.shapes, groups)
            before = calls.setdefault(id(call.layer), [*own, *found])
            if getattr(call.layer, "weights", []):
                why = f"'{call.path}' is called on channels of another layout"
                for pair in zip(before, [*own, *found], strict=True):
                    groups.tie(list(pair), why)
            layouts |= dict(zip(call.outputs, found, strict=True))
        for key in self.outputs:
            groups.keep(layouts[key], "it is an output of the network")
        self.layouts = {
            key: tuple(groups[k].number for k in layout)
            for key, layout in layouts.items()
        }

    def head_groups(self) -> set[int]:
        """The groups of the network's outputs."""
        return {k for key in self.outputs for k in self.layouts[key]}


_OF_EACH_RANK = (
    *("AveragePooling", "Cropping", "GlobalAveragePooling", "GlobalMaxPooling"),
    *("MaxPooling", "SpatialDropout", "UpSampling", "ZeroPadding"),
)
for _rule, _names in (
    (
        Passes(),
        (
            *("Activation", "ActivityRegularization", "AlphaDropout"),
            *("BatchNormalization", "Dropout", "ELU", "GaussianDropout"),
            *("GaussianNoise", "Identity", "LeakyReLU", "Masking", "PReLU"),
            *("ReLU", "Rescaling"),
            *(f"{name}{rank}D" for name in _OF_EACH_RANK for rank in (1, 2, 3)),
        ),
    ),
    (
        Ties(),
        ["Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract"],
    ),
    (Stacks(), ["Concatenate"]),
    (Reshapes(), ["Flatten", "Permute", "Reshape"]),
    (
        NORMALISES,
        ["GroupNormalization", "LayerNormalization", "UnitNormalization"],
    ),
):
    for _name in _names:
        register(getattr(L, _name), _rule)
