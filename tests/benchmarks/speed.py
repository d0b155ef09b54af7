"""Times the solver beside other libraries, and a penalty beside its floor."""

import math
import statistics

import floor
import numpy as np
import solvers
import tensorflow as tf
from problems import best_value, distances, noise, quality
from results import Claim, interleaved, row

from keras_otreg.ot import Sinkhorn, TransportProblem, costs, fixed_plan

EPSILON = 0.05
OURS, OTT, POT, MISSED = (
    "keras_otreg",
    "OTT-JAX",
    "POT TensorFlow",
    "not reached",
)


def errors(of, f, g, best):
    """The columns on how good some potentials are."""
    found = quality(of, f, g)
    return {
        "error": float(np.max(found.error)),
        "gap": float(np.max(np.abs(1 - found.value / best))),
    }


def fixed_work(sizes, repeats, iterations=100):
    """A number of iterations, beside the others and the floor."""
    title = f"{iterations} iterations"
    read, bytes_read = floor.reading()
    task = solvers.Task(iterations, 0.0)
    for size in sizes:
        of = noise(size, EPSILON)
        works = {
            OURS: solvers.ours(of, task),
            f"{OURS}, plain": solvers.ours(of, task, accelerated=False),
            f"{OURS}, not compiled": solvers.ours(of, task, jit_compile=False),
            f"{OTT}, log": solvers.ott(of, task),
            f"{OTT}, kernel": solvers.ott(of, task, lse_mode=False),
            POT: solvers.pot(of, task, "tensorflow"),
            "POT NumPy": solvers.pot(of, task, "numpy"),
        }
        bare = floor.matmul_pairs(of, iterations)
        times = interleaved({**works, **bare, **read}, repeats)
        per_byte = floor.seconds_per_byte(times, bytes_read)
        times[floor.READING] = 2 * iterations * 4 * size**2 * per_byte
        best = best_value(of)
        for name, time in times.items():
            more = {}
            if name in works:
                more = errors(of, *works[name]()[:2], best)
            yield row(title, on=str(size), by=name, time=time, **more)
        yield from of_fixed_work(f"{title} at {size}", size, times)


def of_fixed_work(title, size, times, cache=None):
    """How much faster than others, and how near to the floor."""
    ours = times[OURS]
    ott = min(times[f"{OTT}, log"], times[f"{OTT}, kernel"])
    for peer, ratio, factor in (
        (f"{OTT}, its faster mode", ott / ours, 3.0),
        (POT, times[POT] / ours, 5.0),
    ):
        yield Claim(
            f"{title}: {factor:g} times as fast as {peer}",
            f"{ratio:.2f} times",
            ratio >= factor,
        )
    kernel, cache = 4 * size**2, cache or floor.cache()
    fits = kernel <= cache
    least = floor.fastest_pair(times) if fits else floor.READING
    yield Claim(
        f"{title}: within 1.5 times "
        f"{floor.PRODUCTS if fits else floor.READING}",
        f"{ours / times[least]:.2f} times {least}: {kernel >> 20} MiB "
        f"{'fit' if fits else 'do not fit'} in the cache of {cache >> 20} MiB",
        ours <= 1.5 * times[least],
    )


def to_tolerance(clouds, repeats):
    """Time until the marginals are as asked, on problems given by name."""
    found = []
    # In float32 the potentials themselves are not known to 1e-6.
    for tolerance, dtype in ((1e-3, "float32"), (1e-6, "float64")):
        task = solvers.Task(2000, tolerance, dtype)
        title = f"to {tolerance:g} in {dtype}, by problem and epsilon"
        for name, of in clouds.items():
            for epsilon in (0.1, 0.05, 0.02, 0.005):
                point = of._replace(epsilon=epsilon)
                case = f"{name}, {epsilon:g}"
                for values in _point(point, task, repeats):
                    found.append(row(title, on=case, **values))
                    yield found[-1]
    yield from of_tolerance(found)


