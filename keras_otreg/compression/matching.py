"""Match of a student's layers and neurons with those of a teacher."""

from collections.abc import Mapping
from typing import Any, NamedTuple

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
TRANSPARENT = (
    keras.layers.Dropout,
    keras.layers.Identity,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
)


def same_layers(student: Traced, teacher: Traced) -> bool:
    """Whether two networks call layers of the same names and kinds."""
    pairs = [
        [(call.path, type(call.layer).__name__) for call in x.graph.calls]
        for x in (student, teacher)
    ]
    return pairs[0] == pairs[1]


def sources(
    student: Traced,
    teacher: Traced,
    layers: Mapping[str, str] | None,
    is_copy: bool,
) -> dict[int, int]:
    """Call of the teacher that each call of the student inherits from.

    Those of `layers`, or of one name; in a copy, those at the same place.
    """
    calls, others = student.graph.calls, teacher.graph.calls
    if is_copy:
        found = {i: i for i in range(len(calls))}
    else:
        names = _named(calls, others, layers)
        known = [i for i, x in enumerate(calls) if x.path in names]
        found = {i: names[calls[i].path] for i in known}
    ends = (
        (i, j, calls[i].outputs, others[j].outputs) for i, j in found.items()
    )
    return {i: j for i, j, *x in ends if _fits(student, teacher, *x)}


def _named(calls, others, layers):
    """First call of the teacher's layer for the path of a student's."""
    kernels: dict[str, int] = {}
    for i, call in enumerate(others):
        if isinstance(rule_of(call.layer), Mixes):
            kernels.setdefault(call.path, i)
    mine = {x.path for x in calls if isinstance(rule_of(x.layer), Mixes)}
    if layers is None:
        layers = {path: path for path in mine & kernels.keys()}
    for path, name in layers.items():
        checks.one_of(path, mine, "layers")
        checks.one_of(name, kernels, f"layers[{path!r}]")
    if not layers:
        raise checks.invalid(
            "a student and a teacher with linear layers of the same names, or "
            "`layers`, a mapping from the student's layers to the teacher's",
            f"a student with {sorted(mine)}, a teacher with {sorted(kernels)}",
        )
    return {path: kernels[name] for path, name in layers.items()}


def _fits(student, teacher, outputs, others):
    """Whether the outputs of a call can be some of the teacher's."""
    if not outputs or not others:
        return False
    # A head of other classes cannot: its neurons mean something else.
    widths, is_head = [], False
    for traced, (key, *_) in (student, outputs), (teacher, others):
        layout = traced.layouts[key]
        widths.append(traced.groups.width(layout))
        is_head |= not traced.outputs().isdisjoint(layout)
    return widths[0] == widths[1] if is_head else widths[0] <= widths[1]


def links(
    student: Traced, teacher: Traced, source: Mapping[int, int]
) -> dict[int, int]:
    """Group of the teacher for each group of the student."""
    found: dict[int, int] = {}
    pairs = list(zip(student.graph.inputs, teacher.graph.inputs, strict=True))
    for i, j in source.items():
        ends = student.graph.calls[i].outputs, teacher.graph.calls[j].outputs
        pairs += zip(*ends, strict=True)
    for key, other in pairs:
        layouts = student.layouts[key], teacher.layouts[other]
        if len(layouts[0]) != len(layouts[1]):
            continue
        for group, there in zip(*layouts, strict=True):
            if found.setdefault(group, there) != there:
                one, other = (
                    teacher.groups[k].owners for k in (found[group], there)
                )
                raise checks.invalid(
                    "layers of the student whose channels are added or "
                    "multiplied to inherit from layers of the teacher that "
                    "are tied in the same way",
                    f"{student.groups[group].owners}, from {one} and {other}",
                    "Name only one of them in `layers`.",
                )
    return found


def covariances(
    traced: Traced, samples: Samples, wanted: set[int], seed: int
) -> dict[int, np.ndarray]:
    """Covariances of the neurons of some groups, at the inputs of layers.

    Each is divided by its total variance, and summed over the layers.
    """
    calls = traced.graph.calls
    takers: dict[int, int] = {}
    for index, call in enumerate(calls):
        if isinstance(rule_of(call.layer), Mixes):
            takers.setdefault(call.inputs[0], index)
    sums: dict[tuple[int, int], list[Any]] = {}
    for batch in samples:
        live = dict(zip(traced.graph.inputs, batch, strict=True))
        for index, call in enumerate(calls):
            key = call.inputs[0] if call.inputs else -1
            if takers.get(key) == index and wanted & set(traced.layouts[key]):
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
    start = 0
    for group in traced.layouts[key]:
        size = traced.groups[group].size
        if group in wanted:
            part = x[:, start : start + size]
            moments = sums.setdefault((group, key), [0, 0.0, 0.0])
            moments[0] += len(part)
            moments[1] = moments[1] + part.sum(axis=0)
            moments[2] = moments[2] + part.T @ part
        start += size


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
    call = graph.calls[index]

    def only_taker(key):
        takers = [x for x in graph.calls if key in x.inputs]
        alone = len(takers) == 1 and key not in graph.outputs
        return takers[0] if alone else None

    (end,), norm = call.outputs, None
    if activation_of(call.layer) != "linear":
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
        if not isinstance(taker.layer, TRANSPARENT):
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
