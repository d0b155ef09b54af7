"""Rounds of labelling and training: of a head, or of all of a network."""

import dataclasses
import functools
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_otreg import checks, heads
from keras_otreg.features.batches import predicted, predictions, softmax
from keras_otreg.labelling.labels import (
    Labelling,
    TransportedLabels,
    check_some_weight,
    check_sure,
    from_probabilities,
    transported_labels,
)
from keras_otreg.labelling.shares import UNIFORM, check_validation


class SolvedRounds(NamedTuple):
    """The result of `solve_head_in_rounds`.

    Attributes:
        labels: The `TransportedLabels` of the last round.
        scores: Accuracies in validation, before and after each round.
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

    First on the labelled ones, as by `keras_otreg.solve_head`. In each round
    the others get labels as by `transported_labels`, and the head is solved on
    both, whose total weights are equal. The layers below run once.

    Args:
        student: As for `solve_head`, but not with a sigmoid.
        labelled: A pair `(x, y)`, or a data set of such batches.
        x_unlabelled: As for `transported_labels`.
        rounds: How often the unlabelled samples are labelled.
        shares: As for `transported_labels`, estimated in each round.
        sure: Share of the samples with the surest labels that count, in the
            first and in the last round; or one number for all.
        l2: As for `solve_head`, the same in all rounds; `"validation"` chooses
            by cross-entropy, as the labels need calibrated probabilities.
        validation: As for `solve_head`. The head ends as in the round that is
            best on it by accuracy, the last one of equals.
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
    head, body, several = heads.parts_of(student, one_class=True)
    data = heads.read(body, labelled, head.units, several)
    held = known = None
    if validation is not None:
        held = heads.read(body, validation, head.units, several)
    features, checksums = predicted(body, x_unlabelled)
    solved = heads.solve(head, data, l2, held, by_loss=True)
    inputs = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    best = BestWeights(head)
    for share in parts:
        weights = heads.weights_of(head)
        if held is not None:
            best.look(held.score(weights)[0])
            known = softmax(held.logits(weights)), held.y
        labels = from_probabilities(
            softmax(inputs @ weights),
            shares=shares,
            sure=share,
            y=data.y,
            validation=known,
            class_names=class_names,
        )
        # Those that count have the same total weight as the labelled ones.
        rows, mass = labels.sample_weight > 0.0, labels.sample_weight
        mass = mass / max(float(mass.sum()), 1e-12)
        both = heads.Samples(
            np.concatenate([data.x * data.scale, features[rows]]),
            np.concatenate([data.y, labels.probabilities[rows]]),
            np.concatenate([data.weights, mass[rows]]),
        )
        # Labels are not more exact than that.
        heads.solve(head, both, solved.l2, None, heads.ENOUGH_TO_CHOOSE)
    if held is not None:
        best.look(held.score(heads.weights_of(head))[0])
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


class BestWeights:
    """The weights of a layer or network that were best by their `scores`."""

    def __init__(self, network: Any):
        self.scores: list[float] = []
        self._network = network

    def look(self, reached: float) -> None:
        """Keep the weights if no score was higher."""
        if reached >= max(self.scores, default=0.0):
            self._weights = self._network.get_weights()
        self.scores.append(float(reached))

    def restore(self) -> None:
        """Set the weights that were best, if there are scores."""
        if self.scores:
            self._network.set_weights(self._weights)


class SelfTraining(keras.callbacks.Callback, Labelling):
    """Labels unlabelled samples anew in several rounds of a training.

    The epochs of `fit` are divided into rounds. Before each, the model labels
    the unlabelled samples by `keras_otreg.labelling.transported_labels`, and
    the data of `keras_otreg.data.with_labels` use these labels from then on.
    Begin with a model that is trained on the labelled samples.

    Args:
        x_unlabelled: The samples, as for `transported_labels`.
        rounds: How often they are labelled.
        shares: As for `transported_labels`, estimated in each round.
        sure: As for `keras_otreg.labelling.solve_head_in_rounds`.
        labelled: As for `transported_labels`.
        validation: A pair `(x, y)` or a data set. The model ends with the
            weights that are best on it by accuracy before a round or at the
            end, the last ones of equals.
        temperature: As for `transported_labels`; it is chosen once.
        class_names: As for `transported_labels`.

    Attributes:
        labels: The latest `TransportedLabels`; `None` before training.
        scores: Accuracies in validation, before each round and at the end.

    Raises:
        ValueError: Here and in `fit`, as `transported_labels` does.

    Example:
        ```python
        rounds = SelfTraining(x_more, rounds=2, validation=(x_valid, y_valid))
        data = otreg.data.with_labels((x, y), (x_more, rounds))
        model.compile("adam", "categorical_crossentropy")
        model.fit(data, epochs=4, callbacks=[rounds])
        ```
    """

    def __init__(
        self,
        x_unlabelled: Any,
        rounds: int = 3,
        *,
        shares: Any = UNIFORM,
        sure: float | tuple[float, float] = (0.3, 1.0),
        labelled: Any = None,
        validation: Any = None,
        temperature: float | str = 1.0,
        class_names: Sequence[str] | None = None,
    ):
        keras.callbacks.Callback.__init__(self)
        Labelling.__init__(self)
        self._rounds = checks.count(rounds, "rounds")
        sure_shares(sure, self._rounds)
        check_validation(shares, validation)
        self._sure, self._validation = sure, validation
        self._temperature = temperature
        self._label = functools.partial(
            transported_labels,
            x_unlabelled=x_unlabelled,
            shares=shares,
            labelled=labelled,
            validation=validation,
            class_names=class_names,
            verbose=False,
        )
        self._best = BestWeights(None)

    def on_train_begin(self, logs: Any = None) -> None:
        """Divide the epochs into rounds."""
        epochs = self.params["epochs"]
        rounds = min(self._rounds, epochs)
        shares = sure_shares(self._sure, rounds)
        self._sure_at = {
            -(-k * epochs // rounds): share for k, share in enumerate(shares)
        }
        self._best, self.labels = BestWeights(self.model), None
        self.is_read = False

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Label the samples, if a round begins."""
        if epoch in self._sure_at or self.labels is None:
            self._keep_best()
            self.labels = self._label(
                self.model,
                sure=self._sure_at.get(epoch, max(self._sure_at.values())),
                temperature=self._temperature,
            )
            check_some_weight(self.labels)
            # Later the model has learnt from its own labels.
            self._temperature = self.labels.temperature

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Warn once if the labels are not used."""
        if not self.is_read:
            warnings.warn(
                "No data read the labels of this `SelfTraining`. Give `fit` "
                "the data that `with_labels((x, y), (x_unlabelled, callback))` "
                "returns.",
                stacklevel=2,
            )
            self.is_read = True

    def on_train_end(self, logs: Any = None) -> None:
        """Restore the weights that are best in validation."""
        self._keep_best()
        self._best.restore()

    @property
    def scores(self) -> list[float]:
        """Accuracy on the validation data, before each round and at the end."""
        return self._best.scores

    def _keep_best(self):
        if self._validation is not None:
            p, y, _ = predictions(self.model, self._validation)
            y = heads.targets_of(y, p.shape[1])
            self._best.look((p.argmax(axis=1) == y.argmax(axis=1)).mean())
