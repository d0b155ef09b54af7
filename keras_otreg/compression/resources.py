"""How many parameters and operations a network of some widths has."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from keras_otreg.compression import affine
from keras_otreg.compression.affine import ConvolvesEach, Mixes
from keras_otreg.compression.channels import Traced, rule_of


class Resources(NamedTuple):
    """Parameters and operations of a layer or a network.

    Attributes:
        parameters: Number of weights.
        flops: Operations for one sample: two for each multiplication by a
            weight of a linear layer. Other layers count for nothing.
    """

    parameters: int
    flops: int


class ResourceModel:
    """The resources of a network as a function of its widths.

    A layer that mixes channels costs in proportion to the product of the
    numbers of its inputs and outputs, others in proportion to one of them.
    The widths are numbers of neurons of each group.
    """

    def __init__(self, traced: Traced):
        self._groups = {k: i for i, k in enumerate(traced.groups.roots())}
        calls = traced.graph.calls
        # How often a group is in the inputs and in the outputs of a call.
        shape = 2, len(calls), len(self._groups)
        self._counts = np.zeros(shape, int)
        # Parameters and operations by inputs * outputs, inputs and outputs.
        self._rates = np.zeros((len(calls), 2, 3))
        seen: set[int] = set()
        for i, call in enumerate(calls):
            for end, keys in enumerate((call.inputs[:1], call.outputs[:1])):
                for k in (k for key in keys for k in traced.layouts[key]):
                    self._counts[end, i, self._groups[k]] += 1
            is_new = id(call.layer) not in seen
            seen.add(id(call.layer))
            if call.inputs and getattr(call.layer, "weights", ()):
                held, done = _rates(traced, call)
                self._rates[i] = np.multiply(held, is_new), done

    def of_calls(self, widths: Mapping[int, int]) -> list[Resources]:
        """The resources of each call; weights count in the first with them."""
        return [Resources(*map(int, x)) for x in self._found(widths)]

    def __call__(self, widths: Mapping[int, int]) -> Resources:
        """The resources of the whole network."""
        return Resources(*map(int, self._found(widths).sum(axis=0)))

    def _found(self, widths):
        ins, outs = self._counts @ np.array([widths[k] for k in self._groups])
        factors = np.stack([ins * outs, ins, outs], axis=-1)
        return np.rint((self._rates @ factors[..., None])[..., 0])


def _rates(traced, call):
    """Parameters and operations of a call for each input and output."""
    layer, rule = call.layer, rule_of(call.layer)
    # The kernel is applied to one sample at as many positions.
    is_turned = isinstance(rule, affine.ConvolvesTransposed)
    key = (call.inputs if is_turned else call.outputs)[0]
    inner = traced.graph.shapes[key][1:-1]
    work = int(np.prod(inner)) if None not in inner else 0
    if isinstance(rule, Mixes):
        kernel, first = rule.weights_each(layer)
        kernel /= getattr(layer, "groups", 1)
        done = 2 * work * kernel, 2 * work * first, 0
        return (kernel, first, affine.has_bias(layer)), done
    width = traced.groups.width(traced.layouts[call.outputs[0]])
    held = sum(int(np.prod(x.shape)) for x in layer.weights)
    positions = 0
    if isinstance(rule, ConvolvesEach):
        positions = int(np.prod(layer.kernel_size))
    return (0, 0, held / max(width, 1)), (0, 0, 2 * work * positions)
