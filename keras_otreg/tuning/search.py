"""Searches in one call, and their results as a table."""

import contextlib
import io
import pathlib
import sys
from collections.abc import Iterator
from typing import Any

import keras
import keras_tuner

from keras_otreg import checks
from keras_otreg.files import DAMAGE
from keras_otreg.tuning.objective import objective


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
    with _whole_search(folder), contextlib.redirect_stdout(told):
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


@contextlib.contextmanager
def _whole_search(folder: pathlib.Path) -> Iterator[None]:
    """Raise an error with a way out if an earlier search is damaged."""
    if not any(folder.glob("tuner*.json")):
        # What is raised is of the hypermodel, which is built.
        yield
        return
    try:
        (folder / "oracle.json").stat()
        yield
    except (*DAMAGE, AttributeError, RuntimeError) as error:
        raise checks.invalid(
            f"'{folder}' to be empty, or to hold an earlier search",
            f"a file that is damaged or missing ({error!r})",
            "Delete the folder to search anew, or give another one",
        ) from error
