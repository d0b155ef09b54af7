"""Layers that are linear maps, and how their kernels are read and written."""

import dataclasses
from typing import Any

import keras
import numpy as np

from keras_otreg.compression.channels import (
    NORMALISING,
    Passes,
    Rule,
    activation_of,
    register,
)
from keras_otreg.saving import copy_own_variables

L = keras.layers


@dataclasses.dataclass(frozen=True)
class Mixes(Rule):
    """Rule for layers whose neurons are weighted sums of all channels.

    This one is for kernels of shape `(inputs, units)`; `size` is the name of
    the constructor's argument that is the number of neurons.
    """

    size: str = "units"

    kernel_name = "kernel"

    def trace(self, call, layouts, shapes, groups):
        joint = activation_of(call.layer) in NORMALISING
        why = f"'{call.path}' normalises over its neurons" if joint else ""
        width = shapes[call.outputs[0]][-1]
        return [(groups.add(width, [call.path], why),)]

    def obstacle(self, call):
        layer = call.layer
        if getattr(layer, "quantization_mode", None):
            return "it is quantised; narrow the network before `quantize`"
        if getattr(layer, "data_format", "") == "channels_first":
            return "its channels come first"
        if getattr(layer, "groups", 1) > 1:
            return "it convolves its channels in groups"
        return super().obstacle(call)

    def resize(self, config, widths):
        config[self.size] = widths[0]
        config.pop("lora_rank", None)
        config.pop("lora_alpha", None)

    def kernel(self, layer: Any) -> np.ndarray:
        """The kernel, of shape `(positions, inputs, neurons)`."""
        own = getattr(layer, self.kernel_name)
        kernel = keras.ops.convert_to_numpy(own)
        return kernel.reshape(-1, *kernel.shape[-2:])

    def weights_each(self, layer: Any) -> tuple[int, int]:
        """Number of weights of each pair of neurons, and of each input."""
        return int(np.prod(getattr(layer, "kernel_size", ()))), 0

    def assign(self, layer: Any, kernel: np.ndarray) -> None:
        """Set the kernel, given as `kernel` returns it."""
        own = getattr(layer, self.kernel_name)
        own.assign(kernel.reshape(own.shape))

    def rows(self, layer: Any, x: Any, where: Any) -> np.ndarray:
        """Inputs that the kernel is multiplied with, given those of the layer.

        `where` are indices of the output's positions, as if they were one axis.
        Returns shape `(batch, positions, kernel positions * inputs)`.
        """
        return chosen(numpy(x), where)


@dataclasses.dataclass(frozen=True)
class Convolves(Mixes):
    """Rule for convolutions of any rank."""

    size: str = "filters"

    def rows(self, layer, x, where):
        """Patches, the kernel's positions before the channels."""
        found = patches(layer, x, where)
        return found.reshape(*found.shape[:2], -1)


class ConvolvesTransposed(Convolves):
    """Rule for transposed convolutions: kernels `(..., neurons, inputs)`."""

    def kernel(self, layer):
        return super().kernel(layer).swapaxes(-1, -2)

    def assign(self, layer, kernel):
        super().assign(layer, kernel.swapaxes(-1, -2))

    def rows(self, layer, x, where):
        """Inputs at the positions of a transposed kernel."""
        inputs, positions = x.shape[-1], int(np.prod(layer.kernel_size))
        # A layer that returns each product of the kernel separately.
        size = {"filters": positions * inputs, "use_bias": False}
        twin = _twin(layer, activation=None, **size)
        twin.build(tuple(x.shape))
        kernel = np.eye(positions * inputs).reshape(-1, positions, inputs)
        kernel = kernel.transpose(1, 0, 2)
        twin.kernel.assign(kernel.reshape(twin.kernel.shape))
        return chosen(numpy(twin(x)), where)


