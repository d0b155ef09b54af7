"""Numbers and pictures of transport plans during training."""

import pathlib
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_otreg import checks
from keras_otreg.features.batches import batches
from keras_otreg.losses.base import CLASSES, NEURONS, ClassLoss
from keras_otreg.models import TransferModel
from keras_otreg.models.observation import Observer
from keras_otreg.ot import ProximalPoint, Sinkhorn, permuted_fraction
from keras_otreg.ot.plan import entropy_of
from keras_otreg.plots.matrices import check_class_names, class_plan, plan

# Above this entropy a plan is called uniform.
UNIFORM = 0.95


class TransportMonitor(keras.callbacks.Callback):
    """Logs numbers about the plans and gradients of a `TransferModel`.

    After each epoch it computes what a step of training on a fixed batch would
    do, without taking it. It adds to the logs, for each penalty, and for the
    transport of a source task, under its name:

    - `..._marginal_error`, `..._iterations`: how well the plan is solved;
    - `..._entropy`: how blurred it is, from 0, a matching, to 1, uniform;
    - `..._mass`: how much it transports, 1 unless marginals are relaxed;
    - `..._permuted`: between layers of equal width, the share of the teacher's
      neurons whose main partner is not the one of their index;
    - `..._gradient_share`: the norm of the gradient of the weighted term in
      the student's weights, over the sum of these norms, also for `task_loss`.

    It warns once if a plan is nearly uniform, or its solver does not converge.
    **Put it before `CSVLogger`, `TensorBoard` and other loggers**: Keras hands
    the logs from callback to callback.

    Args:
        probe: The batch, of some 100 samples: `(x, y)` or `(x, y,
            sample_weight)`, or a data set of which the first batch is taken.
        log_dir: A folder for pictures of the plans in TensorBoard, if any;
            needs matplotlib.
        class_names: Names of the source classes and of the target classes, for
            the pictures of a source task.

    Attributes:
        plans: Latest plan of each term by name, of shape `(n, m)`, for
            `keras_otreg.plots.plan` and `class_plan`.

    Raises:
        ValueError: If the probe is not a batch, or the model is not a
            `TransferModel`.
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
        self.probe = _first_batch(probe)
        self.log_dir = None if log_dir is None else pathlib.Path(log_dir)
        if log_dir is not None:
            checks.installed("matplotlib", "plots", "Pictures of plans")
        self.class_names = class_names
        self.plans: dict[str, np.ndarray] = {}
        self._advice: set[tuple[str, str]] = set()
        self._observer: Any = None
        self._writer: Any = None

    def set_model(self, model: keras.Model) -> None:
        """Take a `TransferModel`."""
        checks.instance_of(
            model, TransferModel, "model", "a `keras_otreg.TransferModel`"
        )
        super().set_model(model)

    def on_train_begin(self, logs: Any = None) -> None:
        """Prepare the observation, and open the file of pictures."""
        loss = getattr(self.model.source_task, "transport", None)
        if self.class_names and isinstance(loss, ClassLoss):
            check_class_names(self.class_names, loss.classes)
        # A new one for each `fit`: layers may have been frozen since.
        self._observer = Observer(self.model, self.probe)
        if self.log_dir is not None:
            import tensorflow as tf

            folder = self.log_dir / "plans"
            self._writer = tf.summary.create_file_writer(str(folder))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Add the numbers of a training step that is not taken to the logs."""
        seen, self.plans = self._observer(), {}
        logs = {} if logs is None else logs
        for name, solved in seen.plans.items():
            P = ops.convert_to_numpy(solved.P)
            # Averaged over samples with plans of their own.
            P = P.reshape((-1, *P.shape[-2:])).mean(axis=0)
            self.plans[name], numbers = P, _numbers(solved)
            advise(name, solved, numbers, self._advice)
            logs |= {f"{name}_{key}": value for key, value in numbers.items()}
            if self._writer is not None:
                self._write_picture(name, P, solved.between, epoch)
        for name, share in seen.shares.items():
            logs[f"{name}_gradient_share"] = share

    def on_train_end(self, logs: Any = None) -> None:
        """Close the file of pictures."""
        self._observer = None
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _write_picture(self, name, P, between, epoch):
        import tensorflow as tf

        names = self.class_names or [list(map(str, range(n))) for n in P.shape]
        if between == CLASSES:
            figure = class_plan(P, *names)
        else:
            figure = plan({name: P}, points=between)
        with self._writer.as_default():
            tf.summary.image(f"{name}/plan", figure.pixels()[None], step=epoch)


