"""Optimal transport between the feature sets of classes."""

from typing import Any

import keras
import numpy as np

from keras_otreg import checks
from keras_otreg.class_costs.groups import class_pairs, squared_distances
from keras_otreg.ot import Sinkhorn, TransportProblem, transport_cost

# Largest number of cost entries that are solved together.
BLOCK = 4_000_000


def transport(
    source_features: Any,
    source_labels: Any,
    target_features: Any,
    target_labels: Any,
    *,
    epsilon: float = 0.05,
    solver: Any = None,
) -> np.ndarray:
    """Transport cost between the samples of each pair of classes.

    The ground cost is the squared Euclidean distance. Many pairs are solved
    as one batch. This is the cost that the paper calls fc7OT.

    Args:
        source_features: Array of shape `(source samples, ...)`.
        source_labels: Class of each source sample.
        target_features: Array of shape `(target samples, ...)`.
        target_labels: Class of each target sample.
        epsilon: Entropic strength in units of the mean cost of each pair.
        solver: `keras_otreg.ot.Sinkhorn()` if not given.

    Returns:
        Costs of shape `(source classes, target classes)`, by sorted label.

    Example:
        ```python
        source = class_costs.extract(model, "avg_pool", source_data)
        target = class_costs.extract(model, "avg_pool", target_data)
        C = class_costs.transport(*source, *target)
        ```

    References:
        Lu, Chen and Saidi (2017), arXiv 1709.02995.
    """
    checks.positive(epsilon, "epsilon")
    solver = checks.solver(solver or Sinkhorn())
    source, target = class_pairs(
        source_features, source_labels, target_features, target_labels
    )
    n, m = (max(len(group) for group in groups) for groups in (source, target))
    rows_at_once = max(1, BLOCK // (n * m * len(target)))
    rows = [
        _block(source[k : k + rows_at_once], target, (n, m), epsilon, solver)
        for k in range(0, len(source), rows_at_once)
    ]
    return np.concatenate(rows)


def _block(source, target, shape, epsilon, solver):
    """Solves some source classes against all target classes at once."""
    size = (len(source), len(target))
    # Classes of unequal size: what is missing has weight zero.
    C = np.zeros((*size, *shape), "float32")
    together = np.concatenate(target)
    ends = np.cumsum([len(t) for t in target])
    for i, s in enumerate(source):
        parts = np.split(squared_distances(s, together), ends[:-1], axis=1)
        for j, part in enumerate(parts):
            C[i, j, : len(s), : part.shape[1]] = part
    a = np.stack([_weights(len(s), shape[0]) for s in source])
    b = np.stack([_weights(len(t), shape[1]) for t in target])
    a = np.broadcast_to(a[:, None], (*size, shape[0]))
    b = np.broadcast_to(b[None], (*size, shape[1]))
    mean = np.einsum("stij,sti,stj->st", C, a, b, optimize=True)
    scale = np.where(mean > 0.0, mean, 1.0).astype("float32")
    problem = TransportProblem(C / scale[..., None, None], a, b, epsilon)
    values = transport_cost(problem, solver(problem))
    return keras.ops.convert_to_numpy(values) * scale


def _weights(count, length):
    weights = np.zeros(length, "float32")
    weights[:count] = 1.0 / count
    return weights
