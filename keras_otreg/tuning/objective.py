"""What a search optimises, and in which direction."""

import inspect
import re
import warnings
from typing import Any

import keras
import keras_tuner

from keras_otreg import checks, losses
from keras_otreg.tuning.method_space import PENALTIES

# Names of metrics, or how they end: `val_head_accuracy` is an accuracy.
RISING = (
    "acc",
    "accuracy",
    "auc",
    "correlation",
    "io_u",
    "iou",
    "precision",
    "recall",
    "score",
    "sensitivity",
    "similarity",
    "specificity",
    "true_negatives",
    "true_positives",
)
FALLING = (
    "crossentropy",
    "divergence",
    "error",
    "false_negatives",
    "false_positives",
    "hinge",
    "iterations",
    "logcosh",
    "loss",
    "mae",
    "mape",
    "mse",
    "msle",
    "poisson",
    "skipped",
)
# Of these more is neither better nor worse.
NEUTRAL = ("entropy", "gradient_share", "mass", "permuted")


def objective(
    name: str = "val_accuracy", direction: str | None = None
) -> keras_tuner.Objective:
    """What a search should optimise, in the direction in which it improves.

    KerasTuner knows the direction of some metrics only, takes F1 or R2 for
    errors, and minimises them.

    Args:
        name: As in the logs of `fit`, such as `"val_accuracy"` or
            `"val_sparse_categorical_crossentropy"`. Not `"val_loss"`, about
            which there is a warning: it contains the penalties, so that the
            smallest weight would win whatever it does to the task.
        direction: `"max"` or `"min"`, for a metric of one's own. Metrics and
            losses of Keras, losses of this package, and what ends like one of
            them need none. A name that is both (`cosine_similarity`) is taken
            for the metric.

    Returns:
        A `keras_tuner.Objective`.

    Raises:
        ValueError: If the direction is neither known nor given.

    Example:
        ```python
        tuner = keras_tuner.RandomSearch(
            hypermodel, otreg.tuning.objective("val_f1_score"), max_trials=20
        )
        ```
    """
    checks.instance_of(name, str, "name", "the name of a metric in the logs")
    direction = checks.direction(direction or _known_direction(name), name)
    found = keras_tuner.Objective(name, direction)
    warn_of_total(found)
    return found


def warn_of_total(objective: Any) -> None:
    """Warns if an objective contains the penalties that are searched.

    Args:
        objective: A `keras_tuner.Objective`, also of several; or `None`.
    """
    for single in getattr(objective, "objectives", [objective]):
        name = getattr(single, "name", None)
        if name in ("loss", "val_loss"):
            warnings.warn(
                f"The search optimises '{name}', which contains the "
                "penalties: the smallest weight wins, whatever it does to the "
                "task. Optimise a metric of the task, such as 'val_accuracy'; "
                "or compile its loss as a metric too and optimise that, such "
                "as 'val_sparse_categorical_crossentropy'.",
                stacklevel=3,
            )


def _known_direction(name):
    # Keras numbers metrics of one name: `auc`, `auc_1`.
    name = re.sub(r"_\d+$", "", name)
    if _ends_like(name, RISING):
        return "max"
    is_loss = _is_of_a_loss(name) and not _ends_like(name, NEUTRAL)
    return "min" if is_loss or _ends_like(name, FALLING) else None


def _is_of_a_loss(name):
    """Whether it is a loss, maybe at a layer, as `Penalty.at_each` says."""
    known = (*_names_of_losses(), *PENALTIES)
    return any(f"_{loss}_" in f"_{name}_" for loss in known)


def _ends_like(name, known):
    return f"_{name}".endswith(tuple(f"_{end}" for end in known))


def _names_of_losses():
    """Under which a penalty logs a loss that was not given another name."""
    for value in (*vars(keras.losses).values(), *vars(losses).values()):
        if inspect.isclass(value) and issubclass(value, keras.losses.Loss):
            default = inspect.signature(value).parameters["name"].default
            if isinstance(default, str):
                yield default