def _first_batch(probe):
    """Return a batch as `fit` would see it, in arrays, which can be copied."""
    received = f"an object of type {type(probe).__name__}"
    is_array = hasattr(probe, "shape") or isinstance(probe, (str, dict))
    is_data = isinstance(probe, Iterable | keras.utils.PyDataset)
    if is_data and not is_array and not isinstance(probe, (tuple, list)):
        probe = next(batches(probe, are_all_read=False), None)
    if isinstance(probe, (tuple, list)) and 1 <= len(probe) <= 3:
        leaves = [x for x in keras.tree.flatten(probe) if x is not None]
        lengths = [tuple(getattr(x, "shape", ())[:1]) for x in leaves]
        if lengths and all(length and length[0] for length in lengths):
            return keras.tree.map_structure(_array, tuple(probe))
        received = f"arrays of lengths {lengths}"
    raise checks.invalid(
        "a batch (x, y) or (x, y, sample_weight), or a data set of such "
        "batches, of the form that `fit` gets",
        received,
        argument="probe",
    )


def _array(values):
    """An array as `fit` makes it, of which doubles are rounded."""
    array = None if values is None else np.asarray(values)
    is_double = getattr(array, "dtype", None) == "float64"
    return array.astype(keras.config.floatx()) if is_double else array


def _numbers(plan):
    """Return the numbers of a plan: the mean, or the worst, of several."""
    found = {}
    if plan.solver is not None:
        found["marginal_error"] = ops.max(plan.marginal_error)
        found["iterations"] = ops.max(plan.num_iterations)
    found["entropy"] = ops.mean(entropy_of(plan.P))
    found["mass"] = ops.mean(ops.sum(plan.P, axis=(-2, -1)))
    if plan.between == NEURONS and plan.P.shape[-2] == plan.P.shape[-1]:
        found["permuted"] = ops.mean(permuted_fraction(plan.P))
    return {name: float(value) for name, value in found.items()}


def advise(name, plan, numbers, given):
    """Warn of a nearly uniform plan or a failing solver, unless in `given`."""
    # Of controls the user knows, and of the solvers of others we do not.
    if not isinstance(plan.solver, (Sinkhorn, ProximalPoint)):
        return
    texts, epsilon = {}, plan.epsilon
    if numbers["entropy"] > UNIFORM:
        texts["uniform"] = (
            f"The plan of '{name}' is nearly uniform and says next to nothing: "
            f"its entropy is {numbers['entropy']:.3f}, where 0 is a matching "
            f"and 1 a uniform plan. Its epsilon, {epsilon:g}, is too large: "
            f"use a smaller one in the loss, such as epsilon={epsilon / 5:.2g}."
        )
    # With no tolerance at all, a number of iterations is asked for.
    tolerance = plan.solver.tolerance
    if tolerance > 0.0 and not numbers["marginal_error"] <= tolerance:
        texts["unsolved"] = _unsolved(name, plan, numbers)
    for kind, text in texts.items():
        if (name, kind) not in given:
            given.add((name, kind))
            warnings.warn(text, stacklevel=3)


def _unsolved(name, plan, numbers):
    solver, error = plan.solver, numbers["marginal_error"]
    count = int(numbers["iterations"])
    way_out = (
        "It is down to what rounding leaves: give the loss a solver with a "
        f"larger tolerance, such as tolerance={2 * error:.1g}."
    )
    if count >= solver.max_iterations:
        kind = type(solver).__name__
        way_out = (
            "Use a larger epsilon in the loss, such as "
            f"epsilon={plan.epsilon * 2:.2g}, or more iterations: solver="
            f"otreg.ot.{kind}(max_iterations={10 * solver.max_iterations})."
        )
    return (
        f"The solver of '{name}' did not converge: after {count} iterations "
        f"the marginal error is {error:.2g}, above the tolerance of "
        f"{solver.tolerance:g}. {way_out}"
    )
