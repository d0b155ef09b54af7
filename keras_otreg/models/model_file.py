"""What a file of a `TransferModel` holds beside the weights of its layers."""

import dataclasses
import functools
from typing import Any

import keras
import numpy as np

from keras_otreg import checks
from keras_otreg.models.teacher import Teacher, frozen_copy

# Keys of own variables: the states of random layers, the fingerprint of a
# teacher that is in the file or is not, and the number of optimizer arrays.
RANDOM, TEACHER, APART = "random_state_", "teacher", "teacher_apart"
COUNT = "optimizer_arrays"


@dataclasses.dataclass
class ModelFile:
    """A file while a model is saved to it or loaded from it."""

    has_teacher: bool = True
    # The one that `load_model` was given.
    teacher: keras.Model | None = None
    # The fingerprint of the teacher that the file leaves out.
    expected: str | None = None

    def write(self, store: Any, model: Any, teacher: Teacher) -> None:
        """Saves what is in no layer."""
        if teacher.model is not None and self.has_teacher:
            store[TEACHER] = _as_bytes(teacher.fingerprint(of_all=True))
        elif teacher.model is not None:
            store[APART] = _as_bytes(teacher.fingerprint())
        optimizer: Any = getattr(model, "optimizer", None)
        usual = keras.optimizers.Optimizer.save_own_variables
        is_built = optimizer is not None and optimizer.built
        if is_built and type(optimizer).save_own_variables is usual:
            store[COUNT] = np.array(len(optimizer.variables))
        for i, state in enumerate(_random_states(model)):
            store[f"{RANDOM}{i}"] = state

    def read(self, store: Any, model: Any, teacher: Teacher) -> Teacher:
        """Loads what is in no layer; returns the teacher to use from now on."""
        keys = list(store.keys())
        _expect_optimizer(model, store)
        if APART in keys:
            self.has_teacher = False
            self.expected = bytes(store[APART]).hex()
            check_teacher(teacher, self.expected)
        elif TEACHER in keys and not teacher.owned:
            known = bytes(store[TEACHER]).hex()
            self.has_teacher = teacher.fingerprint(of_all=True) != known
            if self.has_teacher:
                copy = frozen_copy(teacher.model)
                reads = teacher.reads_weights
                teacher = Teacher(copy, teacher.paths, True, reads)
        states = _random_states(model)
        found = [key for key in keys if key.startswith(RANDOM)]
        if len(found) != len(states):
            raise checks.invalid(
                f"the states of {len(states)} random layers, such as Dropout, "
                "as the model has",
                f"a file that holds {len(found)}",
                "Build the model as it was when it was saved.",
            )
        for i, state in enumerate(states):
            state.assign(store[f"{RANDOM}{i}"])
        return teacher


def check_teacher(teacher: Teacher, expected: str) -> None:
    """Raise unless a teacher has the fingerprint that a file holds."""
    if (received := teacher.fingerprint()) != expected:
        raise checks.invalid(
            "the teacher with which the file was saved, whose weights have, "
            "up to the layers that the penalties read, the fingerprint "
            f"{expected}",
            f"a teacher of fingerprint {received}",
            "Give the model that teacher, or give the teacher its weights "
            "(`model.teacher.load_weights(...)`), before you load. With "
            "include_teacher=True a file holds both.",
        )


def _as_bytes(fingerprint):
    return np.frombuffer(bytes.fromhex(fingerprint), "uint8")


def _random_states(model):
    """States of random layers, which Keras does not save."""
    others = [*model.weights, *model.loss_weights.variables]
    known = {id(x) for x in others}
    return [x for x in model.variables if id(x) not in known]


def _expect_optimizer(model, store):
    """Lets an optimizer refuse less than a file said it holds.

    Keras (3.12 to 3.15) loads it last, and would warn and leave it as it is.
    """
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        return
    # Left over from a file that was not loaded to its end.
    vars(optimizer).pop("load_own_variables", None)
    if COUNT in list(store.keys()):
        count = int(np.array(store[COUNT]))
        load = functools.partial(_load_whole, optimizer, count)
        vars(optimizer)["load_own_variables"] = load


def _load_whole(optimizer, count, store):
    del vars(optimizer)["load_own_variables"]
    if (found := len(store.keys())) != count:
        raise checks.invalid(
            f"the {count} arrays of the optimizer that the file says it holds",
            found,
            "The file is damaged: load an earlier one.",
        )
    optimizer.load_own_variables(store)
