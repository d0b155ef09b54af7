"""Choice of a strength by trials, and means with confidence intervals."""

import dataclasses

import numpy as np

from keras_otreg import checks

# Accuracies of trials are kept with as many decimals.
DECIMALS = 5
RESAMPLES = 9999
# Fewer values have no interval.
FEWEST = 5


def chosen(strengths, seeds, validation):
    """Return the strength of the best mean of `validation(seed, strength)`."""
    if len(strengths) < 2:
        return next(iter(strengths), None)
    means = [np.mean([validation(x, y) for x in seeds]) for y in strengths]
    # Equal numbers of right answers have means that differ by rounding.
    return strengths[int(np.argmax(np.round(means, DECIMALS - 1)))]


def searched(axes, validation, budget):
    """Search the best positive values, and whether others were on both sides.

    An axis has a middle, and the factor of a first step. From the middle it
    goes one step up or down an axis as long as that is better, then takes half
    a step. Below a budget of 2 the middle is the answer.
    """
    found: dict[tuple[float, ...], float] = {}

    def values(point):
        pairs = zip(axes, point, strict=True)
        return tuple(float(f"{x * by**steps:.1e}") for (x, by), steps in pairs)

    def ask(point):
        found[point] = round(validation(values(point)), DECIMALS - 1)

    best, step = (0.0,) * len(axes), 1.0
    if budget > 1:
        ask(best)
    while 0 < len(found) < budget:
        near = [x for x in _around(best, step) if x not in found]
        if not near:
            step /= 2.0
            continue
        ask(near[0])
        if found[near[0]] > found[best]:
            best = near[0]
    seen = zip(*found, strict=True) if found else ()
    sides = zip(seen, best, strict=False)
    return values(best), all(min(x) < b < max(x) for x, b in sides)


def _around(point, step):
    for axis in range(len(point)):
        for sign in (1.0, -1.0):
            moved = point[axis] + sign * step
            yield (*point[:axis], moved, *point[axis + 1 :])


def is_clearly_more(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether a network is right on more samples by one standard error."""
    gain = int(first.sum()) - int(second.sum())
    return gain > np.sqrt((first != second).sum())


@dataclasses.dataclass(frozen=True)
class Interval:
    """A mean and the ends of its 95 % confidence interval."""

    mean: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """`"better"`, `"worse"`, or `"level"` if it contains zero."""
        if self.low > 0.0:
            return "better"
        return "worse" if self.high < 0.0 else "level"

    def __str__(self):
        if not np.isfinite(self.low):
            return f"{self.mean:+.3f}"
        return f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def interval(values: np.ndarray) -> Interval:
    """Mean of values `(n,)` and its bootstrap interval, infinite for few."""
    mean = float(np.mean(values))
    if len(values) < FEWEST:
        return Interval(mean, -np.inf, np.inf)
    stats = checks.installed("scipy.stats", "benchmark", "Intervals")
    how = {"n_resamples": RESAMPLES, "method": "percentile"}
    rng = np.random.default_rng(0)
    found = stats.bootstrap((values,), np.mean, rng=rng, **how)
    return Interval(mean, *map(float, found.confidence_interval))
