"""The state of an optimizer: there before it is used, and whole in files."""

import functools
from typing import Any

import keras
import numpy as np

from keras_otreg import checks, engine

# In a file of weights: how many arrays of the optimizer it holds.
COUNT = "optimizer_arrays"


def build(model: Any) -> None:
    """Makes the variables of the optimizer of a model, if it has none yet."""
    optimizer = model.optimizer if model.compiled else None
    if optimizer is not None and not optimizer.built:
        with engine.strategy_scope(model):
            optimizer.build(model.trainable_variables)


def note(model: Any, store: Any) -> None:
    """Notes in a file how much of the optimizer of a model it will hold.

    Of one that saves in a way of its own nothing is noted.
    """
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None or not optimizer.built:
        return
    usual = keras.optimizers.Optimizer.save_own_variables
    if type(optimizer).save_own_variables is usual:
        store[COUNT] = np.array(len(optimizer.variables))


def expect(model: Any, store: Any) -> None:
    """Lets the optimizer of a model refuse less than a file said it holds.

    Keras would warn, and leave the optimizer as it is.
    """
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        return
    # Left over from a file that was not loaded to its end.
    vars(optimizer).pop("load_own_variables", None)
    if COUNT in list(store.keys()):
        count = int(np.array(store[COUNT]))
        vars(optimizer)["load_own_variables"] = functools.partial(
            _load_whole, optimizer, count
        )


def _load_whole(optimizer, count, store):
    del vars(optimizer)["load_own_variables"]
    checks.whole_optimizer(len(store.keys()), count)
    optimizer.load_own_variables(store)
