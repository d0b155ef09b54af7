"""Parameters and operations of a network, a budget of them, and a table."""

import bisect
import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import keras
import numpy as np
import rich.console
import rich.table

from keras_otreg import checks
from keras_otreg.compression import affine
from keras_otreg.compression.affine import ConvolvesEach, Mixes
from keras_otreg.compression.channels import Traced, rule_of
from keras_otreg.compression.choose import pivoted

# Share of a group's neurons that leave in one step of the search.
STEP = 0.05


class Resources(NamedTuple):
    """Parameters, and operations for one sample, of a layer or a network.

    These are two for each multiplication by a weight of a linear layer.
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
        self._groups = list(traced.groups.sizes())
        # How often a group is in the inputs and in the outputs of a call;
        # parameters and operations by inputs * outputs, inputs and outputs.
        self._counts = np.zeros((2, len(traced.calls), len(self._groups)), int)
        self._rates = np.zeros((len(traced.calls), 2, 3))
        seen: set[int] = set()
        for i, call in enumerate(traced.calls):
            for end, keys in enumerate((call.inputs[:1], call.outputs[:1])):
                for group in (k for key in keys for k in traced.layouts[key]):
                    self._counts[end, i, self._groups.index(group)] += 1
            if call.inputs and getattr(call.layer, "weights", ()):
                held, done = _rates(traced, call)
                # A weight counts in the first call.
                is_new = id(call.layer) not in seen
                self._rates[i] = np.multiply(held, is_new), done
            seen.add(id(call.layer))

    def __call__(self, widths: Mapping[int, int]) -> Resources:
        """The resources of the whole network."""
        return Resources(*self.of_calls(widths).sum(axis=0).tolist())

    def of_calls(self, widths: Mapping[int, int]) -> np.ndarray:
        """Those of each call, a row each."""
        ins, outs = self._counts @ np.array([widths[k] for k in self._groups])
        factors = np.stack([ins * outs, ins, outs], axis=-1)
        found = self._rates @ factors[..., None]
        return np.rint(found[..., 0]).astype(int)


def _rates(traced, call):
    """Parameters and operations of a call for each input and output."""
    layer, rule = call.layer, rule_of(call.layer)
    # The kernel is applied to one sample at as many positions.
    is_turned = isinstance(rule, affine.ConvolvesTransposed)
    inner = traced.shapes[(call.inputs if is_turned else call.outputs)[0]][1:-1]
    work = 0 if None in inner else 2 * int(np.prod(inner))
    if isinstance(rule, Mixes):
        kernel, first = rule.weights_each(layer)
        kernel /= getattr(layer, "groups", 1)
        held = kernel, first, affine.has_bias(layer)
        return held, (work * kernel, work * first, 0)
    width = traced.groups.width(traced.layouts[call.outputs[0]])
    is_each = isinstance(rule, ConvolvesEach)
    positions = int(np.prod(layer.kernel_size)) if is_each else 0
    held = layer.count_params() / max(width, 1)
    return (0, 0, held), (0, 0, work * positions)


@dataclasses.dataclass(frozen=True)
class Budget:
    """Limit on the parameters and operations of a narrow network.

    At each step neurons leave the group whose unexplained variance grows least
    for each operation, or parameter, saved.

    Args:
        parameters: Most parameters: a number, or a share of the teacher's.
        flops: Most operations for one sample: a number, or a share of the
            teacher's. `otreg.compression.summary` says what counts.
        share: The same share of both.

    Example:
        ```python
        half = otreg.compression.Budget(flops=0.5)
        student = otreg.narrow(teacher, half, samples=x)
        ```
    """

    parameters: float | None = None
    flops: float | None = None
    share: float | None = None

    def __post_init__(self):
        fields = dataclasses.asdict(self).items()
        given = {name: value for name, value in fields if value is not None}
        for name, value in given.items():
            checks.positive(value, name)
        if len(given) != 1 or (self.share or 0.0) > 1.0:
            raise checks.invalid(
                "one of `parameters`, `flops` and `share`, the last of at "
                "most 1",
                given,
            )

    def widths(
        self,
        traced: Traced,
        widths: dict[int, int],
        free: list[int],
        grams: dict[int, np.ndarray] | None,
    ) -> dict[int, int]:
        """Spread a cut of `widths`, by group, over the `free` groups.

        Without covariances between their neurons all are narrowed alike.
        """
        resources, given = ResourceModel(traced), (self.parameters, self.flops)
        most = np.array([x or self.share or np.inf for x in given])
        limits = np.where(most <= 1.0, resources(widths), 1.0) * most

        def fits(widths):
            return bool((resources(widths) <= limits).all())

        least = {**widths, **dict.fromkeys(free, 1)}
        if not fits(least):
            raise checks.invalid(
                f"a budget that one neuron in each of the {len(free)} groups "
                "fits into",
                f"{self}, where they take {resources(least)}",
                "Ask for more, or leave fewer layers as they are.",
            )
        if grams is None:
            return _alike(fits, widths, free)
        known = [k for k in free if k in grams]
        lost = {k: pivoted(grams[k], len(grams[k]))[1] for k in known}
        while not fits(widths):
            widths = _narrower(resources, widths, lost, limits)
        return widths


def _narrower(resources, widths, lost, limits):
    """The widths after the cheapest step."""
    now, best, found = resources(widths), np.inf, None
    for group, curve in lost.items():
        size = widths[group]
        step = min(max(1, round(STEP * (len(curve) - 1))), size - 1)
        if not step:
            continue
        new = {**widths, group: size - step}
        saved = np.sum(np.subtract(now, resources(new)) / limits)
        rate = (curve[size - step] - curve[size]) / max(saved, 1e-12)
        if rate < best:
            best, found = rate, new
    return found


def _alike(fits, widths, free):
    """The widths at the largest common share that fits."""

    def cut(step):
        share = step / 2**30
        return widths | {k: max(1, round(share * widths[k])) for k in free}

    steps = range(1, 2**30)
    return cut(bisect.bisect(steps, False, key=lambda x: not fits(cut(x))))


class Row(NamedTuple):
    """A layer of a network.

    `tied` are other layers that compute the same channels; `why` is the reason
    why its neurons all stay, empty if they need not.
    """

    path: str
    kind: str
    width: int
    tied: tuple[str, ...]
    resources: Resources
    why: str


def summary_rows(teacher: keras.Model) -> list[Row]:
    """The rows that `summary` prints."""
    traced = Traced(teacher)
    groups = traced.groups
    found = ResourceModel(traced).of_calls(groups.sizes())
    rows = []
    for call, resources in zip(traced.calls, found.tolist(), strict=True):
        layout = traced.layouts[call.outputs[0]]
        owners = dict.fromkeys(x for k in layout for x in groups[k].owners)
        tied = tuple(x for x in owners if x != call.path)
        why = "; ".join(sorted({groups[k].why for k in layout} - {""}))
        kind, width = type(call.layer).__name__, groups.width(layout)
        spent = Resources(*resources)
        rows.append(Row(call.path, kind, width, tied, spent, why))
    return rows


def summary(teacher: keras.Model) -> None:
    """Print every layer of a network, and whether it can be narrowed.

    A row tells the width of a layer, the layers that are narrowed with it, its
    parameters, its operations for one sample (two for each multiplication by a
    weight of a linear layer), and why it stays as wide as it is, if it does.

    Args:
        teacher: A built Functional or Sequential network.

    Example:
        ```python
        otreg.compression.summary(teacher)
        ```
    """
    rows = summary_rows(teacher)
    headings = ("layer", "kind", "width", "tied to", "parameters", "FLOPs")
    table = rich.table.Table(*headings, "stays because")
    for row in rows:
        first, left = ", ".join(row.tied[:2]), len(row.tied) - 2
        tied = f"{first} and {left} more" if left > 0 else first
        width, *spent = (f"{x:,}" for x in (row.width, *row.resources))
        table.add_row(row.path, row.kind, width, tied, *spent, row.why)
    total = map(sum, zip(*(row.resources for row in rows), strict=True))
    table.add_section()
    table.add_row("total", "", "", "", *(f"{x:,}" for x in total), "")
    rich.console.Console(width=140, markup=False, emoji=False).print(table)
