"""Labels of unlabelled samples, by transport between samples and classes."""

import dataclasses
import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_otreg import checks
from keras_otreg.features.batches import (
    finite_log,
    predicted,
    predictions,
    softmax,
)
from keras_otreg.heads import VALIDATION, held_out_logits, targets_of
from keras_otreg.labelling.shares import (
    LABELLED,
    MODEL,
    UNIFORM,
    check_probabilities,
    check_validation,
    shares_of,
)
from keras_otreg.models import TransferModel
from keras_otreg.ot import Sinkhorn, TransportProblem

AUTO = "auto"
# Price of a violation of shares that are not known, in nats.
RELAXED = 0.5
# Rounds of the estimate of shares, and how far each moves it.
ROUNDS, DAMPING = 3, 0.5
SOLVER = Sinkhorn(max_iterations=1000, tolerance=1e-4)
# The largest temperature; the smallest is its inverse.
HOTTEST = 20.0
# Probabilities are equal if the largest exceeds their mean by no more.
ROUNDING = 1e-3


@dataclasses.dataclass(frozen=True)
class TransportedLabels:
    """Soft labels of unlabelled samples, and how much each is to count.

    Attributes:
        probabilities: Labels of shape `(n, classes)`: the rows of the plan,
            each divided by its sum.
        sample_weight: 1 for the surest labels, else 0, of shape `(n,)`.
        shares: Those that the plan was made with, of shape `(classes,)`.
        temperature: By which the logits of the model were divided.
        checksums: Of the samples, in order, if they came in batches.
    """

    probabilities: np.ndarray
    sample_weight: np.ndarray
    shares: np.ndarray
    temperature: float = 1.0
    checksums: np.ndarray | None = None

    @property
    def plan(self) -> np.ndarray:
        """The transport plan of shape `(n, classes)`; rows sum to `1 / n`."""
        return self.probabilities / len(self.probabilities)


class Labelling:
    """Owner of labels, `None` until made, which a data set reads meanwhile."""

    def __init__(self, labels: TransportedLabels | None = None):
        self.labels = labels
        self.is_read = False


def transported_labels(
    model: keras.Model,
    x_unlabelled: Any,
    *,
    shares: Any = UNIFORM,
    sure: float = 0.3,
    labelled: Any = None,
    validation: Any = None,
    class_names: Sequence[str] | None = None,
    temperature: float | str = 1.0,
    epsilon: float = 0.5,
    rho: float | str | None = AUTO,
    batch_size: int = 32,
    verbose: bool = True,
) -> TransportedLabels:
    """Label unlabelled samples by transport between samples and classes.

    Each sample has the same mass, and each class its share of the samples.
    Moving a sample to a class costs minus the logarithm of its probability by
    the model. The plan agrees with the model where that is sure, and with the
    shares on the whole.

    Args:
        model: A trained classifier that returns probabilities.
        x_unlabelled: Inputs, or a `tf.data.Dataset` or `keras.utils.PyDataset`
            of batches of them; what comes behind `x` in a batch is left out.
        shares: Shares of the classes: an array of shape `(classes,)`, or a
            mapping from class names or numbers; `"uniform"`; `"labelled"` for
            those of the labelled samples; `"model"` to estimate them from its
            predictions; or `"validation"` from these and the labels of ten or
            more validation samples a class, drawn like the unlabelled ones.
        sure: Share of the samples, those with the surest labels, that get
            weight 1. One for which all classes are equally probable gets none.
        labelled: The labelled samples, as `(x, y)`, where they are asked for.
        validation: A pair `(x, y)` or a data set, likewise.
        class_names: Names of the classes, for a mapping with names.
        temperature: Divisor of the logits; `"validation"` for the best one on
            the validation data, `"labelled"` for that on the labelled samples
            by cross-validation of the head.
        epsilon: Entropic strength of the plan, in nats.
        rho: Price in nats of violating the shares, at least 0; `None` to meet
            them exactly; `"auto"` for `None` if they are numbers or by
            validation, and else 0.5.
        batch_size: Samples in a batch of an array.
        verbose: Whether to show progress.

    Raises:
        ValueError: If there are no samples, the model does not return
            probabilities of two or more classes, samples are missing to find
            the shares, or an argument is out of range.
        ImportError: If SciPy is needed and not installed.

    Example:
        ```python
        labels = transported_labels(model, x_more)
        data = otreg.data.with_labels((x, y), (x_more, labels))
        model.compile("adam", "categorical_crossentropy")
        model.fit(data, epochs=3)
        ```

    References:
        Tai, Bailis and Valiant (ICML 2021), arXiv 2102.08622. Of temperatures:
        Guo et al. (ICML 2017), arXiv 1706.04599; of shares by validation:
        Alexandari, Kundaje and Shrikumar (ICML 2020), arXiv 1901.06852.
    """
    if labelled is not None:
        if not isinstance(labelled, (tuple, list)):
            raise checks.invalid(
                "the labelled samples as a pair (x, y)",
                f"an object of type {type(labelled).__name__}",
                argument="labelled",
            )
        labelled = checks.labelled_batch(labelled)
    checks.count(batch_size, "batch_size")
    is_by_validation = check_validation(shares, validation)
    found, checksums = predicted(model, x_unlabelled, batch_size, verbose)
    found = check_probabilities(found, "probabilities")
    divisor = _temperature(temperature, model, labelled, validation)
    held = None
    if is_by_validation:
        p_valid, y_valid, _ = predictions(model, validation)
        held = at_temperature(p_valid, divisor), y_valid
    made = from_probabilities(
        at_temperature(found, divisor),
        shares=shares,
        sure=sure,
        y=labelled and labelled[1],
        validation=held,
        class_names=class_names,
        epsilon=epsilon,
        rho=rho,
    )
    return dataclasses.replace(made, temperature=divisor, checksums=checksums)


