"""Heads of classifiers, solved to the end on frozen features."""

from typing import Any, NamedTuple

import keras
import numpy as np

from keras_otreg import checks
from keras_otreg.features.batches import class_labels, predictions
from keras_otreg.features.taps import end_of
from keras_otreg.regression import (
    ENOUGH_TO_CHOOSE,
    STRENGTHS,
    TOLERANCE,
    Samples,
    targets_of,
    varied,
)

VALIDATION = "validation"


class SolvedHead(NamedTuple):
    """The solution that `solve_head` has set.

    Attributes:
        l2: Strength of the penalty on the kernel.
        loss: Mean cross-entropy on the samples, and on their copies.
        gradient: Largest entry of the gradient at the solution.
        validation: Accuracy on the validation data, if any were used.
        source_plan: Mass from each source class for each target class, of
            shape `(source classes, target classes)`, if there is a source.
    """

    l2: float
    loss: float
    gradient: float
    validation: float | None
    source_plan: np.ndarray | None = None


def solve_head(
    student: keras.Model,
    x: Any,
    y: Any = None,
    *,
    l2: float | str = VALIDATION,
    validation: Any = None,
    source: Any = None,
    source_costs: Any = None,
) -> SolvedHead:
    """Solve the last layer of a classifier on frozen features.

    The layers below run once. The head is then the solution of a logistic
    regression, which minimises the mean cross-entropy plus half of `l2` times
    the squared kernel; a bias is free.

    Args:
        student: A built network whose last layer with weights is a `Dense`,
            of which they are set: with a softmax or logits for one class of
            several, or with a sigmoid for two classes or several labels.
        x: Inputs; or a `tf.data.Dataset` or `keras.utils.PyDataset` of
            batches `(x, y)` or `(x, y, sample_weight)`.
        y: Labels of arrays: numbers of classes, or a row of targets for each
            sample.
        l2: The strength; or `"validation"` to choose it, without the copies of
            a source.
        validation: A pair `(x, y)` or a data set to choose `l2` by; every
            fifth sample, with the head solved again on all, if not given.
        source: Many labelled samples of other classes, as a pair `(x, y)` or a
            data set, for a softmax or logits. Each sample then counts half as
            it is and half in copies, to whose features the difference of a
            source sample from its class mean is added. Source classes are
            drawn by a transport plan, the near ones more often.
        source_costs: Costs of shape `(source classes, target classes)` for that
            plan, as of `class_costs`, by sorted label; those of `centroid` if
            not given.

    Raises:
        ValueError: If there is no such head, or labels or costs do not fit it.
        ImportError: If SciPy is not installed.

    Example:
        ```python
        otreg.solve_head(student, x, y)
        student.compile(keras.optimizers.Adam(1e-4), loss)
        student.fit(x, y)
        ```

    References:
        Kumar et al. (ICLR 2022), arXiv 2202.10054. Of the source: Yang, Liu and
        Xu (ICLR 2021), arXiv 2101.06395; Guo et al. (NeurIPS 2022), arXiv
        2210.04144.
    """
    if l2 != VALIDATION:
        expected = f"a finite number of at least 0, or '{VALIDATION}'"
        checks.non_negative(l2, "l2", expected)
    if source is None and source_costs is not None:
        raise checks.invalid(
            "costs beside a `source` only",
            "costs without a source",
            "Pass `source=(x, y)` too, or leave the costs out.",
            argument="source_costs",
        )
    head, body, several = parts_of(student, one_class=source is not None)
    data = read(body, x if y is None else (x, y), head.units, several)
    held = None
    if l2 == VALIDATION and validation is not None:
        held = read(body, validation, head.units, several)
    if source is not None:
        x, y, _ = predictions(body, source)
        source = x, class_labels(y), source_costs
    return solve(head, data, l2, held, source=source)


def solve(
    head: keras.layers.Dense,
    data: Samples,
    l2: float | str,
    held: Samples | None,
    tolerance: float = TOLERANCE,
    by_loss: bool = False,
    source: tuple[Any, ...] | None = None,
) -> SolvedHead:
    """Solve a head on features, as `solve_head` does; `held` choose `l2`.

    They do so by accuracy or, for calibrated probabilities, `by_loss`. A source
    is its features, classes and costs.
    """
    bias, both, plan = head.use_bias, data, None
    if source is not None:
        both, plan = varied(data, *source)
        # Copies at random are not more exact than that.
        tolerance = ENOUGH_TO_CHOOSE
    if l2 != VALIDATION:
        strength, accuracy = float(l2) / data.scale**2, None
    else:
        rest, judge = data.divided() if held is None else (data, held)
        # Each solution is the start of the next one.
        found = [
            (judge.score(rest.solved(s, ENOUGH_TO_CHOOSE, bias)[0]), s)
            for s in reversed(STRENGTHS)
        ]
        first = 1 if by_loss else 0
        (accuracy, _), strength = max(found, key=lambda x: (x[0][first], x[0]))
    weights, loss, gradient = both.solved(strength, tolerance, bias)
    if held is not None:
        accuracy, _ = held.score(weights)
    head.kernel.assign(weights[:-1])
    if bias:
        head.bias.assign(weights[-1])
    used = strength * data.scale**2
    return SolvedHead(used, loss, gradient, accuracy, plan)


def held_out_logits(
    student: keras.Model, x: Any, y: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Logits and targets of samples, of heads that were not trained on them.

    Each tenth of the samples gets the logits of a head that is solved on the
    others, at the strength at which the head of the network would be a
    solution. Samples that are the only one of their class are left out.
    """
    head, body, several = parts_of(student)
    data = read(body, (x, y), head.units, several)
    l2 = data.strength_of(weights_of(head))
    return data.held_out(l2, head.use_bias)


def weights_of(head: keras.layers.Dense) -> np.ndarray:
    """Return the kernel of a head, and the bias as its last row."""
    values = head.get_weights()
    bias = values[1] if head.use_bias else np.zeros(head.units)
    return np.concatenate([values[0], [bias]], dtype=np.float64)


def parts_of(
    student: keras.Model, one_class: bool = False
) -> tuple[keras.layers.Dense, keras.Model, bool]:
    """Return the head, the network below, and if a sample has one class."""
    head, activations = end_of(student)
    if not isinstance(head, keras.layers.Dense):
        raise checks.invalid(
            "a network whose last layer with weights is a `Dense`",
            f"'{student.name}', which ends with {type(head).__name__}",
            "Put a `Dense` of as many units as there are classes at its end",
            argument="student",
        )
    if len(head.input.shape) != 2:
        raise checks.invalid(
            "a `Dense` head on one vector of features for each sample",
            f"features of shape {head.input.shape}",
            "Put a global pooling or a `Flatten` before it.",
            argument="student",
        )
    # With a sigmoid each unit is a yes or no.
    several = "sigmoid" not in activations and head.units > 1
    if one_class and not several:
        raise checks.invalid(
            "a network that predicts one class of several",
            "one with a sigmoid",
            "Put a softmax of two units or more at its end.",
            argument="student",
        )
    return head, keras.Model(student.inputs, head.input), several


def read(body: keras.Model, data: Any, units: int, several: bool) -> Samples:
    """Return the `Samples` that a head of so many units sees of some data."""
    x, y, weights = predictions(body, data)
    checks.finite_array(x, "features")
    return Samples(x, targets_of(y, units, several), weights, several)