def _point(of, task, repeats):
    """All solvers on one problem."""
    from ott.solvers.linear import acceleration

    momentum = acceleration.Momentum(start=50)
    anderson = acceleration.AndersonAcceleration(memory=3)
    label, work = _geomloss(of, task)
    works = {
        OURS: solvers.ours(of, task),
        OTT: solvers.ott(of, task),
        f"{OTT}, momentum": solvers.ott(of, task, momentum=momentum),
        f"{OTT}, Anderson": solvers.ott(of, task, anderson=anderson),
        label: work,
    }
    times = interleaved(works, repeats)
    best = best_value(of)
    for name, time in times.items():
        f, g, iterations = works[name]()
        counted = {} if iterations is None else {"iterations": iterations}
        found = errors(of, f, g, best)
        # Rounding of the potentials comes on top of what a solver sees.
        missed = found["error"] > 1.1 * task.tolerance
        note = {"": MISSED} if missed else {}
        yield {"by": name, "time": time, **counted, **found, **note}


def _geomloss(of, task):
    """GeomLoss at the fastest of its settings that reaches the tolerance."""
    for scaling in (0.5, 0.8, 0.9, 0.95, 0.99):
        work = solvers.geomloss(of, task, scaling)
        if quality(of, *work()[:2]).error <= task.tolerance:
            break
    return f"GeomLoss, scaling {scaling:g}", work


def of_tolerance(rows):
    """How much faster each family of peers was beaten, where it arrived."""
    ours = {
        (x.title, x.values["on"]): x.values
        for x in rows
        if x.values["by"] == OURS
    }
    arrived = all("" not in x for x in ours.values())
    families = {}
    for title, values in rows:
        if values["by"] != OURS:
            group = families.setdefault(values["by"].split(",")[0], [])
            ratio = values["time"] / ours[title, values["on"]]["time"]
            group.append(None if "" in values else ratio)
    for family, group in families.items():
        ratios = [x for x in group if x is not None]
        told, kept = _compared(ratios, len(group), arrived)
        yield Claim(
            f"To a tolerance: faster than {family} at every point, in the "
            "median 3 times",
            told,
            kept,
        )


def _compared(ratios, runs, arrived):
    if not ratios:
        told = f"it never arrived, in {runs} runs: nothing to compare with"
        return told, None if arrived else False
    median = statistics.median(ratios)
    return (
        f"it arrived in {len(ratios)} of {runs} runs; {min(ratios):.2f} times "
        f"at least, median {median:.1f}",
        arrived and min(ratios) > 1.0 and median >= 3.0,
    )


def growth(sizes, repeats, iterations=20):
    """Times a few iterations from small to large problems."""
    task = solvers.Task(iterations, 0.0)
    times = {}
    for size in sizes:
        of = noise(size, EPSILON)
        work = solvers.ours(of, task)
        times[size] = interleaved({"ours": work}, repeats)["ours"]
        found = errors(of, *work()[:2], best_value(of))
        by = f"{iterations} iterations"
        yield row(
            "growth with size", on=str(size), by=by, time=times[size], **found
        )
    small, large = sizes[0], sizes[-1]
    power = math.log(times[large] / times[small]) / math.log(large / small)
    yield Claim(
        f"Time grows as n m, that is with the size to the power 2, from "
        f"{small} to {large}",
        f"to the power {power:.2f}",
        power <= 2.3,
    )


def small_problems(count, points):
    """A batch of problems in float64, of a mean distance of 1."""
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(count, points, 8)) for _ in "xy")
    C = np.stack([distances(*pair) for pair in zip(x, y, strict=True)])
    weights = np.full((count, points), 1 / points)
    return TransportProblem(C / C.mean(), weights, weights, EPSILON)


def batch_works(problems):
    """A batch at once, and in POT one by one, to about the same tolerance."""
    C, a, b = (tf.constant(x, "float32") for x in problems[:3])
    single = TransportProblem(C, a, b, EPSILON)
    return {
        "one batch": solvers.ours(single, solvers.Task(1000, 1e-3)),
        # POT stops by an L2 norm: this much is an L1 norm of about 1e-3.
        "POT, one by one": solvers.pot_one_by_one(problems, 1e-4),
    }