def from_probabilities(
    probabilities: Any,
    *,
    shares: Any = UNIFORM,
    sure: float = 0.3,
    y: Any = None,
    validation: tuple[Any, Any] | None = None,
    class_names: Sequence[str] | None = None,
    epsilon: float = 0.5,
    rho: float | str | None = AUTO,
) -> TransportedLabels:
    """Label samples of known probabilities, as `transported_labels` does.

    `probabilities`, of shape `(n, classes)`, are calibrated ones of any model,
    `y` the labels of the labelled samples, and `validation` probabilities of
    validation samples by the same model, and their labels. With `rho=0`,
    `epsilon=1` and uniform shares, the labels are the probabilities. Raises
    what `transported_labels` does.

    Example:
        ```python
        p = np.array([[0.9, 0.1], [0.6, 0.4], [0.5, 0.5]])
        labels = from_probabilities(p, shares=[1 / 3, 2 / 3])
        ```
    """
    check_sure(sure)
    checks.positive(epsilon, "epsilon")
    p = check_probabilities(probabilities, "probabilities")
    b = shares_of(shares, p, y, validation, class_names)
    name = shares if isinstance(shares, str) else None
    if rho == AUTO:
        rho = None if name in (None, VALIDATION) else RELAXED
    elif rho is not None:
        checks.non_negative(rho, "rho")
    if rho is None and len(p) < p.shape[1]:
        warnings.warn(
            f"There are fewer samples ({len(p)}) than classes ({p.shape[1]}): "
            f"the shares are met in the mean alone, with rho={RELAXED}.",
            stacklevel=2,
        )
        rho = RELAXED
    C = -finite_log(p).astype("float32")
    logits, init = _solved(C, b, epsilon, rho, None)
    for _ in range(ROUNDS if name == MODEL else 0):
        b = (1.0 - DAMPING) * b + DAMPING * softmax(logits).mean(axis=0)
        logits, init = _solved(C, b, epsilon, rho, init)
    return TransportedLabels(softmax(logits), _weights(p, logits, sure), b)


def _solved(C, b, epsilon, rho, init):
    """Logits of the rows of a plan, and potentials to start the next from."""
    g = np.zeros(len(b), C.dtype)
    # Without a price each row is free of the others.
    if rho != 0.0:
        a = np.full(len(C), 1.0 / len(C), C.dtype)
        weights = b.astype(C.dtype)
        problem = TransportProblem(C, a, weights, float(epsilon), (None, rho))
        init = SOLVER(problem, init)
        g = keras.ops.convert_to_numpy(init.g)
    return ((g - C) / epsilon + finite_log(b)).astype(C.dtype), init


def _weights(p, logits, sure):
    """1 for the share of samples with the surest labels."""
    ordered = np.sort(logits, axis=1)
    top, second, others = ordered[:, -1], ordered[:, -2], ordered[:, :-1]
    # Log odds, where probabilities would be rounded to 1.
    rest = np.exp(others - second[:, None]).sum(axis=1)
    doubt = second - top + np.log(rest)
    # A plan has to label also a sample of which nothing is known.
    is_known = p.max(axis=1) > (1.0 + ROUNDING) / p.shape[1]
    highest = np.sort(doubt)[int(np.ceil(sure * len(p))) - 1]
    # All of equal samples: their order must not matter.
    return ((doubt <= highest) & is_known).astype("float32")


def check_sure(sure: Any) -> float:
    """Return the share of the samples that count, if it is one."""
    expected = "a share above 0 and at most 1"
    return checks.number(sure, "sure", expected, lambda x: 0.0 < x <= 1.0)


def _temperature(value, model, labelled, validation):
    if not isinstance(value, str):
        return checks.positive(value, "temperature")
    checks.one_of(value, (VALIDATION, LABELLED), "temperature")
    data = validation if value == VALIDATION else labelled
    if data is None:
        raise checks.invalid(
            f"{value} samples, for the temperature '{value}'", "None"
        )
    if value == LABELLED:
        inner = model.student if isinstance(model, TransferModel) else model
        return best_temperature(*held_out_logits(inner, *data[:2]))
    p, y, _ = predictions(model, data)
    return best_temperature(finite_log(p), y)


def at_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return probabilities whose logits are divided by a temperature."""
    return softmax(finite_log(probabilities) / temperature)


def best_temperature(logits: np.ndarray, y: Any) -> float:
    """Return the temperature of least cross-entropy; 1 without samples."""
    if not len(logits):
        return 1.0
    targets = targets_of(y, logits.shape[1])

    def loss(log_temperature):
        p = softmax(logits / np.exp(log_temperature))
        return -(targets * finite_log(p)).sum()

    # Convex in the inverse, so that thirds of the range can be left out.
    low, high = -np.log(HOTTEST), np.log(HOTTEST)
    for _ in range(40):
        third = (high - low) / 3.0
        if loss(low + third) < loss(high - third):
            high -= third
        else:
            low += third
    return float(np.exp(0.5 * (low + high)))


def check_some_weight(labels: TransportedLabels) -> None:
    """Raise if no sample has a weight."""
    if not labels.sample_weight.any():
        raise checks.invalid(
            "labels of which one at least has a weight",
            "weights that are all 0",
            "The model knows nothing of these samples: train it first.",
        )
