"""Match of a student's layers and neurons with those of a teacher."""

from typing import Any

import keras
import numpy as np

from keras_otreg import checks
from keras_otreg.compression import affine
from keras_otreg.compression.affine import Mixes
from keras_otreg.compression.channels import Traced, activation_of, rule_of
from keras_otreg.compression.graph import Graph, Samples

# Positions of a map that are looked at to choose neurons.
POSITIONS = 32
# What may stand between a layer and the sum that it enters.
TRANSPARENT = (keras.layers.Dropout, keras.layers.Identity)


class Match:
    """Layers and groups of a student beside those of a teacher.

    `source` is the call of the teacher that a call of the student inherits
    from, of `layers` or of one name; in a copy, which calls layers of the same
    names and kinds, at the same place. `links` is the group of the teacher for
    each group of the student.
    """

    def __init__(self, student, teacher, layers):
        self.student, self.teacher = Traced(student), Traced(teacher)
        one, other = (
            [(call.path, type(call.layer).__name__) for call in x.calls]
            for x in (self.student, self.teacher)
        )
        self.is_copy = layers is None and one == other
        found = {i: i for i in range(len(one))}
        if not self.is_copy:
            named, paths = self._named(layers), enumerate(x for x, _ in one)
            found = {i: named[path] for i, path in paths if path in named}
        self.source = {i: j for i, j in found.items() if self._fits(i, j)}
        self.links = self._linked()

    def _named(self, layers):
        """First call of the teacher's layer for the path of a student's."""
        mine, theirs = (
            {
                x.path
                for x in traced.calls
                if isinstance(rule_of(x.layer), Mixes)
            }
            for traced in (self.student, self.teacher)
        )
        if layers is None:
            layers = {path: path for path in mine & theirs}
        for path, name in layers.items():
            checks.one_of(path, mine, "layers")
            checks.one_of(name, theirs, f"layers[{path!r}]")
        if not layers:
            raise checks.invalid(
                "a student and a teacher with linear layers of the same names, "
                "or `layers`, a mapping from the student's layers to the "
                "teacher's",
                f"a student with {sorted(mine)}, a teacher with "
                f"{sorted(theirs)}",
            )
        paths = [call.path for call in self.teacher.calls]
        return {path: paths.index(name) for path, name in layers.items()}

    def _fits(self, index, source):
        """Whether the outputs of a call can be some of the teacher's."""
        # A head of other classes cannot: its neurons mean something else.
        widths, is_head = [], False
        for traced, number in (self.student, index), (self.teacher, source):
            if not traced.calls[number].outputs:
                return False
            layout = traced.layouts[traced.calls[number].outputs[0]]
            widths.append(traced.groups.width(layout))
            is_head |= not traced.head_groups().isdisjoint(layout)
        return widths[0] == widths[1] if is_head else widths[0] <= widths[1]

    def _linked(self):
        student, teacher = self.student, self.teacher
        found: dict[int, int] = {}
        pairs = list(zip(student.inputs, teacher.inputs, strict=True))
        for i, j in self.source.items():
            ends = student.calls[i].outputs, teacher.calls[j].outputs
            pairs += zip(*ends, strict=True)
        for key, other in pairs:
            layouts = student.layouts[key], teacher.layouts[other]
            if len(layouts[0]) != len(layouts[1]):
                continue
            for group, there in zip(*layouts, strict=True):
                if found.setdefault(group, there) != there:
                    both = found[group], there
                    tied = [teacher.groups[k].owners for k in both]
                    raise checks.invalid(
                        "layers of the student whose channels are added or "
                        "multiplied to inherit from layers of the teacher "
                        "that are tied in the same way",
                        f"{student.groups[group].owners}, from {tied}",
                        "Name only one of them in `layers`.",
                    )
        return found


def covariances(
    traced: Traced, samples: Samples, wanted: set[int], seed: int
) -> dict[int, np.ndarray]:
    """Covariances of the neurons of some groups, at the inputs of layers.

    Each is divided by its total variance, and summed over the layers.
    """
    takers: dict[int, int] = {}
    for index, call in enumerate(traced.calls):
        if isinstance(rule_of(call.layer), Mixes):
            takers.setdefault(call.inputs[0], index)
    sums: dict[tuple[int, int], tuple[Any, ...]] = {}
    for batch in samples:
        live = dict(zip(traced.inputs, batch, strict=True))
        for index, call in enumerate(traced.calls):
            key = call.inputs[0] if call.inputs else -1
            if takers.get(key) == index and wanted & {*traced.layouts[key]}:
                x = affine.numpy(live[key])
                where = positions(x.shape[1:-1], POSITIONS, seed)
                _add(sums, traced, key, affine.chosen(x, where), wanted)
            live |= call(live)
    found: dict[int, Any] = {}
    for (group, _), (count, total, squares) in sums.items():
        mean = total / count
        gram = squares / count - np.outer(mean, mean)
        gram = gram / max(np.trace(gram), 1e-30)
        found[group] = found.get(group, 0.0) + gram
    return found


def _add(sums, traced, key, x, wanted):
    """Add the moments of each group that a tensor holds."""
    x = x.reshape(-1, x.shape[-1]).astype(np.float64)
    layout = traced.layouts[key]
    for group, own in zip(layout, traced.groups.places(layout), strict=True):
        if group in wanted:
            part, before = x[:, own], sums.get((group, key), (0, 0.0, 0.0))
            new = len(part), part.sum(axis=0), part.T @ part
            sums[group, key] = tuple(map(sum, zip(before, new, strict=True)))


def positions(shape: Any, most: int, seed: int) -> np.ndarray:
    """Indices of some positions of a map, the same for every sample."""
    count = int(np.prod([1 if n is None else n for n in shape]))
    if count <= most:
        return np.arange(count)
    rng = np.random.default_rng(seed)
    return np.sort(rng.permutation(count)[:most])


def interpolation(gram: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Matrix that predicts all neurons from those that stay, `(n, k)`."""
    among = gram[np.ix_(kept, kept)]
    ridge = 1e-6 * max(np.trace(among) / len(among), 1e-30)
    return np.linalg.solve(among + ridge * np.eye(len(among)), gram[kept]).T


def chain_after(graph: Graph, index: int) -> tuple[int, Any, tuple[int, ...]]:
    """Return what follows a linear layer up to a sum.

    This is the tensor after its `BatchNormalization`, that or `None`, and the
    tensors that are added, if they are computed before the layer.
    """
    call = graph.calls[index]

    def only_taker(key):
        takers = [x for x in graph.calls if key in x.inputs]
        alone = len(takers) == 1 and key not in graph.outputs
        return takers[0] if alone else None

    (end,), norm = call.outputs, None
    if activation_of(call.layer) != "linear":
        return end, None, ()
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
                return end, norm, others
        if not isinstance(taker.layer, TRANSPARENT):
            break
        (key,) = taker.outputs
    return end, norm, ()


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
    is_equal = None in shape or now == tuple(shape)
    if len(now) != len(shape) or (len(shape) > 2 and not is_equal):
        raise checks.invalid(
            "layers whose outputs have the same number of axes, and maps of "
            "equal sizes if these have three, which are not resized",
            f"maps of {tuple(shape)} in the student, {now} in the teacher",
            "Map the layers otherwise.",
        )
    if is_equal:
        return affine.numpy(maps)
    inner, size = (*now, 1)[:2], (*shape, 1)[:2]
    flat = keras.ops.reshape(maps, (-1, *inner, maps.shape[-1]))
    found = keras.ops.image.resize(flat, size, interpolation="bilinear")
    return affine.numpy(found).reshape(-1, *shape, maps.shape[-1])
