"""Searches in one call, their objectives, and their results as a table."""

import contextlib
import functools
import inspect
import io
import pathlib
import re
import sys
import warnings
from typing import Any

import keras
import keras_tuner

from keras_otreg import checks, losses
from keras_otreg.files import undamaged
from keras_otreg.losses.base import default_name
from keras_otreg.tuning.spaces import PENALTIES

# Keras's own metrics, as they are called in the logs.
RISING = (
    *("acc", "accuracy", "auc", "binary_accuracy", "binary_io_u"),
    *("categorical_accuracy", "concordance_correlation", "cosine_similarity"),
    *("f1_score", "fbeta_score", "io_u", "mean_io_u", "one_hot_io_u"),
    *("one_hot_mean_io_u", "pearson_correlation", "precision"),
    *("precision_at_recall", "r2_score", "recall", "recall_at_precision"),
    *("sensitivity_at_specificity", "sparse_categorical_accuracy"),
    *("sparse_top_k_categorical_accuracy", "specificity_at_sensitivity"),
    *("top_k_categorical_accuracy", "true_negatives", "true_positives"),
)
FALLING = (
    *("false_negatives", "false_positives", "kl_divergence", "logcosh"),
    *("mae", "mape", "mse", "msle", "root_mean_squared_error"),
)
# Losses of Keras whose names are also those of well-known scores.
AMBIGUOUS = ("dice", "tversky")
# What this package logs, beside its penalties and what it says of them.
OURS = ("loss", "source_loss", "target_loss", "task_loss")
READINGS = ("iterations", "marginal_error", "skipped")


def random_search(
    hypermodel: keras_tuner.HyperModel,
    folder: str | pathlib.Path,
    num_trials: int,
    *,
    seed: int = 0,
    **fit: Any,
) -> tuple[list[dict[str, Any]], keras.Model | None]:
    """Run a random search, which resumes after an interruption.

    Args:
        hypermodel: A `TransferHyperModel`, or any other.
        folder: Where the state of the search is kept. Called again with the
            same folder, it makes only the trials that are missing.
        num_trials: Trials, together with those made before.
        seed: Seed of the settings.
        **fit: For `fit`: `x`, `validation_data`, `epochs` and so on.

    Returns:
        The rows of `trials`, and the model with the best validation accuracy;
        `None` if no trial has succeeded.

    Raises:
        ValueError: If what an earlier search left in the folder is damaged.

    Example:
        ```python
        rows, best = otreg.tuning.random_search(
            hypermodel, "search", 20, x=train, validation_data=validation
        )
        ```
    """
    folder = pathlib.Path(folder)
    fit = {"verbose": 2, **fit}
    # KerasTuner prints where it found a search, before it can be told not to.
    told = sys.stdout if fit["verbose"] else io.StringIO()
    with contextlib.ExitStack() as stack:
        # In a new search, an error is of the hypermodel, which is built.
        if any(folder.glob("tuner*.json")):
            way_out = "Delete the folder to search anew, or give another one"
            stack.enter_context(undamaged(folder, way_out))
            (folder / "oracle.json").stat()
        stack.enter_context(contextlib.redirect_stdout(told))
        tuner = keras_tuner.RandomSearch(
            hypermodel,
            objective("val_accuracy"),
            max_trials=num_trials,
            max_consecutive_failed_trials=num_trials + 1,
            seed=seed,
            directory=folder.parent,
            project_name=folder.name,
        )
    # Of equal scores the first trial is the best, whatever the order of files.
    known = sorted(tuner.oracle.trials.items(), key=lambda item: int(item[0]))
    tuner.oracle.trials = dict(known)
    tuner.search(**fit)
    rows = trials(tuner)
    if all(row["score"] is None for row in rows):
        return rows, None
    return rows, tuner.get_best_models()[0]


def trials(tuner: keras_tuner.Tuner) -> list[dict[str, Any]]:
    """The trials of a search as a table, in the order of `get_best_models`.

    Args:
        tuner: A tuner, also one that found an earlier search in its directory.
            Of several workers, ask the chief.

    Returns:
        A row for each trial, all with the same keys: its id under `"trial"`,
        its `"status"`, its `"score"`, then the hyperparameters by name. What a
        trial does not have is `None`.

    Example:
        ```python
        for row in otreg.tuning.trials(tuner):
            print(row["score"], row["transport/weight"])
        ```
    """
    done = tuner.oracle.get_best_trials(len(tuner.oracle.trials))
    names = {name: None for x in done for name in x.hyperparameters.values}
    return [
        {
            "trial": trial.trial_id,
            "status": trial.status,
            "score": None if trial.score is None else float(trial.score),
            **names,
            **trial.hyperparameters.values,
        }
        for trial in done
    ]


def objective(
    name: str = "val_accuracy", direction: str | None = None
) -> keras_tuner.Objective:
    """`keras_tuner.Objective` with the direction in which it improves.

    KerasTuner guesses the direction of some metrics, takes F1 or R2 for errors,
    and minimises them.

    Args:
        name: As in the logs of `fit`, such as `"val_accuracy"` or
            `"val_sparse_categorical_crossentropy"`. Not `"val_loss"`, about
            which there is a warning: it contains the penalties.
        direction: `"max"` or `"min"`. Needed unless the name, without `val_`,
            is that of a metric or loss of Keras (but `dice` and `tversky`,
            which may also be scores), or of a loss or method of this package.

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
    # Keras numbers metrics of one name: `auc`, `auc_1`.
    metric = re.sub(r"_\d+$", "", name.removeprefix("val_"))
    known = {"max": RISING, "min": _falling()}
    direction = direction or next(
        (way for way, names in known.items() if metric in names), None
    )
    if direction is None:
        raise checks.invalid(
            "the whole name of a metric or a loss of Keras, or of a loss of "
            "this package",
            f"{name!r}, of which it is not known whether more of it is better",
            "Pass `direction='max'` or `direction='min'`.",
        )
    checks.one_of(direction, known, "direction")
    found = keras_tuner.Objective(name, direction)
    warn_of_total(found)
    return found


def warn_of_total(objective: Any) -> None:
    """Warn if an objective, or one of several, contains the penalties."""
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


@functools.cache
def _falling():
    """Return the names of metrics and losses that improve when they fall."""
    ours = {*_names_of_losses(losses), *PENALTIES, "source_transport"}
    readings = {f"{name}_{reading}" for name in ours for reading in READINGS}
    of_keras = {*_names_of_losses(keras.losses), *FALLING} - {*AMBIGUOUS}
    return {*ours, *readings, *of_keras, *OURS}


def _names_of_losses(module):
    """Yield the default names of the losses of a module."""
    for value in vars(module).values():
        if inspect.isclass(value) and issubclass(value, keras.losses.Loss):
            parameter = inspect.signature(value).parameters.get("name")
            default = parameter and parameter.default
            yield default if isinstance(default, str) else default_name(value)
