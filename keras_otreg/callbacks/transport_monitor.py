"""The numbers and the pictures of plans, while a model is trained."""

import pathlib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_otreg import checks
from keras_otreg.callbacks.advice import advise
from keras_otreg.callbacks.board import Board
from keras_otreg.callbacks.probe import first_batch
from keras_otreg.callbacks.readings import mean_plan, of_plan, readings
from keras_otreg.losses import ClassTransport
from keras_otreg.losses.solved_plan import CLASSES
from keras_otreg.models import TransferModel
from keras_otreg.models.observation import Observer
from keras_otreg.plots import class_plan, plan


class TransportMonitor(keras.callbacks.Callback):
    """Watches what transport does in the training of a `TransferModel`.

    After each epoch it looks at what a step of training on a fixed batch would
    do, and takes none: weights, metrics and random numbers stay as they are,
    to the last bit. The batch is yours: one that is the same in all epochs
    gives curves without the noise of batches, and the steps themselves are
    left alone. It adds to the logs, for each penalty, and for the transport of
    a source task, under its name:

    - `..._marginal_error`, `..._iterations`: how well the plan is solved;
    - `..._entropy`: how blurred it is, from 0, a matching, to 1, uniform;
    - `..._mass`: how much it transports, 1 unless marginals are relaxed;
    - `..._permuted`: between layers of equal width, the share of the teacher's
      neurons whose main partner is not the one of their index;
    - `..._gradient_share`: the norm of the gradient of the term, with its
      weight, in the student's weights, over the sum of these norms. That of
      the task is `task_loss_gradient_share`.

    It warns once if a plan is nearly uniform, or its solver does not converge.

    **Put it before `CSVLogger`, `TensorBoard` and other loggers**: Keras hands
    the logs from callback to callback. `History` comes last anyway.

    Args:
        probe: The batch: `(x, y)` or `(x, y, sample_weight)`, or a data set
            of which the first batch is taken, of the form that `fit` gets. Some
            100 samples are enough. Reading a data set that is shuffled may
            change its later orders.
        log_dir: A folder for TensorBoard, into which pictures of the plans
            go; needs matplotlib. `None` for no pictures.
        class_names: Names of the source classes and of the target classes, for
            the pictures of a source task.

    Attributes:
        plans: By its name, the latest plan of each term, of shape `(n, m)`:
            for `keras_otreg.plots.plan` and `class_plan`.

    Raises:
        ValueError: If the probe is not a batch, or the model is none of ours.
        ImportError: If there is a `log_dir` and no matplotlib.

    Example:
        ```python
        monitor = otreg.callbacks.TransportMonitor((x[:128], y[:128]))
        log = keras.callbacks.CSVLogger("log.csv")
        model.fit(train, epochs=10, callbacks=[monitor, log])
        otreg.plots.plan(monitor.plans).savefig("plan.png")
        ```
    """

    def __init__(
        self,
        probe: Any,
        *,
        log_dir: str | pathlib.Path | None = None,
        class_names: tuple[Sequence[str], Sequence[str]] | None = None,
    ):
        super().__init__()
        self.probe = first_batch(probe)
        self.log_dir = None if log_dir is None else pathlib.Path(log_dir)
        if log_dir is not None:
            checks.installed("matplotlib", "plots", "Pictures of plans")
        self.class_names = class_names
        self.plans: dict[str, np.ndarray] = {}
        self._advice: set[str] = set()
        self._observer: Any = None
        self._board: Any = None

    def set_model(self, model: keras.Model) -> None:
        """Takes a `TransferModel`."""
        checks.instance_of(
            model, TransferModel, "model", "a `keras_otreg.TransferModel`"
        )
        super().set_model(model)

    def on_train_begin(self, logs: Any = None) -> None:
        """Gets ready to look, and opens the file of pictures."""
        task = self.model.source_task
        loss = None if task is None else task.transport
        if self.class_names and isinstance(loss, ClassTransport):
            checks.class_names(self.class_names, loss.cost_matrix.shape)
        # A new one for each `fit`: layers may have been frozen since.
        self._observer = Observer(self.model, self.probe)
        if self.log_dir is not None:
            self._board = Board(self.log_dir / "plans")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Writes to the logs what a step of training would do now."""
        seen = self._observer()
        if logs is not None:
            logs.update(readings(seen))
        self.plans = {name: mean_plan(x) for name, x in seen.plans.items()}
        for name, solved in seen.plans.items():
            advise(name, solved, of_plan(solved), self._advice)
            if self._board is not None:
                picture = self._picture(name, solved.between)
                self._board.add(f"{name}/plan", picture, epoch)

    def on_train_end(self, logs: Any = None) -> None:
        """Closes the file of pictures."""
        self._observer = None
        if self._board is not None:
            self._board.close()
            self._board = None

    def _picture(self, name, between):
        P = self.plans[name]
        if between != CLASSES:
            return plan({name: P}, points=between)
        names = self.class_names or [list(map(str, range(n))) for n in P.shape]
        return class_plan(P, *names)
