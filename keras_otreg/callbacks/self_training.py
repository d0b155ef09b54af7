"""Rounds of labelling and training."""

import warnings
from collections.abc import Sequence
from typing import Any

import keras

from keras_otreg import checks
from keras_otreg.features.batches import predictions
from keras_otreg.heads import targets_of
from keras_otreg.labelling.labels import (
    Labelling,
    check_some_weight,
    transported_labels,
)
from keras_otreg.labelling.rounds import BestWeights, sure_shares
from keras_otreg.labelling.shares import UNIFORM, check_validation


class SelfTraining(keras.callbacks.Callback, Labelling):
    """Labels unlabelled samples anew in several rounds of a training.

    The epochs of `fit` are divided into rounds. Before each, the model labels
    the unlabelled samples by `keras_otreg.labelling.transported_labels`, and
    the data of `keras_otreg.data.with_labels` use these labels from then on.
    The labelled samples keep their labels. Begin with a model that is trained
    on these, for instance by `keras_otreg.solve_head`.

    Args:
        x_unlabelled: The samples, as for `transported_labels`.
        rounds: How often they are labelled.
        shares: Shares of the classes, as for `transported_labels`; those by
            validation are estimated in each round.
        sure: As for `keras_otreg.labelling.solve_head_in_rounds`.
        labelled: As for `transported_labels`.
        validation: A pair `(x, y)` or a data set. The model ends with the
            weights of the round that is best on it by accuracy, the last one
            of equals, or with those before the training if all are worse.
        temperature: As for `transported_labels`; it is chosen once.
        class_names: Names of the classes, for `shares` with names.

    Attributes:
        labels: The latest `TransportedLabels`; `None` before training.
        scores: Accuracy on the validation data before each round and at the
            end.

    Raises:
        ValueError: If an argument is out of range. In `fit`, as
            `transported_labels` does.

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
        self._x = x_unlabelled
        self._rounds = checks.count(rounds, "rounds")
        sure_shares(sure, self._rounds)
        check_validation(shares, validation)
        self._sure = sure
        self._validation = validation
        self._settings = {
            "shares": shares,
            "labelled": labelled,
            "validation": validation,
            "class_names": class_names,
        }
        self._best = BestWeights(None)
        self._temperature = temperature

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
            self.labels = transported_labels(
                self.model,
                self._x,
                sure=self._sure_at.get(epoch, max(self._sure_at.values())),
                temperature=self._temperature,
                verbose=False,
                **self._settings,
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
        if self._validation is None:
            return
        p, y, _ = predictions(self.model, self._validation)
        right = p.argmax(axis=1) == targets_of(y, p.shape[1]).argmax(axis=1)
        self._best.look(right.mean())
