"""Networks of the same layers with fewer neurons."""

import numbers
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_otreg import checks
from keras_otreg.compression.affine import Mixes
from keras_otreg.compression.channels import Traced, rule_of
from keras_otreg.compression.graph import Samples, edited
from keras_otreg.compression.inheriting import Heir
from keras_otreg.compression.matching import covariances
from keras_otreg.compression.resources import Budget


def narrow(
    teacher: keras.Model,
    width: Any,
    *,
    samples: Any = None,
    keep: Any = (),
    classes: int | None = None,
    choose: str = "transport",
    ridge: float | str = "validation",
    seed: int = 0,
    verbose: bool = True,
) -> keras.Model:
    """A plain network of a teacher's layers, by name, with fewer neurons.

    Layers whose channels are tied, such as those of a residual stream, are
    narrowed together; those that cannot be narrowed stay as they are:
    `otreg.compression.summary(teacher)` lists both.

    Args:
        teacher: A built Functional or Sequential network, which may hold
            others. It is not changed.
        width: Share of the neurons that stay, from above 0 to 1.0; a mapping
            from paths of layers to shares or numbers of neurons, in which
            other layers stay as wide as they are; or an
            `otreg.compression.Budget`.
        samples: Inputs, without labels. If given, the student inherits the
            teacher's weights as `otreg.inherit` does; if not, its weights are
            new.
        keep: Paths of layers whose neurons all stay.
        classes: Number of outputs of a new head with new weights; the
            teacher's head if not given.
        choose: See `inherit`.
        ridge: See `inherit`.
        seed: See `inherit`.
        verbose: See `inherit`.

    Raises:
        ValueError: If the teacher is no Functional or Sequential network, or
            a width or a path does not fit it.

    Example:
        ```python
        student = otreg.narrow(teacher, 0.5, samples=x)
        ```
    """
    student, grams = with_fewer_neurons(
        teacher, width, samples, keep=keep, classes=classes, seed=seed
    )
    if samples is not None:
        heir = Heir(student, teacher, samples, None, choose, ridge, seed, grams)
        heir.inherit(verbose)
    return student


def with_fewer_neurons(
    teacher: keras.Model,
    width: Any,
    samples: Any = None,
    *,
    keep: Any = (),
    classes: int | None = None,
    seed: int = 0,
) -> tuple[keras.Model, dict[int, np.ndarray] | None]:
    """Return the network of `narrow` with new weights, and covariances.

    These are of the samples, by which a `Budget` is spread over the layers.
    """
    traced = Traced(teacher)
    keep = (keep,) if isinstance(keep, str) else keep
    if not isinstance(width, Budget):
        widths = widths_of(traced, width, keep, classes)
        return narrowed(teacher, traced, widths), None
    widths, groups = widths_of(traced, 1.0, keep, classes), traced.groups
    kept, grams = _kept(traced, keep), None
    free = [k for k in widths if not groups[k].why and k not in kept]
    if samples is not None:
        grams = covariances(traced, Samples(samples, teacher), set(free), seed)
    widths = width.widths(traced, widths, free, grams)
    return narrowed(teacher, traced, widths), grams


def widths_of(
    traced: Traced, width: Any, keep: Any = (), classes: int | None = None
) -> dict[int, int]:
    """Number of neurons of each group; the arguments are those of `narrow`."""
    groups, widths = traced.groups, traced.groups.sizes()
    if isinstance(width, Mapping):
        asked: dict[int, tuple[str, int]] = {}
        for path, value in width.items():
            (group,) = _groups_at(traced, path, "width")
            if why := groups[group].why:
                raise checks.invalid(
                    "layers that can be narrowed in `width`",
                    f"'{path}', whose neurons all stay: {why}",
                    "Leave it out; `otreg.compression.summary` lists the "
                    "layers that can be narrowed.",
                )
            size = _size(value, widths[group], f"width['{path}']")
            other, before = asked.setdefault(group, (path, size))
            if before != size:
                raise checks.invalid(
                    "one width for layers that share their neurons: "
                    f"{groups[group].owners}",
                    f"{before} for '{other}' and {size} for '{path}'",
                    "Name one of them.",
                )
        widths |= {group: size for group, (_, size) in asked.items()}
    elif _is_share(width):
        free = [k for k in widths if not groups[k].why]
        widths |= {k: _size(width, widths[k], "width") for k in free}
    else:
        raise checks.invalid(
            "a share above 0.0, of at most 1.0; a mapping from paths of "
            "layers to shares or numbers of neurons; or an "
            "`otreg.compression.Budget`",
            repr(width),
            argument="width",
        )
    widths |= {k: groups[k].size for k in _kept(traced, keep)}
    if classes is not None:
        widths[_head(traced)] = int(classes)
    return widths


def narrowed(
    teacher: keras.Model, traced: Traced, widths: Mapping[int, int]
) -> keras.Model:
    """A network of the same layers and other widths, with new weights."""
    calls = {call.path: call for call in traced.calls}

    def width_at(key):
        return sum(widths[k] for k in traced.layouts[key])

    def edit(path, config):
        if path in traced.entries:
            width = width_at(traced.entries[path])
            config["batch_shape"] = [*config["batch_shape"][:-1], width]
        elif path in calls:
            resized = [width_at(key) for key in calls[path].outputs]
            rule_of(calls[path].layer).resize(config, resized)

    return type(teacher).from_config(edited(teacher.get_config(), edit))


def _kept(traced, keep):
    """The groups of the layers that are to stay as they are."""
    return {k for path in keep for k in _groups_at(traced, path, "keep")}


def _groups_at(traced, path, name):
    for call in traced.calls:
        if call.path == path:
            return set(traced.layouts[call.outputs[0]])
    paths = sorted({call.path for call in traced.calls})
    raise checks.invalid(
        f"paths of layers, among {paths}",
        repr(path),
        "`otreg.compression.summary` lists them.",
        argument=name,
    )


def _is_share(value):
    # As a number of neurons, 1 is one; all of them are asked for by 1.0.
    is_whole = isinstance(value, numbers.Integral)
    return isinstance(value, numbers.Real) and not is_whole and 0 < value <= 1


def _size(value, neurons, name):
    """The number of neurons that a share or a number stands for."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if whole and 1 <= value <= neurons:
        return int(value)
    if _is_share(value):
        return max(1, round(float(value) * neurons))
    raise checks.invalid(
        "a share above 0, of at most 1.0, or a number of neurons from 1 to "
        f"{neurons}",
        repr(value),
        argument=name,
    )


def _head(traced):
    """The group of the network's outputs, if a layer of its own makes it."""
    outputs = traced.head_groups()
    owners = {path for k in outputs for path in traced.groups[k].owners}
    heads = [
        call.layer
        for call in traced.calls
        if call.path in owners and isinstance(rule_of(call.layer), Mixes)
    ]
    if len(outputs) != 1 or len(heads) != 1:
        raise checks.invalid(
            "a network with one output, computed by one layer, for `classes`",
            f"outputs of the layers {sorted(owners)}",
            "Narrow it without `classes`, and put the new head behind it.",
        )
    return outputs.pop()
