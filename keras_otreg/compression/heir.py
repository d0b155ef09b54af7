"""A student whose weights are fitted layer by layer."""

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_otreg import checks
from keras_otreg.compression import affine
from keras_otreg.compression.affine import ConvolvesEach, Mixes
from keras_otreg.compression.channels import Traced, rule_of
from keras_otreg.compression.choose import CHOICES, plan_onto
from keras_otreg.compression.graph import Graph
from keras_otreg.compression.least_squares import SHARES, Regression
from keras_otreg.compression.matching import (
    covariances,
    interpolation,
    links,
    positions,
    same_layers,
    sources,
)
from keras_otreg.compression.running import Run, Samples, moments, passed

VALIDATION = "validation"
# Rows that a fit sees: at least so many, and so many for each unknown.
ROWS, ROWS_PER_INPUT = 8000, 10
# The same where each channel has a fit of its own.
ROWS_OF_EACH = 4000
# What may stand between a layer and the sum that it enters.
_TRANSPARENT = (
    keras.layers.Dropout,
    keras.layers.Identity,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
)


@dataclasses.dataclass(frozen=True)
class Fit:
    """Result of the fit of one layer.

    Attributes:
        path: Path of the layer.
        source: Path of the teacher's layer.
        neurons: Which of the teacher's neurons it computes.
        of: How many the teacher has.
        plan: How the mass of the teacher's neurons is moved onto those that
            stay, of shape `(of, len(neurons))`; `None` if all of them stay.
        explained: Share of their variance that the layer explains, on samples
            that it was not fitted on.
        rows: On how many rows it was fitted: samples, times positions.
        inputs: How many inputs it has, times positions of its kernel.
    """

    path: str
    source: str
    neurons: np.ndarray
    of: int
    plan: np.ndarray | None
    explained: float
    rows: int
    inputs: int


