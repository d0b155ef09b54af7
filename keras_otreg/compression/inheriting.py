"""A student whose weights are fitted, layer by layer, to a teacher's."""

import dataclasses
import io
import warnings
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import rich.console
import rich.table

from keras_otreg import checks
from keras_otreg.compression import affine, matching
from keras_otreg.compression.affine import ConvolvesEach, Mixes
from keras_otreg.compression.channels import rule_of
from keras_otreg.compression.choose import CHOICES, chosen, plan_onto
from keras_otreg.compression.graph import Run, Samples, moments, passed
from keras_otreg.compression.least_squares import SHARES, Regression

VALIDATION = "validation"
# Rows that a fit sees: at least so many, and so many for each unknown.
ROWS, ROWS_PER_INPUT = 8000, 10
# The same where each channel has a fit of its own.
ROWS_OF_EACH = 4000
# Below this share of variance a fit is doubtful.
ENOUGH = 0.5


@dataclasses.dataclass(frozen=True)
class Fit:
    """Result of the fit of one layer.

    Attributes:
        path: Path of the layer.
        source: Path of the teacher's layer.
        neurons: Which of the teacher's neurons it computes.
        of: How many the teacher has.
        plan: How their mass is moved onto those that stay, of shape `(of,
            len(neurons))`; `None` if all of them stay.
        explained: Share of their variance that the layer explains, held out.
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


class Inheritance(dict):
    """Fits of the layers of a student by path; `str` of it is a table."""

    def __str__(self):
        table = rich.table.Table("layer", "neurons", "variance explained")
        for fit in self.values():
            share = f"{fit.explained:.3f}"
            if fit.explained < ENOUGH:
                share += "  low: more samples, a larger width, or keep it"
            table.add_row(fit.path, f"{len(fit.neurons)} of {fit.of}", share)
        shown = io.StringIO()
        rich.console.Console(width=100, file=shown).print(table)
        return shown.getvalue()


def inherit(
    student: keras.Model,
    teacher: keras.Model,
    samples: Any,
    *,
    layers: Mapping[str, str] | None = None,
    choose: str = "transport",
    ridge: float | str = "validation",
    seed: int = 0,
    verbose: bool = True,
) -> Inheritance:
    """Give a student the weights with which it is most like its teacher.

    In each group of tied channels some neurons stay. Then each layer, in the
    order of the forward pass, is fitted by ridge regression: from its inputs in
    the student to the activations of these neurons in the teacher. Before a
    sum, a layer is fitted such that the sum is right.

    Args:
        student: A built Functional or Sequential network, such as `narrow`
            returns.
        teacher: A built network. It is not changed.
        samples: Inputs of both networks, of which no labels are read: arrays,
            or a `keras.utils.PyDataset` or `tf.data.Dataset` of batches.
        layers: A mapping from paths of the student's layers to those of the
            teacher's; layers of one name if not given. A head of other classes
            inherits nothing.
        choose: Which neurons stay: `"transport"`, those onto which the others
            are moved at the least cost, one minus the squared correlation;
            `"pivots"` of a QR factorisation; or the controls `"largest"`,
            `"uniform"` and `"random"`.
        ridge: Strength of the pull towards the teacher's own weights, as a
            share of the mean variance of a layer's inputs; `"validation"`
            chooses it for each layer on half of the samples.
        seed: Of the choices that are random.
        verbose: Whether to show a bar and print a table.

    Returns:
        A `Fit` for each layer, by its path.

    Example:
        ```python
        student = otreg.narrow(teacher, 0.25)
        print(otreg.inherit(student, teacher, x, verbose=False))
        ```

    References:
        Choice without a fit: Xu et al. (ICLR 2024), arXiv 2311.18823. Least
        squares after a matching: Nasery et al. (CVPR 2025), arXiv 2407.02447.
    """
    heir = Heir(student, teacher, samples, layers, choose, ridge, seed)
    return heir.inherit(verbose)


class Heir(matching.Match):
    """A student whose layers are given their weights one after the other.

    `grams` are covariances of groups of the teacher, if they are known.
    """

    def __init__(
        self, student, teacher, samples, layers, choose, ridge, seed, grams=None
    ):
        checks.one_of(choose, CHOICES, "choose")
        if ridge != VALIDATION:
            checks.non_negative(ridge, "ridge")
        super().__init__(student, teacher, layers)
        self.ridge, self.seed = ridge, seed
        self.samples = Samples(samples, teacher, student)
        self.new, self.old = Run(self.student), Run(self.teacher)
        sizes, full = (x.groups.sizes() for x in (self.student, self.teacher))
        narrowed = {g: h for g, h in self.links.items() if sizes[g] < full[h]}
        if grams is None:
            wanted = self.teacher, self.samples, set(narrowed.values())
            grams = matching.covariances(*wanted, seed)
        rng = np.random.default_rng(seed)
        self.kept = {g: np.arange(sizes[g]) for g in self.links}
        self.stand_ins, self.plans = {}, {}
        for g, h in narrowed.items():
            self.kept[g] = kept = chosen(choose, grams[h], sizes[g], rng)
            self.stand_ins[g] = matching.interpolation(grams[h], kept)
            self.plans[g] = plan_onto(grams[h], kept)
        # Scale and shift from a fitted output to that of the teacher.
        self._affine: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def inherit(self, verbose: bool) -> Inheritance:
        """Set all weights of the student, and show a bar and the table."""
        found, done = Inheritance(), set()
        calls = [self.student.calls[index] for index in self.source]
        count = len({id(x.layer) for x in calls if _is_fitted(x)})
        bar = keras.utils.Progbar(
            count, verbose=int(verbose), unit_name="layer"
        )
        for index, call in enumerate(self.student.calls):
            layer, source = call.layer, self.source.get(index)
            if not getattr(layer, "weights", ()) or id(layer) in done:
                continue
            done.add(id(layer))
            if source is not None and _is_fitted(call):
                found[call.path] = self._fit(index, source)
                bar.add(1)
            elif isinstance(layer, keras.layers.BatchNormalization):
                self._normalise(index, layer, source)
            elif source is not None and self.is_copy:
                kept = self._at(call.inputs[0])
                original = self.teacher.calls[source].layer
                rule_of(layer).take(layer, original, kept)
        if verbose:
            rich.console.Console().print(str(found))
        few = [fit for fit in found.values() if fit.rows < fit.inputs]
        if few:
            warnings.warn(
                "Expected at least as many rows (samples times positions) as "
                f"inputs of a layer. Received: {few[0].rows} rows for "
                f"{few[0].inputs} inputs of '{few[0].path}'"
                f"{f' (and {len(few) - 1} more)' if few[1:] else ''}. Such "
                "layers stay close to the teacher's own weights. Pass more "
                "samples.",
                stacklevel=3,
            )
        return found

    def _places(self, key):
        """Groups of a student's tensor, and their places in the teacher's."""
        layout = self.student.layouts[key]
        linked = tuple(self.links[group] for group in layout)
        return zip(layout, self.teacher.groups.places(linked), strict=True)

    def _at(self, key):
        """Positions in the teacher of the channels of a student's tensor."""
        places = self._places(key)
        return np.concatenate([own[self.kept[g]] for g, own in places])

    def _fit(self, index, source):
        """Fit a layer, up to the normalisation that follows."""
        call, original = self.student.calls[index], self.teacher.calls[source]
        layer, rule = call.layer, rule_of(call.layer)
        outs = self._at(call.outputs[0])
        _, norm, _ = matching.chain_after(self.teacher, source)
        scale, shift = matching.scale_and_shift(norm, outs)
        prior = self._prior(rule, call, original, outs) * scale
        chain = _, norm, _ = matching.chain_after(self.student, index)
        kernel, constant, explained, size = self._regress(
            index, source, chain, prior, (outs, scale, shift)
        )
        factor = np.ones_like(scale)
        if norm is not None:
            # The size that the kernel has in the teacher.
            is_alive = np.abs(scale) > 1e-6
            factor = 1.0 / np.where(is_alive, scale, 1.0)
        rule.assign(layer, (kernel * factor).reshape(prior.shape))
        if affine.has_bias(layer):
            layer.bias.assign(constant * factor)
            constant = np.zeros_like(constant)
        if norm is not None:
            self._affine[call.outputs[0]] = (1.0 / factor, constant)
        share = 1.0 if np.isnan(explained).all() else np.nanmean(explained)
        of = self.teacher.shapes[original.outputs[0]][-1]
        (group,) = self.student.layouts[call.outputs[0]]
        paths, plan = (call.path, original.path), self.plans.get(group)
        return Fit(*paths, outs, of, plan, float(share), *size)

    def _regress(self, index, source, chain, prior, target):
        """Regress a layer's target outputs on its inputs."""
        call, original = self.student.calls[index], self.teacher.calls[source]
        rule = rule_of(call.layer)
        key, there = call.inputs[0], original.inputs[0]
        (end, norm, others), (outs, scale, shift) = chain, target
        others = others if self.is_copy else ()
        prior = prior.reshape(-1, prior.shape[-1])
        sizes = self.student.shapes[end][1:-1]
        linear = affine.without_activation(original.layer)
        each = isinstance(rule, ConvolvesEach)
        rows = max(ROWS_OF_EACH if each else ROWS, ROWS_PER_INPUT * len(prior))
        of_sample = max(1, -(-rows // self.samples.count))
        where = matching.positions(sizes, of_sample, self.seed)
        # Each channel is a set of one target, or all are targets of one set.
        prior = prior.T[..., None] if each else prior[None]
        regression = Regression(prior.shape[1])
        pair = (self.new, index), (self.old, source)
        for first, (new, old) in passed(self.samples, *pair):
            z = matching.resized(linear(old[there]), sizes)
            z = affine.chosen(z, where)[..., outs] * scale + shift
            for other in others:
                # The sum is to be right, whatever else it is the sum of.
                gap = affine.numpy(old[other])[..., self._at(other)]
                gap = gap - affine.numpy(new[other])
                shape = (len(gap), *sizes, gap.shape[-1])
                z = z + affine.chosen(np.broadcast_to(gap, shape), where)
            x = rule.rows(call.layer, new[key], where)
            x, z = (x, z[..., None]) if each else (x[:, :, None], z[:, :, None])
            regression.add(x, z, first)
        # The few weights of one channel need no choice.
        shares = SHARES[:1] if each else SHARES
        found = regression.solve(
            prior,
            shares if self.ridge == VALIDATION else (self.ridge,),
            affine.has_bias(call.layer) or norm is not None,
        )
        size = self.samples.count * len(where), prior.shape[1]
        return *(x[..., 0].T if each else x[0] for x in found), size

    def _prior(self, rule, call, original, outs):
        """The teacher's kernel on the neurons that stay.

        Those that leave are replaced by what those that stay tell of them.
        Where the inputs are not the teacher's, it is zero.
        """
        kernel = rule.kernel(original.layer)
        present = rule.kernel(call.layer)
        if isinstance(rule, ConvolvesEach):
            return kernel[:, outs]
        key, there = call.inputs[0], original.inputs[0]
        if isinstance(rule, affine.ConvolvesSeparately):
            rule.take_first_half(call.layer, original.layer, self._at(key))
        linked = tuple(self.links.get(g) for g in self.student.layouts[key])
        alike = linked == self.teacher.layouts[there]
        if not alike or len(present) != len(kernel):
            return np.zeros((*present.shape[:-1], len(outs)))
        parts = []
        for group, own in self._places(key):
            part = kernel[:, own][..., outs]
            if group in self.stand_ins:
                part = self.stand_ins[group].T @ part
            parts.append(part)
        return np.concatenate(parts, axis=1)

    def _normalise(self, index, layer, source):
        """Adapt a normalisation to new statistics, with the same function."""
        key = self.student.calls[index].inputs[0]
        found = self._affine.pop(key, None)
        if found is None:
            if source is None:
                return
            original = self.teacher.calls[source].layer
            found = matching.scale_and_shift(original, self._at(key))
        scale, shift = found
        mean, variance = moments(self.samples, self.new, index)
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


def _is_fitted(call):
    rule = rule_of(call.layer)
    return isinstance(rule, Mixes | ConvolvesEach) and not rule.obstacle(call)
