"""Solvers of several libraries behind one door.

Each maker takes a `Cloud` and a `Task` and returns a work: a function that
solves the problem and returns its potentials when they are there.
"""

import functools
from typing import NamedTuple

import numpy as np
from keras import ops

from keras_otreg.ot import Sinkhorn, TransportProblem


class Task(NamedTuple):
    """When to stop: by the L1 error of the marginals; 0 does all iterations."""

    iterations: int
    tolerance: float
    dtype: str = "float32"


def ours(of, task, **settings):
    """This library, as it is called inside a compiled step of training."""
    import tensorflow as tf

    solver = Sinkhorn(task.iterations, task.tolerance, **settings)
    problem = of
    if not isinstance(of, TransportProblem):
        problem = of.problem(task.dtype)
    C = tf.constant(problem.C, task.dtype)
    solve = tf.function(
        lambda C: solver(problem._replace(C=C)), autograph=False
    )

    def work():
        found = solve(C)
        return (
            found.f.numpy(),
            found.g.numpy(),
            int(ops.max(found.num_iterations)),
        )

    return work


def ott(of, task, **settings):
    """OTT-JAX, compiled."""
    import jax
    from ott.geometry.geometry import Geometry
    from ott.problems.linear.linear_problem import LinearProblem
    from ott.solvers.linear.sinkhorn import Sinkhorn as Peer

    precise = task.dtype == "float64"
    scope = functools.partial(jax.enable_x64, precise)
    least = 0 if task.tolerance else task.iterations
    with scope():
        peer = Peer(
            threshold=task.tolerance,
            min_iterations=least,
            max_iterations=task.iterations,
            **settings,
        )
        C = jax.numpy.asarray(of.costs(task.dtype))

        @jax.jit
        def solve(C):
            found = peer(LinearProblem(Geometry(C, epsilon=of.epsilon)))
            return found.f, found.g, found.n_iters

    def work():
        with scope():
            f, g, iterations = jax.block_until_ready(solve(C))
            return *_weighted(of, f, g), int(iterations)

    return work


def pot(of, task, backend):
    """POT's plain Sinkhorn, on its backend `"numpy"` or `"tensorflow"`."""
    import ot
    import tensorflow as tf

    a, b = (w.astype(task.dtype) for w in of.weights)
    C = of.costs(task.dtype)
    if backend == "tensorflow":
        # POT calls methods of arrays, which tensors have only then.
        tf.experimental.numpy.experimental_enable_numpy_behavior()
        a, b, C = (tf.constant(x) for x in (a, b, C))

    def work():
        _, log = ot.sinkhorn(
            a,
            b,
            C,
            of.epsilon,
            method="sinkhorn",
            numItermax=task.iterations,
            stopThr=task.tolerance,
            log=True,
            warn=False,
        )
        u, v = (np.asarray(log[key], "float64").ravel() for key in "uv")
        with np.errstate(divide="ignore"):
            potentials = (of.epsilon * np.log(x) for x in (u, v))
        return *_weighted(of, *potentials), log.get("niter", task.iterations)

    return work


def pot_one_by_one(problems, tolerance):
    """POT on each problem of a batch, in float32, with its L2 tolerance."""
    import ot

    parts = [x.astype("float32") for x in problems[:3]]
    epsilon = problems.epsilon

    def work():
        logs = [
            ot.sinkhorn(
                *(a, b, c, epsilon), stopThr=tolerance, warn=False, log=True
            )[1]
            for c, a, b in zip(*parts, strict=True)
        ]
        u, v = (np.stack([log[k] for log in logs]) for k in "uv")
        weights = problems.a, problems.b
        return tuple(
            epsilon * np.log(x / w)
            for x, w in zip((u, v), weights, strict=True)
        )

    return work


def geomloss(of, task, scaling):
    """GeomLoss, which anneals epsilon; `scaling` near 1 is slow and good."""
    import torch
    from geomloss import SamplesLoss

    dtype = getattr(torch, task.dtype)
    x, y = (torch.tensor(p, dtype=dtype) for p in (of.x, of.y))
    loss = SamplesLoss(
        "sinkhorn",
        p=1,
        blur=of.epsilon,
        scaling=scaling,
        debias=False,
        potentials=True,
        backend="tensorized",
    )

    def work():
        with torch.no_grad():
            f, g = loss(x, y)
        return f.numpy().ravel(), g.numpy().ravel(), None

    return work


def _weighted(of, f, g):
    """Potentials relative to the weights, which others put into them."""
    a, b = of.weights
    f, g = (np.asarray(p, "float64") for p in (f, g))
    return f - of.epsilon * np.log(a), g - of.epsilon * np.log(b)
