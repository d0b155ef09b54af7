"""Heads of classifiers, solved to the end on frozen features."""

import functools
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_otreg import checks
from keras_otreg.features.batches import batches

# Strengths that a validation chooses from, for features of unit variance.
STRENGTHS = tuple(10.0**k for k in range(-6, 1))
# Of the gradient, at the solution and where a strength is chosen.
TOLERANCE, ENOUGH_TO_CHOOSE = 1e-9, 1e-5
MOST_ITERATIONS = 5000
# Of the samples, held out if there are no validation data.
HELD_OUT = 5
# Of a cross-validation.
FOLDS = 10
VALIDATION = "validation"
LAST = (
    keras.layers.Activation,
    keras.layers.Dropout,
    keras.layers.Reshape,
    keras.layers.Softmax,
)


class SolvedHead(NamedTuple):
    """The solution that `solve_head` has set.

    Attributes:
        l2: Strength of the penalty on the kernel.
        loss: Mean cross-entropy on the samples.
        gradient: Largest entry of the gradient at the solution.
        validation: Accuracy on the validation data; `None` if none were used.
    """

    l2: float
    loss: float
    gradient: float
    validation: float | None


def solve_head(
    student: keras.Model,
    x: Any,
    y: Any = None,
    *,
    l2: float | str = VALIDATION,
    validation: Any = None,
) -> SolvedHead:
    """Solve the last layer of a classifier on frozen features.

    The layers below run once. The head is then the solution of a logistic
    regression, which minimises the mean cross-entropy plus half of `l2` times
    the squared kernel; the bias is free. Fine-tune from there: from a random
    head, the first steps spoil the features.

    Args:
        student: A built network whose last layer with weights is a `Dense`,
            alone or before a softmax: with a softmax or logits for one class
            of several, or with a sigmoid for two classes or several labels.
            Its kernel and bias are set.
        x: Inputs; or a `tf.data.Dataset` or `keras.utils.PyDataset` of
            batches `(x, y)` or `(x, y, sample_weight)`.
        y: Labels of arrays: numbers of classes, or a row of targets for each
            sample.
        l2: The strength; or `"validation"` to choose it.
        validation: A pair `(x, y)` or a data set to choose `l2` by; every
            fifth sample, with the head solved again on all, if not given.

    Raises:
        ValueError: If there is no such head, or labels do not fit it.
        ImportError: If SciPy is not installed.

    Example:
        ```python
        otreg.solve_head(student, x, y)
        student.compile(keras.optimizers.Adam(1e-4), loss)
        student.fit(x, y)
        ```

    References:
        Kumar et al., "Fine-tuning can distort pretrained features and
        underperform out-of-distribution" (ICLR 2022), arXiv 2202.10054.
    """
    if l2 != VALIDATION:
        checks.non_negative(l2, "l2")
    head, body, several = parts_of(student)
    data = read(body, (x, y), head.units, several)
    held = None
    if l2 == VALIDATION and validation is not None:
        held = read(body, validation, head.units, several)
    return solve(head, data, l2, held)


def solve(
    head: keras.layers.Dense,
    data: "Samples",
    l2: float | str,
    held: "Samples | None",
    tolerance: float = TOLERANCE,
    by_loss: bool = False,
) -> SolvedHead:
    """Solve a head on features, as `solve_head` does; `held` choose `l2`.

    With `by_loss` they choose it by cross-entropy, not by accuracy: the
    probabilities are then calibrated.
    """
    if l2 != VALIDATION:
        strength, accuracy = float(l2) / data.scale**2, None
    else:
        rest, held = data.divided() if held is None else (data, held)
        # Each solution is the start of the next one.
        found = [
            (held.score(rest.solved(s, ENOUGH_TO_CHOOSE)[0]), s)
            for s in reversed(STRENGTHS)
        ]
        first = 1 if by_loss else 0
        (accuracy, _), strength = max(found, key=lambda x: (x[0][first], x[0]))
    weights, loss, gradient = data.solved(strength, tolerance)
    head.kernel.assign(weights[:-1])
    if head.use_bias:
        head.bias.assign(weights[-1])
    return SolvedHead(strength * data.scale**2, loss, gradient, accuracy)


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
    return data.held_out(data.strength_of(weights_of(head)))


