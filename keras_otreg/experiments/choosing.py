"""Chooses the strength of a method, by trials."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

# Trials are kept with as many decimals.
DECIMALS = 5


def chosen(
    strengths: Sequence[float],
    seeds: Iterable[int],
    validation: Callable[[int, float], float],
) -> float | None:
    """The strength of the best mean validation accuracy.

    Args:
        strengths: Among which to choose.
        seeds: Seeds of the trials.
        validation: Returns the validation accuracy of a trial, given a seed
            and a strength.

    Returns:
        One of the strengths; the first of equally good ones, the only one
        untried, `None` if there are none.
    """
    if len(strengths) < 2:
        return next(iter(strengths), None)
    seeds = list(seeds)
    means = [
        np.mean([validation(seed, strength) for seed in seeds])
        for strength in strengths
    ]
    # Means of as many right answers differ by what each was rounded by.
    return strengths[int(np.argmax(np.round(means, DECIMALS - 1)))]
