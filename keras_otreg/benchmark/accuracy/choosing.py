"""Chooses strengths, by validation data alone."""

from collections.abc import Callable

import numpy as np

from keras_otreg.benchmark.accuracy.cells import DECIMALS
from keras_otreg.benchmark.accuracy.comparison import Comparison
from keras_otreg.benchmark.accuracy.entries import Entry, Method


def chosen(
    comparison: Comparison,
    task: Entry,
    method: Method,
    validation: Callable[[int, float], float],
) -> float | None:
    """The strength of the best mean validation accuracy.

    Args:
        comparison: The protocol.
        task: What is learnt.
        method: What to choose for.
        validation: Returns the validation accuracy of a trial, given a seed
            and a strength.

    Returns:
        One of the method's strengths; the first of equally good ones, the
        only one untried, `None` if there are none.
    """
    if not method.has_choice:
        return next(iter(method.strengths), None)
    seeds = comparison.choosing_seeds(task)
    means = [
        np.mean([validation(seed, strength) for seed in seeds])
        for strength in method.strengths
    ]
    # Means of as many right answers differ by what each was rounded by.
    return method.strengths[int(np.argmax(np.round(means, DECIMALS - 1)))]
