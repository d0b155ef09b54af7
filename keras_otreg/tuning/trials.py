"""What came out of a search, as data."""

from typing import Any

import keras_tuner


def trials(tuner: keras_tuner.Tuner) -> list[dict[str, Any]]:
    """The trials of a search as a table, in the order of `get_best_models`.

    Args:
        tuner: A tuner, also one that found an earlier search in its directory.
            Of several workers, ask the chief.

    Returns:
        A row for each trial: its id under `"trial"`, its `"status"`, its
        `"score"` (`None` if it did not finish), then its hyperparameters by
        name. All rows have the same keys; a hyperparameter that a trial did
        not have is `None`.

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
