"""How many parameters and operations a network of some widths has."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from keras_otreg.compression import affine
from keras_otreg.compression.affine import ConvolvesEach, Mixes
from keras_otreg.compression.channels import Traced, rule_of


class Price(NamedTuple):
    """What a layer or a network costs.

    Attributes:
        parameters: Number of weights.
        flops: Operations for one sample: two for each multiplication by a
            weight of a linear layer. Other layers count for nothing.
    """

    parameters: int
    flops: int

    def __add__(self, other: Any) -> "Price":
        pairs = zip(self, other, strict=True)
        return Price(*(int(x + y) for x, y in pairs))


class Prices:
    """The price of a network as a function of its widths.

    Args:
        traced: The network, whose sizes of maps are known.
    """

    def __init__(self, traced: Traced):
        self._traced = traced
        self._calls = []
        seen: set[int] = set()
        for call in traced.graph.calls:
            is_new = id(call.layer) not in seen
            seen.add(id(call.layer))
            self._calls.append((call, is_new, _work(traced.graph, call)))

    def of_call(self, index: int, widths: Mapping[int, int]) -> Price:
        """The price of one call; its weights count in the first alone."""
        call, is_new, work = self._calls[index]
        weights = getattr(call.layer, "weights", ())
        if not call.inputs or not weights:
            return Price(0, 0)
        ins, outs = (
            sum(widths[k] for k in self._traced.layouts[key])
            for key in (call.inputs[0], call.outputs[0])
        )
        rule = rule_of(call.layer)
        held = sum(int(np.prod(x.shape)) for x in weights)
        if isinstance(rule, Mixes):
            positions = rule.kernel_positions(call.layer)
            groups = getattr(call.layer, "groups", 1)
            kernel = positions * ins // groups * outs
            bias = outs if affine.has_bias(call.layer) else 0
            first = rule.first_half(call.layer) * ins
            flops = 2 * work * (kernel + first)
            return Price(is_new * (kernel + bias + first), flops)
        before = self._traced.groups.width(
            self._traced.layouts[call.outputs[0]]
        )
        held = held * outs // max(before, 1)
        flops = 0
        if isinstance(rule, ConvolvesEach):
            positions = int(np.prod(call.layer.kernel_size))
            flops = 2 * work * positions * outs
        return Price(is_new * held, flops)

    def __call__(self, widths: Mapping[int, int]) -> Price:
        """The price of the whole network.

        Args:
            widths: Number of neurons of each group.
        """
        total = Price(0, 0)
        for index in range(len(self._calls)):
            total = total + self.of_call(index, widths)
        return total


def _work(graph, call):
    """How often a call applies its kernel to one sample."""
    shape = graph.shapes[call.outputs[0]]
    if isinstance(rule_of(call.layer), affine.ConvolvesTransposed):
        shape = graph.shapes[call.inputs[0]]
    inner = shape[1:-1]
    return int(np.prod(inner)) if None not in inner else 0
