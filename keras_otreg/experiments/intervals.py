"""The mean of paired differences, and how sure it is."""

import dataclasses

import numpy as np

from keras_otreg import checks

RESAMPLES = 9999
# Of fewer values the spread is itself mostly luck.
FEWEST = 5


@dataclasses.dataclass(frozen=True)
class Interval:
    """A mean and the ends of its 95 % confidence interval."""

    mean: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """Whether all of it is on one side of zero."""
        if self.low > 0.0:
            return "better"
        return "worse" if self.high < 0.0 else "level"


def interval(values: np.ndarray) -> Interval:
    """The mean of some values, with its bootstrap confidence interval.

    Args:
        values: Of shape `(n,)`.

    Returns:
        The `Interval` between percentiles of the resampled means; without
        ends if the values are too few for one.
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