class Heir:
    """A student whose layers are given their weights one after the other."""

    def __init__(
        self, student, teacher, samples, layers, choose, ridge, seed, grams=None
    ):
        """Match two networks, with arguments as of `inherit`.

        `grams` are covariances between neurons of the teacher's groups, if
        they are known.
        """
        checks.one_of(choose, CHOICES, "choose")
        if ridge != VALIDATION:
            checks.non_negative(ridge, "ridge")
        self.ridge, self.seed = ridge, seed
        self.teacher, self.student = Traced.of(teacher), Traced.of(student)
        self.samples = Samples(samples, teacher, student)
        self.old = Run(self.teacher.graph)
        self.new = Run(self.student.graph)
        self.is_copy = layers is None and same_layers(
            self.student, self.teacher
        )
        self.source = sources(self.student, self.teacher, layers, self.is_copy)
        self.links = links(self.student, self.teacher, self.source)
        sizes = {g: self.student.groups[g].size for g in self.links}
        narrowed = {
            g: h
            for g, h in self.links.items()
            if sizes[g] < self.teacher.groups[h].size
        }
        if grams is None:
            groups = set(narrowed.values())
            grams = covariances(self.teacher, self.samples, groups, seed)
        rng = np.random.default_rng(seed)
        self.kept = {g: np.arange(size) for g, size in sizes.items()}
        self.stand_ins, self.plans = {}, {}
        for g, h in narrowed.items():
            self.kept[g] = kept = CHOICES[choose](grams[h], sizes[g], rng)
            self.stand_ins[g] = interpolation(grams[h], kept)
            self.plans[g] = plan_onto(grams[h], kept)
        # Scale and shift from a fitted output to that of the teacher.
        self._affine: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    @property
    def number_of_fits(self) -> int:
        """Number of layers that are fitted."""
        calls = [self.student.graph.calls[index] for index in self.source]
        return len({id(x.layer) for x in calls if self._is_fitted(x)})

    def inherit(self) -> Iterator[Fit]:
        """Set all weights of the student, and yield each fit."""
        done = set()
        for index, call in enumerate(self.student.graph.calls):
            layer = call.layer
            source = self.source.get(index)
            if not getattr(layer, "weights", ()) or id(layer) in done:
                continue
            done.add(id(layer))
            if source is not None and self._is_fitted(call):
                yield self._fit(index, source)
            elif isinstance(layer, keras.layers.BatchNormalization):
                self._normalise(index, layer, source)
            elif source is not None and self.is_copy:
                original = self.teacher.graph.calls[source].layer
                kept = self._at(call.inputs[0])
                rule_of(layer).take(layer, original, kept)

    def _is_fitted(self, call):
        rule = rule_of(call.layer)
        if not isinstance(rule, Mixes | ConvolvesEach):
            return False
        shape = self.student.graph.shapes[call.inputs[0]]
        return not rule.obstacle(call.layer, shape)

    def _at(self, key):
        """Positions in the teacher of the channels of a student's tensor."""
        found, start = [], 0
        for group in self.student.layouts[key]:
            found.append(start + self.kept[group])
            start += self.teacher.groups[self.links[group]].size
        return np.concatenate(found)

    def _fit(self, index, source):
        """Fit a layer, up to the normalisation that follows."""
        call = self.student.graph.calls[index]
        original = self.teacher.graph.calls[source]
        layer, rule = call.layer, rule_of(call.layer)
        outs = self._at(call.outputs[0])
        norm = chain_after(self.teacher.graph, source).norm
        scale, shift = scale_and_shift(norm, outs)
        prior = self._prior(rule, call, original, outs) * scale
        chain = chain_after(self.student.graph, index)
        kernel, constant, explained, size = self._regress(
            index, source, chain, prior, (outs, scale, shift)
        )
        factor = np.ones_like(scale)
        if chain.norm is not None:
            # The size that the kernel has in the teacher.
            is_alive = np.abs(scale) > 1e-6
            factor = 1.0 / np.where(is_alive, scale, 1.0)
        rule.assign(layer, (kernel * factor).reshape(prior.shape))
        if affine.has_bias(layer):
            layer.bias.assign(constant * factor)
            constant = np.zeros_like(constant)
        if chain.norm is not None:
            self._affine[call.outputs[0]] = (1.0 / factor, constant)
        share = 1.0 if np.isnan(explained).all() else np.nanmean(explained)
        of = self.teacher.graph.shapes[original.outputs[0]][-1]
        (group,) = self.student.layouts[call.outputs[0]]
        plan = self.plans.get(group)
        return Fit(
            call.path, original.path, outs, of, plan, float(share), *size
        )

    def _regress(self, index, source, chain, prior, target):
        """Regress a layer's target outputs on its inputs."""
        call = self.student.graph.calls[index]
        original = self.teacher.graph.calls[source]
        rule = rule_of(call.layer)
        others = chain.others if self.is_copy else ()
        outs, scale, shift = target
        prior = prior.reshape(-1, prior.shape[-1])
        sizes = self.student.graph.shapes[chain.end][1:-1]
        linear = affine.without_activation(original.layer)
        each = isinstance(rule, ConvolvesEach)
        rows = max(ROWS_OF_EACH if each else ROWS, ROWS_PER_INPUT * len(prior))
        of_sample = max(1, -(-rows // self.samples.count))
        where = positions(sizes, of_sample, self.seed)
        # Each channel is a set of one target, or all are targets of one set.
        prior = prior.T[..., None] if each else prior[None]
        regression = Regression(*prior.shape)
        for first, (new, old) in passed(
            self.samples,
            (self.new, index, [call.inputs[0], *others]),
            (self.old, source, [original.inputs[0], *others]),
        ):
            z = resized(linear(old[original.inputs[0]]), sizes)
            z = affine.chosen(z, where)[..., outs] * scale + shift
            for key in others:
                # The sum is to be right, whatever else it is the sum of.
                gap = affine.numpy(old[key])[..., self._at(key)]
                gap = gap - affine.numpy(new[key])
                shape = (len(gap), *sizes, gap.shape[-1])
                z = z + affine.chosen(np.broadcast_to(gap, shape), where)
            x = rule.rows(call.layer, new[call.inputs[0]], where)
            x, z = (x, z[..., None]) if each else (x[:, :, None], z[:, :, None])
            regression.add(x, z, first)
        strengths = SHARES if self.ridge == VALIDATION else (self.ridge,)
        found = regression.solve(
            prior,
            # The few weights of one channel need no choice.
            strengths[:1] if each else strengths,
            affine.has_bias(call.layer) or chain.norm is not None,
        )
        kernel, constant, explained = (
            x[..., 0].T if each else x[0] for x in found
        )
        size = self.samples.count * len(where), prior.shape[1]
        return kernel, constant, explained, size

    def _prior(self, rule, call, original, outs):
        """The teacher's kernel on the neurons that stay.

        Those that leave are replaced by what those that stay tell of them.
        Where the inputs are not the teacher's, it is zero.
        """
        kernel = rule.kernel(original.layer)
        present = rule.kernel(call.layer)
        if isinstance(rule, ConvolvesEach):
            return kernel[:, outs]
        if isinstance(rule, affine.ConvolvesSeparately):
            rule.take_first_half(
                call.layer, original.layer, self._at(call.inputs[0])
            )
        layout = self.student.layouts[call.inputs[0]]
        linked = tuple(self.links.get(g) for g in layout)
        alike = linked == self.teacher.layouts[original.inputs[0]]
        if not alike or len(present) != len(kernel):
            return np.zeros((*present.shape[:-1], len(outs)))
        parts, start = [], 0
        for group in layout:
            size = self.teacher.groups[self.links[group]].size
            part = kernel[:, start : start + size][..., outs]
            if group in self.stand_ins:
                part = self.stand_ins[group].T @ part
            parts.append(part)
            start += size
        return np.concatenate(parts, axis=1)

    def _normalise(self, index, layer, source):
        """Adapt a normalisation to new statistics, with the same function."""
        call = self.student.graph.calls[index]
        found = self._affine.pop(call.inputs[0], None)
        if found is None:
            if source is None:
                return
            original = self.teacher.graph.calls[source].layer
            found = scale_and_shift(original, self._at(call.inputs[0]))
        scale, shift = found
        mean, variance = moments(self.samples, self.new, index, call.inputs[0])
        if not layer.center:
            mean = -shift / scale
        if not layer.scale:
            variance = scale**-2 - layer.epsilon
        layer.moving_mean.assign(mean)
        layer.moving_variance.assign(variance)
        if layer.scale:
            layer.gamma.assign(scale * np.sqrt(variance + layer.epsilon))
        if layer.center:
            layer.beta.assign(scale * mean + shift)


class Chain(NamedTuple):
    """What follows a linear layer up to a sum.

    `end` is the tensor after the `BatchNormalization` `norm`, if there is one;
    `others` are the tensors that are added to it, if they are computed before
    the layer.
    """

    end: int
    norm: Any = None
    others: tuple[int, ...] = ()


def chain_after(graph: Graph, index: int) -> Chain:
    """Find the normalisation and the sum behind a linear layer."""
    call, consumers = graph.calls[index], graph.consumers()

    def only_taker(key):
        takers = consumers[key]
        alone = len(takers) == 1 and key not in graph.outputs
        return graph.calls[takers[0]] if alone else None

    (end,), norm = call.outputs, None
    if affine.activation_of(call.layer) != "linear":
        return Chain(end)
    taker = only_taker(end)
    if taker and isinstance(taker.layer, keras.layers.BatchNormalization):
        norm = taker.layer
        (end,) = taker.outputs
    key, ready = end, set(graph.inputs)
    ready |= {k for x in graph.calls[:index] for k in x.outputs}
    while taker := only_taker(key):
        if type(taker.layer).__name__ == "Add":
            others = tuple(k for k in taker.inputs if k != key)
            if others and ready >= set(others):
                return Chain(end, norm, others)
        if not isinstance(taker.layer, _TRANSPARENT):
            break
        (key,) = taker.outputs
    return Chain(end, norm)


def scale_and_shift(norm: Any, kept: np.ndarray) -> tuple[Any, Any]:
    """Scale and shift of some channels of a normalisation; `None` has none."""
    if norm is None:
        return np.ones(len(kept)), np.zeros(len(kept))
    to_array = keras.ops.convert_to_numpy
    mean = to_array(norm.moving_mean)[kept].astype(np.float64)
    variance = to_array(norm.moving_variance)[kept].astype(np.float64)
    scale = 1.0 / np.sqrt(variance + norm.epsilon)
    if norm.scale:
        scale = scale * to_array(norm.gamma)[kept]
    shift = -scale * mean
    return scale, shift + to_array(norm.beta)[kept] if norm.center else shift


def resized(maps: Any, shape: tuple[Any, ...]) -> np.ndarray:
    """Maps `(batch, ..., neurons)` of a teacher at a student's positions."""
    now = tuple(maps.shape[1:-1])
    if len(now) != len(shape):
        raise ValueError(
            "Expected layers whose outputs have the same number of axes. "
            f"Received: {len(shape)} axes of positions in the student, "
            f"{len(now)} in the teacher. Map the layers otherwise."
        )
    if None in shape or now == tuple(shape):
        return affine.numpy(maps)
    if len(shape) > 2:
        raise ValueError(
            "Expected maps of equal sizes, as maps with three axes are not "
            f"resized. Received: {now} in the teacher, {tuple(shape)} in the "
            "student."
        )
    flat = keras.ops.reshape(
        maps, (-1, now[0], int(np.prod(now[1:])), maps.shape[-1])
    )
    size = (shape[0], shape[1] if len(shape) == 2 else 1)
    found = keras.ops.image.resize(flat, size, interpolation="bilinear")
    return affine.numpy(found).reshape(-1, *shape, maps.shape[-1])