def batch(repeats, count=256, points=100):
    """Times many small problems as one batch, and one by one in POT."""
    problems = small_problems(count, points)
    works = batch_works(problems)
    times = interleaved(works, repeats)
    case = f"{count} problems of {points} x {points}"
    best = best_value(problems)
    for name, time in times.items():
        more = errors(problems, *works[name]()[:2], best)
        more[""] = "errors: the largest of all problems"
        yield row("many small problems", on=case, by=name, time=time, **more)
    ratio = times["POT, one by one"] / times["one batch"]
    yield Claim(
        f"{case}: 10 times as fast as a loop over POT",
        f"{ratio:.1f} times",
        ratio >= 10.0,
    )


# How often the parts of a penalty pass over a matrix in memory, at least.
PASSES = {
    "costs": 1,
    "an iteration": 2,
    "start, error and plan": 6,
    "value and gradient": 2,
}
FEW, MANY = 3, 33


def profile(sizes, repeats):
    """Times the parts of a penalty, each beside its floor."""
    read, bytes_read = floor.reading()
    for size in sizes:
        of = noise(size, EPSILON)
        works = penalty_works(of)
        times = interleaved({**works, **read}, repeats)
        one_pass = 4 * size**2 * floor.seconds_per_byte(times, bytes_read)
        known = penalty_errors(of, works)
        for name, time in penalty_parts(times).items():
            least = 1000 * one_pass * PASSES[name]
            note = f"memory read {PASSES[name]} times: {least:.2g} ms"
            yield row(
                "profile of a penalty",
                on=f"{size} neurons",
                by=name,
                time=time,
                **known[name],
                **{"": note},
            )


def penalty_works(of):
    """Works that have more and more of a penalty in them."""
    x, y = tf.constant(of.x), tf.constant(of.y)
    pay = fixed_plan.column_costs(costs.euclidean)

    def plan(iterations, x, y):
        solver = Sinkhorn(iterations, 0.0)
        return fixed_plan.planner(costs.euclidean, EPSILON, solver)(x, y)[0]

    def gradient(x, y):
        P = plan(FEW, x, y)
        with tf.GradientTape() as tape:
            tape.watch(y)
            value = tf.reduce_sum(pay(x, y, P))
        return value, tape.gradient(value, y)

    functions = {
        "costs": tf.function(costs.euclidean, jit_compile=True),
        "few": tf.function(lambda x, y: plan(FEW, x, y)),
        "many": tf.function(lambda x, y: plan(MANY, x, y)),
        "gradient": tf.function(gradient),
    }
    return {
        name: lambda function=function: function(x, y)
        for name, function in functions.items()
    }


def penalty_errors(of, works):
    """How far each part is from float64, by the columns of the table."""
    C, weights = of.costs("float64"), of.weights
    found = {
        name: np.asarray(works[name](), "float64")
        for name in works
        if name != "gradient"
    }
    marginal = {
        name: sum(
            float(np.sum(np.abs(found[name].sum(axis) - w)))
            for axis, w in zip((1, 0), weights, strict=True)
        )
        for name in ("few", "many")
    }
    value = float(works["gradient"]()[0])
    return {
        "costs": {"gap": float(np.max(np.abs(found["costs"] - C)))},
        "an iteration": {"error": marginal["many"]},
        "start, error and plan": {"error": marginal["few"]},
        "value and gradient": {"gap": 1 - value / np.sum(found["few"] * C)},
    }


def penalty_parts(times):
    """The parts, as differences of those works."""
    iteration = (times["many"] - times["few"]) / (MANY - FEW)
    found = {
        "costs": times["costs"],
        "an iteration": iteration,
        "start, error and plan": (
            times["few"] - times["costs"] - FEW * iteration
        ),
        "value and gradient": times["gradient"] - times["few"],
    }
    # What is less than the noise of a difference takes no time.
    return {name: max(value, 0.0) for name, value in found.items()}
