"""Costs between classes from the features of their samples."""

import operator
from typing import Any

import keras
import numpy as np

from keras_otreg import checks
from keras_otreg.class_costs.relations import from_embeddings
from keras_otreg.features.batches import batches, class_labels
from keras_otreg.features.points import samples_as_points
from keras_otreg.features.taps import capture
from keras_otreg.ot import Sinkhorn, TransportProblem, transport_cost
from keras_otreg.ot.costs import BANK

SAMPLES_FOR_THE_MEDIAN = 1000
# Largest number of cost entries that are solved together.
BLOCK = 4_000_000


def extract(
    model: keras.Model, at: str, dataset: Any, *, verbose: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Run a model over a data set and return what one layer returns.

    Args:
        model: A built `keras.Model`; it runs in inference mode.
        at: Path of a layer. Maps are averaged over their positions.
        dataset: Batches of (inputs, labels), of any kind.
        verbose: 0 for no progress bar.

    Returns:
        Features of shape `(samples, units)` and labels of shape `(samples,)`.

    Example:
        ```python
        features, labels = class_costs.extract(model, "avg_pool", train)
        ```
    """
    checks.built_model(model, "model")
    checks.layer_path(at, "at")
    length = operator.length_hint(dataset) or None
    progress = keras.utils.Progbar(length, verbose=verbose)
    features, labels, to_array = [], [], keras.ops.convert_to_numpy
    for batch in batches(dataset):
        x, y, *_ = checks.labelled_batch(batch)
        _, found = capture(model, x, [at], training=False)
        features.append(to_array(samples_as_points(found[at])))
        labels.append(class_labels(to_array(y)))
        progress.add(1)
    checks.some_batches(features)
    return np.concatenate(features), np.concatenate(labels)


def mkmmd(
    source_features: Any,
    source_labels: Any,
    target_features: Any,
    target_labels: Any,
    *,
    unbiased: bool = False,
) -> np.ndarray:
    """Squared maximum mean discrepancy between each pair of classes.

    The kernel is the mean of five Gaussians, `exp(-d^2 / (2 s^2))`, with `s^2`
    at 1/4 to 4 times the median squared distance between source and target.

    Args:
        source_features: Array of shape `(source samples, ...)`.
        source_labels: Class of each source sample.
        target_features: Array of shape `(target samples, ...)`.
        target_labels: Class of each target sample.
        unbiased: Whether to leave a sample's kernel with itself out of the
            means. Estimates below zero are then set to zero.

    Returns:
        Costs of shape `(source classes, target classes)`, by sorted label.

    Example:
        ```python
        source = class_costs.extract(model, "avg_pool", source_data)
        target = class_costs.extract(model, "avg_pool", target_data)
        C = class_costs.mkmmd(*source, *target)
        ```

    References:
        Lu, Chen and Saidi (2017), arXiv 1709.02995; Gretton et al. (JMLR 2012).
    """
    source, target = _class_pairs(
        source_features, source_labels, target_features, target_labels
    )
    # Of evenly spaced samples, the same each time.
    both = map(np.concatenate, (source, target))
    some = [x[:: -(-len(x) // SAMPLES_FOR_THE_MEDIAN)] for x in both]
    scale = float(np.median(_squared_distances(*some))) or 1.0

    def within(group):
        sums = _kernel(group, group, scale).sum(dtype=np.float64)
        count = len(group)
        if unbiased and count > 1:
            return (sums - count) / (count * (count - 1))
        return sums / count**2

    together, sizes = np.concatenate(target), [len(t) for t in target]
    starts = np.cumsum([0, *sizes[:-1]])
    between = []
    for s in source:
        sums = _kernel(s, together, scale).sum(axis=0, dtype=np.float64)
        between.append(np.add.reduceat(sums, starts) / len(s) / sizes)
    inner, outer = (np.array(list(map(within, x))) for x in (source, target))
    squared = inner[:, None] + outer - 2.0 * np.array(between)
    return np.maximum(squared, 0.0)


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

    The ground cost is the squared Euclidean distance, `epsilon` is in units of
    the mean cost of each pair, and `solver` is `keras_otreg.ot.Sinkhorn()` if
    not given; all else is as of `mkmmd`.

    Example:
        ```python
        C = class_costs.transport(*source, *target)  # as of `mkmmd`
        ```

    References:
        Lu, Chen and Saidi (2017), arXiv 1709.02995.
    """
    checks.positive(epsilon, "epsilon")
    solver = checks.solver(solver or Sinkhorn())
    source, target = _class_pairs(
        source_features, source_labels, target_features, target_labels
    )
    n, m = (max(map(len, groups)) for groups in (source, target))
    step = max(1, BLOCK // (n * m * len(target)))
    parts = (source[k : k + step] for k in range(0, len(source), step))
    rows = [_block(x, target, (n, m), epsilon, solver) for x in parts]
    return np.concatenate(rows)


def centroid(
    source_features: Any,
    source_labels: Any,
    target_features: Any,
    target_labels: Any,
) -> np.ndarray:
    """Euclidean distance between the means of each pair of classes.

    Arguments and result are those of `mkmmd`.

    Example:
        ```python
        C = class_costs.centroid(*source, *target)  # as of `mkmmd`
        ```
    """
    source, target = _class_pairs(
        source_features, source_labels, target_features, target_labels
    )
    return np.sqrt(_squared_distances(_means(source), _means(target)))


def cosine(
    source_features: Any,
    source_labels: Any,
    target_features: Any,
    target_labels: Any,
) -> np.ndarray:
    """One minus the cosine between the means of each pair of classes.

    Arguments and result are those of `mkmmd`.

    Example:
        ```python
        C = class_costs.cosine(*source, *target)  # as of `mkmmd`
        ```
    """
    # Angles are about the origin as it is: nothing is centred here.
    source = by_class(source_features, source_labels, "source")
    target = by_class(target_features, target_labels, "target")
    return from_embeddings(_means(source), _means(target))


def bures(
    source_features: Any,
    source_labels: Any,
    target_features: Any,
    target_labels: Any,
) -> np.ndarray:
    """Squared 2-Wasserstein distance between Gaussian fits of the classes.

    `|m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1^(1/2) S2 S1^(1/2))^(1/2)`.
    Arguments and result are as of `mkmmd`.

    Example:
        ```python
        C = class_costs.bures(*source, *target)  # as of `mkmmd`
        ```

    References:
        Alvarez-Melis and Fusi, "Geometric dataset distances via optimal
        transport" (2020), for its use between classes.
    """
    source, target = _class_pairs(
        source_features, source_labels, target_features, target_labels
    )
    distances = _squared_distances(_means(source), _means(target))
    # `X` such that the covariance of a class is `X^T X`: the last trace then
    # is the nuclear norm of a product of two.
    source, target = (
        [(x - x.mean(axis=0)) / np.sqrt(len(x)) for x in groups]
        for groups in (source, target)
    )
    one, other = (
        [(x * x).sum() for x in groups] for groups in (source, target)
    )
    overlaps = [[_nuclear_norm(s @ t.T) for t in target] for s in source]
    spread = np.add.outer(one, other) - 2.0 * np.array(overlaps)
    return np.maximum(distances + spread, 0.0)


def by_class(features: Any, labels: Any, name: str) -> list[np.ndarray]:
    """Split features into one array `(samples, d)` for each class."""
    features = np.asarray(features)
    labels = np.asarray(labels).reshape(-1)
    checks.one_label_each(features, labels, name)
    features = features.reshape(len(features), -1)
    if features.dtype != np.float64:
        features = features.astype(np.float32)
    checks.finite_array(features, f"{name}_features", least_rank=2)
    return [features[labels == label] for label in np.unique(labels)]


def _class_pairs(*samples):
    """Features of the source classes and of the target classes.

    All are moved by one vector to be about the origin, where the rounding of
    distances is least.
    """
    source = by_class(*samples[:2], "source")
    target = by_class(*samples[2:], "target")
    checks.equal_features(source[0].shape, target[0].shape)
    means = [np.mean(group, axis=0) for group in (*source, *target)]
    middle = np.mean(means, axis=0)
    return [x - middle for x in source], [x - middle for x in target]


def _squared_distances(x, y):
    """Squared distances of shape `(n, m)`, of points about the origin."""
    norms = (x * x).sum(axis=1)[:, None] + (y * y).sum(axis=1)
    return np.maximum(norms - 2.0 * (x @ y.T), 0.0)


def _kernel(x, y, scale):
    halved = _squared_distances(x, y) / (-2.0 * scale)
    return sum(np.exp(halved / width) for width in BANK) / len(BANK)


def _block(source, target, shape, epsilon, solver):
    """Solve some source classes against all target classes at once."""
    size = (len(source), len(target))
    # Classes of unequal size: what is missing has weight zero.
    C = np.zeros((*size, *shape), "float32")
    a, b = (np.zeros((*size, n), "float32") for n in shape)
    together = np.concatenate(target)
    ends = np.cumsum([len(t) for t in target])
    for i, s in enumerate(source):
        parts = np.split(_squared_distances(s, together), ends[:-1], axis=1)
        for j, part in enumerate(parts):
            n, m = part.shape
            C[i, j, :n, :m] = part
            a[i, j, :n], b[i, j, :m] = 1.0 / n, 1.0 / m
    mean = np.einsum("stij,sti,stj->st", C, a, b, optimize=True)
    scale = np.where(mean > 0.0, mean, 1.0).astype("float32")
    problem = TransportProblem(C / scale[..., None, None], a, b, epsilon)
    values = transport_cost(problem, solver(problem))
    return keras.ops.convert_to_numpy(values) * scale


def _nuclear_norm(matrix):
    """Sum of the singular values; of the small side's Gram matrix, faster."""
    matrix = matrix.astype(np.float64)
    wide = matrix if len(matrix) <= matrix.shape[1] else matrix.T
    eigenvalues = np.linalg.eigvalsh(wide @ wide.T)
    return np.sqrt(np.maximum(eigenvalues, 0.0)).sum()


def _means(groups):
    return np.stack([group.mean(axis=0) for group in groups])
