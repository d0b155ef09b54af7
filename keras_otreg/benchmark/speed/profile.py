"""Where the time of one penalty goes, and the least that it could be."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from keras_otreg.benchmark.speed import floor
from keras_otreg.benchmark.speed.measure import Claim, Row, interleaved
from keras_otreg.benchmark.speed.problems import Cloud, noise
from keras_otreg.ot import Sinkhorn, costs, fixed_plan

PART = "profile of a penalty"
FEW, MANY = 3, 33
EPSILON = 0.05
# How often the parts have to pass over a matrix in memory, at least.
PASSES = {
    "costs": 1,
    "an iteration": 2,
    "start, error and plan": 6,
    "value and gradient": 2,
}


def measure(sizes: list[int], repeats: int) -> Iterator[Row | Claim]:
    """Times the parts of a penalty, each beside its floor."""
    read, bytes_read = floor.reading()
    for size in sizes:
        of = noise(size, EPSILON)
        works = parts_in_turn(of)
        times = interleaved({**works, **read}, repeats)
        known = errors(of, works)
        one_pass = 4 * size**2 * floor.seconds_per_byte(times, bytes_read)
        for name, seconds in _parts(times).items():
            least = 1000 * one_pass * PASSES[name]
            note = f"memory read {PASSES[name]} times: {least:.2g} ms"
            case = f"{size} neurons"
            yield Row(PART, case, name, seconds, note=note, **known[name])


def parts_in_turn(of: Cloud) -> dict[str, Callable[[], Any]]:
    """Works that have more and more of a penalty in them."""
    import tensorflow as tf

    x, y = tf.constant(of.x), tf.constant(of.y)
    pay = fixed_plan.paid_by_columns(costs.euclidean)

    def planner(iterations):
        solver = Sinkhorn(iterations, 0.0)
        return fixed_plan.planner(costs.euclidean, EPSILON, solver)

    def gradient(x, y):
        P = planner(FEW)(x, y).P
        with tf.GradientTape() as tape:
            tape.watch(y)
            value = tf.reduce_sum(pay(x, y, P))
        return value, tape.gradient(value, y)

    functions = {
        "costs": tf.function(costs.euclidean, jit_compile=True),
        "few": tf.function(lambda x, y: planner(FEW)(x, y).P),
        "many": tf.function(lambda x, y: planner(MANY)(x, y).P),
        "gradient": tf.function(gradient),
    }
    return {
        name: lambda function=function: function(x, y)
        for name, function in functions.items()
    }


def errors(
    of: Cloud, works: dict[str, Callable[[], Any]]
) -> dict[str, dict[str, float]]:
    """How far each part is from float64, by the columns of a `Row`."""
    C, weights = of.costs("float64"), of.weights
    plans = {name: _float64(works[name]()) for name in ("few", "many")}
    marginal = {
        name: sum(
            float(np.sum(np.abs(P.sum(axis) - w)))
            for axis, w in zip((1, 0), weights, strict=True)
        )
        for name, P in plans.items()
    }
    paid = np.sum(plans["few"] * C)
    return {
        "costs": {
            "value_gap": float(np.max(np.abs(_float64(works["costs"]()) - C)))
        },
        "an iteration": {"marginal_error": marginal["many"]},
        "start, error and plan": {"marginal_error": marginal["few"]},
        "value and gradient": {
            "value_gap": float(1 - _float64(works["gradient"]()[0]) / paid)
        },
    }


def _float64(x):
    return np.asarray(x, "float64")


def _parts(times):
    """The parts, as differences of those works."""
    iteration = (times["many"] - times["few"]) / (MANY - FEW)
    ends = times["few"] - times["costs"] - FEW * iteration
    found = {
        "costs": times["costs"],
        "an iteration": iteration,
        "start, error and plan": ends,
        "value and gradient": times["gradient"] - times["few"],
    }
    # What is less than the noise of a difference takes no time.
    return {name: max(seconds, 0.0) for name, seconds in found.items()}