class ConvolvesSeparately(Convolves):
    """Rule for separable convolutions: depthwise, then pointwise."""

    kernel_name = "pointwise_kernel"

    def weights_each(self, layer):
        return 1, int(np.prod(layer.kernel_size))

    def take_first_half(self, layer: Any, teacher: Any, kept: Any) -> None:
        """Give a layer the teacher's kernels of the channels that stay."""
        kernel = keras.ops.convert_to_numpy(teacher.depthwise_kernel)
        layer.depthwise_kernel.assign(np.take(kernel, kept, axis=-2))

    def rows(self, layer, x, where):
        """Output of the first half at some positions."""
        weights = keras.ops.convert_to_numpy(layer.depthwise_kernel)
        weights = weights.reshape(-1, weights.shape[-2])
        return (patches(layer, x, where) * weights).sum(axis=2)


class ConvolvesEach(Passes):
    """Rule for depthwise convolutions."""

    kernel_name = "kernel"
    assign = Mixes.assign

    def kernel(self, layer: Any) -> np.ndarray:
        """The kernel, of shape `(positions, channels)`."""
        kernel = keras.ops.convert_to_numpy(layer.kernel)
        return kernel.reshape(-1, kernel.shape[-2])

    def rows(self, layer: Any, x: Any, where: Any) -> np.ndarray:
        """Inputs, of shape `(batch, positions, channels, kernel positions)`."""
        return patches(layer, x, where).swapaxes(2, 3)


def numpy(x: Any) -> np.ndarray:
    """A tensor as a float32 array."""
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(x, "float32")))


def chosen(x: np.ndarray, where: Any) -> np.ndarray:
    """Array `(batch, positions, channels)` of some positions."""
    return x.reshape(len(x), -1, x.shape[-1])[:, where]


def patches(layer: Any, x: Any, where: Any) -> np.ndarray:
    """Inputs at each position of a kernel, for some positions of the output.

    Shape `(batch, positions in `where`, kernel positions, channels)`.
    """
    x, kernel = numpy(x), np.array(layer.kernel_size)
    stride, hole = np.array(layer.strides), np.array(layer.dilation_rate)
    size, reach = np.array(x.shape[1:-1]), (kernel - 1) * hole
    same = np.maximum((size - 1) // stride * stride + reach + 1 - size, 0)
    padding = {"valid": 0 * size, "causal": reach, "same": same}[layer.padding]
    before = padding if layer.padding == "causal" else padding // 2
    pads = zip(before, padding - before, strict=True)
    x = np.pad(x, [(0, 0), *pads, (0, 0)])
    starts = np.unravel_index(where, (size + padding - reach - 1) // stride + 1)
    places = (np.array(starts).T * stride).T[..., None]
    offsets = (np.indices(layer.kernel_size).T * hole).T
    offsets = offsets.reshape(len(kernel), 1, -1)
    return x[(slice(None), *(places + offsets))]


def without_activation(layer: Any) -> Any:
    """The layer without its activation, with the same weights."""
    if activation_of(layer) == "linear":
        return layer
    twin = _twin(layer, activation=None)
    twin.build_from_config(layer.get_build_config())
    # An adapter of LoRA is merged.
    copy_own_variables(twin, layer)
    return twin


def _twin(layer, **changes):
    """A layer of other arguments, without weights and adapter (LoRA)."""
    config = {**layer.get_config(), **changes}
    config.pop("lora_rank", None)
    return type(layer).from_config(config)


def has_bias(layer: Any) -> bool:
    """Whether a layer adds a bias."""
    return getattr(layer, "bias", None) is not None


for _rule, *_kinds in (
    (Mixes(), L.Dense),
    (Convolves(), L.Conv1D, L.Conv2D, L.Conv3D),
    (
        ConvolvesTransposed(),
        *(L.Conv1DTranspose, L.Conv2DTranspose, L.Conv3DTranspose),
    ),
    (ConvolvesSeparately(), L.SeparableConv1D, L.SeparableConv2D),
    (ConvolvesEach(), L.DepthwiseConv1D, L.DepthwiseConv2D),
):
    for _kind in _kinds:
        register(_kind, _rule)
