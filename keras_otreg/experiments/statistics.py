"""Choice of a strength by trials, and means with confidence intervals."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from keras_otreg import checks

# Accuracies of trials are kept with as many decimals.
DECIMALS = 5
RESAMPLES = 9999
# Fewer values have no interval.
FEWEST = 5


def chosen(
    strengths: Sequence[float],
    seeds: Iterable[int],
    validation: Callable[[int, float], float],
) -> float | None:
    """Return the strength of the best mean of `validation(seed, strength)`.

    It is the first of equally good ones, the only one untried, `None` if
    there are none.
    """
    if len(strengths) < 2:
        return next(iter(strengths), None)
    seeds = list(seeds)
    means = [
        np.mean([validation(seed, strength) for seed in seeds])
        for strength in strengths
    ]
    # Equal numbers of right answers have means that differ by rounding.
    return strengths[int(np.argmax(np.round(means, DECIMALS - 1)))]


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
    """Return the mean of values of shape `(n,)` and its bootstrap interval.

    The interval is infinite for fewer than `FEWEST` values.
    """
    mean = float(np.mean(values))
    if len(values) < FEWEST:
        return Interval(mean, -np.inf, np.inf)
    stats = checks.installed("scipy.stats", "benchmark", "Intervals")
    found = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Interval(mean, float(found.low), float(found.high))
