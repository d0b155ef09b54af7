"""Files of a `TransferModel`: state beside the weights, and loading."""

import functools
import math
import os
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_otreg import checks, files
from keras_otreg.models.teacher import Teacher, frozen_copy, names_of

# Suffix of a file of weights.
WEIGHTS = ".weights.h5"
# Keys of own variables: the states of random layers, the fingerprint of a
# teacher that is in the file or is not, and the number of optimizer arrays.
RANDOM, TEACHER, APART = "random_state_", "teacher", "teacher_apart"
COUNT = "optimizer_arrays"
# Under which `load_model` hands a `ModelFile` to `from_config`.
GIVEN = "keras_otreg>given_model_file"
# What HDF5 needs beside each array, in bytes: names, groups and gaps.
BESIDE = 16384


class ModelFile:
    """A file while a model is saved to it or loaded from it."""

    def __init__(
        self, has_teacher: bool = True, teacher: keras.Model | None = None
    ):
        self.has_teacher = has_teacher
        self.teacher = teacher
        self._expected: str | None = None

    def close(self) -> None:
        """Ends the saving or loading."""
        self.has_teacher = True

    def teacher_config(self, teacher: Teacher) -> Any:
        """Describes a teacher, or stands for it, in the config of a model."""
        if teacher.model is None or self.has_teacher:
            return keras.saving.serialize_keras_object(teacher.model)
        return {"fingerprint": teacher.fingerprint()}

    def write(self, store: Any, model: Any, teacher: Teacher) -> None:
        """Saves what is in no layer."""
        if teacher.model is not None and self.has_teacher:
            store[TEACHER] = _as_bytes(teacher.full_fingerprint())
        elif teacher.model is not None:
            store[APART] = _as_bytes(teacher.fingerprint())
        optimizer = getattr(model, "optimizer", None)
        usual = keras.optimizers.Optimizer.save_own_variables
        if (
            optimizer is not None
            and optimizer.built
            and type(optimizer).save_own_variables is usual
        ):
            store[COUNT] = np.array(len(optimizer.variables))
        for i, state in enumerate(_random_states(model)):
            store[f"{RANDOM}{i}"] = state

    def read(self, store: Any, model: Any, teacher: Teacher) -> Teacher:
        """Loads what is in no layer."""
        keys = list(store.keys())
        _expect_optimizer(model, store)
        if APART in keys:
            self._expected = bytes(store[APART]).hex()
            self.has_teacher = False
            self.check(teacher)
        elif TEACHER in keys and not teacher.owned:
            self.has_teacher = False
            if teacher.full_fingerprint() != bytes(store[TEACHER]).hex():
                self.has_teacher = True
                copy = frozen_copy(teacher.model)
                teacher = Teacher(
                    copy, teacher.paths, True, teacher.reads_weights
                )
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

    def owners(self, model: Any) -> list[Any]:
        """Models and optimizer whose variables are in the file."""
        teacher = model.teacher if self.has_teacher else None
        return [model, teacher, getattr(model, "optimizer", None)]

    def check(self, teacher: Teacher) -> None:
        """Raises if the file was saved without a teacher, but with another."""
        if self._expected is not None:
            check_teacher(teacher, self._expected)


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


def load_model(
    filepath: str | os.PathLike,
    teacher: keras.Model | str | os.PathLike | None = None,
    *,
    custom_objects: Any = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> keras.Model:
    """Loads a `TransferModel`, with the teacher that its file leaves out.

    For a file with everything in it, `keras.saving.load_model` is enough.

    Args:
        filepath: A `.keras` file.
        teacher: The teacher of a model that was saved with
            `include_teacher=False`: a built `keras.Model`, or the `.keras`
            file of one.
        custom_objects: See `keras.saving.load_model`.
        compile: See `keras.saving.load_model`.
        safe_mode: See `keras.saving.load_model`.

    Returns:
        The model, as it was when it was saved.

    Raises:
        OSError: If a file is damaged.
        ValueError: If the teacher is not the one that the model was trained
            with: if the weights differ that its penalties depend on.

    Example:
        ```python
        model.save("run.keras", include_teacher=False)
        model = otreg.load_model("run.keras", teacher="teacher.keras")
        ```
    """
    if teacher is None:
        return _loaded(filepath, custom_objects, compile, safe_mode)
    if not isinstance(teacher, keras.Model):
        teacher = _loaded(teacher, custom_objects, False, safe_mode)
    file = ModelFile(False, checks.built_model(teacher, "teacher"))
    custom_objects = {**(custom_objects or {}), GIVEN: file}
    try:
        model = _loaded(filepath, custom_objects, compile, safe_mode)
    finally:
        file.close()
    return checks.instance_of(
        model,
        keras.saving.get_registered_object("keras_otreg>TransferModel"),
        f"the model in '{filepath}'",
        "a `keras_otreg.TransferModel`, because a teacher is given",
    )


def given_file() -> ModelFile | None:
    """The file that `load_model` reads, if it was given a teacher."""
    return keras.saving.get_registered_object(GIVEN)


def names_by_part(model: Any) -> dict[str, list[str]]:
    """`names_of` both networks of a `TransferModel`, by its arguments."""
    parts = {"student": model.student, "teacher": model.teacher}
    return {part: names_of(x) for part, x in parts.items() if x is not None}


def room_for(owners: Iterable[Any]) -> int:
    """Bytes that weights take in a file of HDF5, at most."""
    sizes = [
        math.prod(variable.shape) * (8 if "64" in variable.dtype else 4)
        for owner in owners
        if owner is not None
        for variable in owner.variables
    ]
    return sum(sizes) + BESIDE * (len(sizes) + 1)


def values_of(model: Any, teacher: Teacher) -> list[tuple[Any, np.ndarray]]:
    """All variables that a file of weights can change, and their values."""
    variables = list(model.variables)
    if teacher.model is not None and teacher.owned:
        variables += teacher.model.variables
    if model.compiled and model.optimizer is not None:
        variables += model.optimizer.variables
    return [(x, np.array(ops.convert_to_numpy(x))) for x in variables]


def _loaded(filepath, custom_objects, compile, safe_mode):
    files.check_undamaged(filepath)
    return keras.saving.load_model(
        filepath, custom_objects, compile=compile, safe_mode=safe_mode
    )


def _as_bytes(fingerprint):
    return np.frombuffer(bytes.fromhex(fingerprint), "uint8")


def _random_states(model):
    """States of the random numbers of each layer.

    Keras does not save them, and Dropout would begin anew.
    """
    others = [*model.weights, *model.loss_weights.variables]
    known = {id(x) for x in others}
    return [x for x in model.variables if id(x) not in known]


def _expect_optimizer(model, store):
    """Lets the optimizer of a model refuse less than a file said it holds.

    Keras (3.12 to 3.15) would warn, and leave the optimizer as it is. It loads
    the optimizer after the model itself, and calls nothing of ours after that.
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
    if (found := len(store.keys())) != count:
        raise checks.invalid(
            f"the {count} arrays of the optimizer that the file says it holds",
            found,
            "The file is damaged: load an earlier one.",
        )
    optimizer.load_own_variables(store)
