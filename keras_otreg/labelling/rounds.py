"""A head that is solved on labelled samples and on others, in rounds."""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_otreg import checks, heads
from keras_otreg.features.batches import predicted, softmax
from keras_otreg.labelling.labels import (
    TransportedLabels,
    check_sure,
    from_probabilities,
)
from keras_otreg.labelling.shares import UNIFORM, check_validation


class SolvedRounds(NamedTuple):
    """The result of `solve_head_in_rounds`.

    Attributes:
        labels: The `TransportedLabels` of the last round.
        scores: Accuracy on the validation data before and after each round;
            empty without them.
    """

    labels: TransportedLabels
    scores: list[float]


def solve_head_in_rounds(
    student: keras.Model,
    labelled: Any,
    x_unlabelled: Any,
    *,
    rounds: int = 3,
    shares: Any = UNIFORM,
    sure: float | tuple[float, float] = (0.3, 1.0),
    l2: float | str = heads.VALIDATION,
    validation: Any = None,
    class_names: Sequence[str] | None = None,
) -> SolvedRounds:
    """Solve the head of a classifier on labelled and unlabelled samples.

    First it is `keras_otreg.solve_head`. In each round the unlabelled samples
    then get labels as by `transported_labels`, and the head is solved on both,
    whose total weights are equal. The layers below run once: this takes
    seconds. The labelled samples keep their labels.

    Args:
        student: As for `solve_head`, with a softmax or logits for one class of
            several. Its kernel and bias are set.
        labelled: A pair `(x, y)`, or a data set of such batches.
        x_unlabelled: As for `transported_labels`.
        rounds: How often the unlabelled samples are labelled.
        shares: As for `transported_labels`; those by validation are estimated
            in each round.
        sure: Share of the samples with the surest labels that count, in the
            first and in the last round; or one number for all.
        l2: As for `solve_head`, the same in all rounds; `"validation"` chooses
            by cross-entropy, as the labels need calibrated probabilities.
        validation: As for `solve_head`. The head ends as in the round that is
            best on it by accuracy, the last one of equals, or as it was before
            the rounds.
        class_names: As for `transported_labels`.

    Raises:
        ValueError: As `solve_head` and `transported_labels` do, or if a sample
            may have several classes.
        ImportError: If SciPy is not installed.

    Example:
        ```python
        found = solve_head_in_rounds(model, (x, y), x_more, rounds=2)
        found.labels.shares
        ```
    """
    parts = sure_shares(sure, checks.count(rounds, "rounds"))
    check_validation(shares, validation)
    head, body, several = heads.parts_of(student)
    heads.check_one_class(several)
    data = heads.read(body, labelled, head.units, several)
    held = None
    if validation is not None:
        held = heads.read(body, validation, head.units, several)
    features, checksums = predicted(body, x_unlabelled)
    solved = heads.solve(head, data, l2, held, by_loss=True)
    best = BestWeights(head)
    best.look(_accuracy(head, held))
    inputs = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    for share in parts:
        weights = heads.weights_of(head)
        known = None
        if held is not None:
            known = softmax(held.logits(weights)), held.y
        labels = from_probabilities(
            softmax(inputs @ weights),
            shares=shares,
            sure=share,
            y=data.y,
            validation=known,
            class_names=class_names,
        )
        both = _both(data, features, labels)
        # Labels are not more exact than that.
        heads.solve(head, both, solved.l2, None, heads.ENOUGH_TO_CHOOSE)
        best.look(_accuracy(head, held))
    best.restore()
    labels = dataclasses.replace(labels, checksums=checksums)
    return SolvedRounds(labels, best.scores)


def sure_shares(sure: float | tuple[float, float], rounds: int) -> list[float]:
    """Share of the samples that counts in each round, growing evenly."""
    ends = sure if isinstance(sure, (tuple, list)) else (sure, sure)
    if len(ends) != 2:
        raise checks.invalid(
            "a share of the samples, or those of the first and last round",
            f"{len(ends)} shares",
            argument="sure",
        )
    first, last = map(check_sure, ends)
    return [float(x) for x in np.linspace(first, last, rounds)]


def _both(data, features, labels):
    """Labelled samples, and others of the same total weight."""
    rows = labels.sample_weight > 0.0
    total = max(float(labels.sample_weight.sum()), 1e-12)
    return heads.Samples(
        np.concatenate([data.x * data.scale, features[rows]]),
        np.concatenate([data.y, labels.probabilities[rows]]),
        np.concatenate([data.weights, labels.sample_weight[rows] / total]),
    )


def _accuracy(head, held):
    """Accuracy of a head on samples held out; `None` if there are none."""
    if held is None:
        return None
    return held.score(heads.weights_of(head))[0]


class BestWeights:
    """The weights of a layer or network that were best by their `scores`."""

    def __init__(self, network: Any):
        self.scores: list[float] = []
        self._network = network

    def look(self, reached: float | None) -> None:
        """Keep the weights if no score was higher; `None` is no score."""
        if reached is None:
            return
        if reached >= max(self.scores, default=0.0):
            self._weights = self._network.get_weights()
        self.scores.append(float(reached))

    def restore(self) -> None:
        """Set the weights that were best, if there are scores."""
        if self.scores:
            self._network.set_weights(self._weights)
