"""Widths that fit a budget and cost the least accuracy."""

import dataclasses

import numpy as np

from keras_otreg import checks
from keras_otreg.compression.channels import Traced
from keras_otreg.compression.choose import pivoted
from keras_otreg.compression.resources import ResourceModel

# Share of a group's neurons that leave in one step of the search.
STEP = 0.05


@dataclasses.dataclass(frozen=True)
class Budget:
    """Limit on the parameters and operations of a narrow network.

    The neurons that leave are taken where the fit loses least for what they
    cost, not from every layer alike: at each step from the group whose
    unexplained variance grows least for each operation, or parameter, saved.

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
            checks.number(
                value,
                name,
                expected="a share above 0, of at most 1, or a number above 1",
                valid=lambda x: x > 0.0,
            )
        if len(given) != 1 or (self.share or 0.0) > 1.0:
            raise ValueError(
                "Expected one of `parameters`, `flops` and `share`, the last "
                f"of at most 1. Received: {given}"
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
        resources = ResourceModel(traced)
        limits = self._limits(resources(widths))
        least = {**widths, **dict.fromkeys(free, 1)}
        if not _fits(resources(least), limits):
            raise ValueError(
                f"Expected a budget that one neuron in each of the {len(free)} "
                f"groups fits into. Received: {self}, where they take "
                f"{resources(least)}. Ask for more, or leave fewer layers as "
                "they are."
            )
        if grams is None:
            return _alike(resources, widths, free, limits)
        lost = {
            k: pivoted(grams[k], len(grams[k]))[1] for k in free if k in grams
        }
        while not _fits(resources(widths), limits):
            widths = _narrower(resources, widths, lost, limits)
        return widths

    def _limits(self, full):
        """Most parameters and operations; endless where nothing is asked."""
        limits = []
        for own, whole in zip((self.parameters, self.flops), full, strict=True):
            value = own or self.share or np.inf
            limits.append(value * whole if value <= 1 else float(value))
        return limits


def _narrower(resources, widths, lost, limits):
    """The widths after the cheapest step."""
    now, best, found = resources(widths), np.inf, None
    for group, curve in lost.items():
        size = widths[group]
        step = min(max(1, round(STEP * (len(curve) - 1))), size - 1)
        if not step:
            continue
        new = {**widths, group: size - step}
        pairs = zip(now, resources(new), limits, strict=True)
        saved = sum((a - b) / limit for a, b, limit in pairs)
        rate = (curve[size - step] - curve[size]) / max(saved, 1e-12)
        if rate < best:
            best, found = rate, new
    return found


def _fits(resources, limits):
    return all(a <= limit for a, limit in zip(resources, limits, strict=True))


def _alike(resources, widths, free, limits):
    """The largest common share that fits."""
    low, high = 0.0, 1.0
    for _ in range(30):
        share = (low + high) / 2.0
        new = {k: max(1, round(share * widths[k])) for k in free}
        if _fits(resources({**widths, **new}), limits):
            low = share
        else:
            high = share
    return {**widths, **{k: max(1, round(low * widths[k])) for k in free}}