def weights_of(head: keras.layers.Dense) -> np.ndarray:
    """Return the kernel of a head, and the bias as its last row."""
    values = head.get_weights()
    bias = values[1] if head.use_bias else np.zeros(head.units)
    return np.concatenate([values[0], [bias]], dtype=np.float64)


def parts_of(
    student: keras.Model,
) -> tuple[keras.layers.Dense, keras.Model, bool]:
    """Return the head, the network below, and if a sample has one class only.

    Raise if there is no such head.
    """
    chain = list(student.layers)
    while chain and isinstance(chain[-1], LAST):
        chain.pop()
    head = chain[-1] if chain else None
    if not isinstance(head, keras.layers.Dense):
        raise checks.invalid(
            "a network whose last layer with weights is a `Dense`",
            f"'{student.name}', which ends with {type(head).__name__}",
            "Put a `Dense` of as many units as there are classes at its end",
            argument="student",
        )
    ends = [head, *student.layers[len(chain) :]]
    names = {
        getattr(getattr(layer, "activation", None), "__name__", "")
        for layer in ends
    }
    # With a sigmoid each unit is a yes or no.
    several = "sigmoid" not in names and head.units > 1
    return head, keras.Model(student.inputs, head.input), several


def read(body: keras.Model, data: Any, units: int, several: bool) -> "Samples":
    """Return the `Samples` that a head of so many units sees of some data.

    The data are a pair `(x, y)`, or a data set in place of `x`.
    """
    x, y = data[:2] if isinstance(data, tuple) else (data, None)
    to_array = keras.ops.convert_to_numpy
    columns = []
    for batch in batches(x) if y is None else [(x, y)]:
        if not isinstance(batch, tuple) or len(batch) < 2:
            raise checks.invalid("batches (x, y)", f"{type(batch)}")
        x, y, weight = (*batch, None)[:3]
        checks.sample_tuple((x, to_array(y)), "labelled")
        found = to_array(body.predict(x, verbose=0))
        checks.finite_array(found, "features")
        weight = np.ones(len(found)) if weight is None else to_array(weight)
        targets = targets_of(y, units, several)
        columns.append((found, targets, weight.reshape(-1)))
    checks.some_batches(columns)
    found, targets, weight = map(np.concatenate, zip(*columns, strict=True))
    return Samples(found, targets, weight, several)


class Samples:
    """Features `(n, d)` of samples with targets `(n, units)` and weights.

    The features are divided by `scale`, their deviation if it is not given.
    """

    def __init__(self, features, targets, weights, several=True, scale=None):
        features = features.astype(np.float64)
        self.several = several
        self.scale = scale or max(float(features.std()), 1e-12)
        self.x = features / self.scale
        self.y = targets
        self.weights = weights.astype(np.float64)
        self.weights = self.weights / max(self.weights.sum(), 1e-12)
        self._latest = None

    def divided(self):
        """All but every fifth sample of each class, and those."""
        held = self._every(HELD_OUT, HELD_OUT // 2)
        return self._part(~held), self._part(held)

    def held_out(self, l2):
        """Logits and targets of samples, by heads that are solved on others."""
        logits = np.zeros(self.y.shape)
        for k in range(min(FOLDS, len(logits))):
            held = self._every(FOLDS, k)
            found = self._part(~held).solved(l2, ENOUGH_TO_CHOOSE)[0]
            logits[held] = self._part(held).logits(found)
        alone = self.y.sum(axis=0) < 2.0
        known = self.y @ alone == 0.0
        return logits[known], self.y[known]

    def strength_of(self, weights):
        """The strength of the penalty that holds weights in balance."""
        kernel = weights[:-1] * self.scale
        slope = self._cross_entropy(self.logits(weights))[1]
        balance = -(kernel * (self.x.T @ slope)).sum() / np.square(kernel).sum()
        return float(np.clip(balance, STRENGTHS[0], STRENGTHS[-1]))

    def _every(self, step, first):
        """Whether each sample is among every so many of its class."""
        order = np.argsort(self.y.argmax(axis=1), kind="stable")
        chosen = np.zeros(len(order), bool)
        chosen[order[first::step]] = True
        return chosen

    def _part(self, rows):
        return Samples(
            self.x[rows] * self.scale,
            self.y[rows],
            self.weights[rows],
            self.several,
            self.scale,
        )

    @functools.cached_property
    def _reduced(self):
        """Features in a basis of samples, of which the kernel is a sum."""
        if self.x.shape[1] <= len(self.x):
            return self.x, None
        basis, x = np.linalg.qr(self.x.T)
        return x.T, basis

    def solved(self, l2, tolerance=TOLERANCE):
        """Weights for features as they are, the loss and the gradient."""
        optimize = checks.installed("scipy.optimize", "demo", "Solved heads")
        x, basis = self._reduced
        count, units = x.shape[1], self.y.shape[1]
        inputs = np.concatenate([x, np.ones((len(x), 1))], axis=1)

        def loss(flat):
            weights = flat.reshape(count + 1, units)
            value, slope = self._cross_entropy(inputs @ weights)
            gradient = inputs.T @ slope
            gradient[:-1] += l2 * weights[:-1]
            value += 0.5 * l2 * np.square(weights[:-1]).sum()
            return value, gradient.ravel()

        if self._latest is None:
            self._latest = np.zeros((count + 1) * units)
        found = optimize.minimize(
            loss,
            self._latest,
            jac=True,
            method="L-BFGS-B",
            options={
                "gtol": tolerance,
                "ftol": 0.0,
                "maxiter": MOST_ITERATIONS,
                "maxfun": 2 * MOST_ITERATIONS,
            },
        )
        self._latest = found.x
        weights = found.x.reshape(count + 1, units)
        gradient = float(np.abs(loss(found.x)[1]).max())
        value = float(self._cross_entropy(inputs @ weights)[0])
        kernel = weights[:-1] if basis is None else basis @ weights[:-1]
        weights = np.concatenate([kernel / self.scale, weights[-1:]])
        return weights, value, gradient

    def logits(self, weights):
        """Logits of some weights."""
        return self.x * self.scale @ weights[:-1] + weights[-1]

    def score(self, weights):
        """Accuracy and minus the cross-entropy of some weights."""
        logits = self.logits(weights)
        if self.several:
            right = logits.argmax(axis=1) == self.y.argmax(axis=1)
        else:
            right = ((logits > 0.0) == (self.y > 0.5)).mean(axis=1)
        value, _ = self._cross_entropy(logits)
        return float(self.weights @ right), -float(value)

    def _cross_entropy(self, logits):
        """The weighted mean, and its gradient by the logits."""
        weights = self.weights[:, None]
        if self.several:
            shifted = logits - logits.max(axis=1, keepdims=True)
            log_sum = np.log(np.exp(shifted).sum(axis=1, keepdims=True))
            logs = shifted - log_sum
            value = -(weights * self.y * logs).sum()
            mass = self.y.sum(axis=1, keepdims=True)
            return value, weights * (mass * np.exp(logs) - self.y)
        softplus = np.logaddexp(0.0, logits)
        value = (weights * (softplus - self.y * logits)).sum()
        return value, weights * (np.exp(logits - softplus) - self.y)


def targets_of(
    labels: Any, units: int, several: bool = True, name: str = "y"
) -> np.ndarray:
    """Return a row of so many targets for each sample.

    Labels are rows, or numbers if a sample has one class of `several`. `name`
    is that of the argument that they come from.
    """
    labels = np.asarray(keras.ops.convert_to_numpy(labels))
    labels = checks.finite_array(labels, name, least_rank=1)
    labels = labels.reshape(len(labels), -1)
    if several and labels.shape[1] == 1:
        classes = labels[:, 0].astype(int)
        wrong = labels[(labels[:, 0] != classes) | (classes < 0), 0]
        wrong = np.append(wrong, classes[classes >= units])
        if wrong.size:
            raise checks.invalid(
                f"labels from 0 to {units - 1}, whole numbers, as the head "
                f"has {units} units",
                f"labels such as {wrong[0]:g}",
                argument=name,
            )
        return np.eye(units)[classes]
    if labels.shape[1] != units:
        raise checks.invalid(
            f"a number of the class, or {units} targets, for each sample",
            f"labels of shape {labels.shape}",
            argument=name,
        )
    return labels.astype(np.float64)
