"""Saving and loading a student with its teacher, or without."""

import contextlib
import dataclasses
import math
import os
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_otreg import checks, engine, files
from keras_otreg.models.parts import Wrapper
from keras_otreg.models.teacher import Teacher, frozen_copy, names_of, set_names
from keras_otreg.models.terms import build_optimizer

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


@dataclasses.dataclass
class ModelFile:
    """A file while a model is saved to it or loaded from it."""

    has_teacher: bool = True
    # The one that `load_model` was given.
    teacher: keras.Model | None = None
    # The fingerprint of the teacher that the file leaves out.
    expected: str | None = None


def load_model(
    filepath: str | os.PathLike,
    teacher: keras.Model | str | os.PathLike | None = None,
    *,
    custom_objects: Any = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> keras.Model:
    """Load a `TransferModel` as it was, with a teacher that its file lacks.

    For a file with everything in it, `keras.saving.load_model` is enough.

    Args:
        filepath: A `.keras` file.
        teacher: The teacher of a model that was saved with
            `include_teacher=False`: a built `keras.Model`, or the `.keras`
            file of one.
        custom_objects: As of `keras.saving.load_model`.
        compile: As of `keras.saving.load_model`.
        safe_mode: As of `keras.saving.load_model`.

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

    def load(path, compile, objects):
        files.check_undamaged(path)
        return keras.saving.load_model(path, objects, compile, safe_mode)

    if teacher is None:
        return load(filepath, compile, custom_objects)
    if not isinstance(teacher, keras.Model):
        teacher = load(teacher, False, custom_objects)
    file = ModelFile(False, checks.built_model(teacher, "teacher"))
    objects = {**(custom_objects or {}), GIVEN: file}
    model = load(filepath, compile, objects)
    if isinstance(model, SavedModel):
        model.file = None
    name = f"the model in '{filepath}'"
    expected = "a `keras_otreg.TransferModel`, because a teacher is given"
    return checks.instance_of(model, SavedModel, name, expected)


class SavedModel(Wrapper):
    """The part of a `TransferModel` that saves, loads and exports."""

    inner = "student"
    student: keras.Model
    # The teacher, which is in a file or is not.
    frozen: Teacher
    # The file that the model is being saved to or loaded from.
    file: ModelFile | None = None

    include_teacher = True
    """Whether files hold the teacher too, unless they are told otherwise."""

    @property
    def teacher(self) -> keras.Model | None:
        """The network that the penalties pull towards."""
        return self.frozen.model

    def save(
        self,
        filepath: Any,
        overwrite: bool = True,
        zipped: bool | None = None,
        *,
        include_teacher: bool | None = None,
        **kwargs: Any,
    ) -> None:
        """Save the model; the file is there as a whole or not at all.

        Its arguments are those of `keras.Model.save`, and `include_teacher`:
        whether the file holds the teacher too. If not,
        `keras_otreg.load_model(filepath, teacher)` loads it. By default it is
        what the attribute `include_teacher` says.
        """
        if str(filepath).endswith((".h5", ".hdf5")):
            raise checks.invalid(
                "the path of a .keras file",
                f"'{filepath}', a format that cannot hold a teacher",
                "Save as .keras, or save `model.student` alone.",
            )
        with (
            self._opened(include_teacher),
            files.in_its_place(filepath, overwrite, ".keras") as path,
        ):
            if path is not None:
                super().save(path, overwrite, zipped, **kwargs)

    def save_weights(
        self,
        filepath: Any,
        overwrite: bool = True,
        max_shard_size: float | None = None,
        *,
        include_teacher: bool | None = None,
    ) -> None:
        """Save all weights; the file is there as a whole or not at all.

        Its arguments are those of `keras.Model.save_weights`, and
        `include_teacher` as of `save`: only an equal teacher fits later.
        """
        suffix = WEIGHTS if max_shard_size is None else None
        with (
            self._opened(include_teacher) as file,
            files.in_its_place(filepath, overwrite, suffix) as path,
        ):
            if path is None:
                return
            if path is filepath:
                super().save_weights(path, overwrite, max_shard_size)
                return
            variables = self._variables_in_files(file.has_teacher)
            # In HDF5, at most.
            room = BESIDE * (len(variables) + 1)
            for x in variables:
                room += math.prod(x.shape) * (8 if "64" in x.dtype else 4)
            files.make_sure_of_room(path, room)
            super().save_weights(path, overwrite, max_shard_size)
            files.seal(path)

    def load_weights(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Load what `save_weights` saved; after an error nothing is changed.

        Its arguments are those of `keras.Model.load_weights`.

        Raises:
            OSError: If the file is damaged.
            ValueError: If it does not fit the model, or was saved apart from
                a teacher other than that of the model.
        """
        files.check_undamaged(filepath)
        build_optimizer(self)  # Else Keras leaves out its state.
        teacher = self.frozen
        known = self._variables_in_files(teacher.owned)
        before = [(x, np.array(ops.convert_to_numpy(x))) for x in known]
        with engine.strategy_scope(self), self._opened(True) as file:
            try:
                super().load_weights(filepath, *args, **kwargs)
                # A teacher of other weights is no mismatch to skip.
                if file.expected is not None:
                    check_teacher(self.frozen, file.expected)
            except BaseException:
                for variable, value in before:
                    variable.assign(value)
                if self.frozen is not teacher:
                    self._replace_teacher(teacher)
                raise

    def quantize(self, *args: Any, **kwargs: Any) -> None:
        """Quantise the student alone; see `keras.Model.quantize`."""
        self.student.quantize(*args, **kwargs)

    def save_own_variables(self, store: Any) -> None:
        """Save what is in no layer; Keras calls it first of all."""
        super().save_own_variables(store)
        if self.teacher is not None:
            is_inside = self.file is None or self.file.has_teacher
            digest = bytes.fromhex(self.frozen.fingerprint(of_all=is_inside))
            key = TEACHER if is_inside else APART
            store[key] = np.frombuffer(digest, "uint8")
        optimizer: Any = getattr(self, "optimizer", None)
        usual = keras.optimizers.Optimizer.save_own_variables
        is_built = optimizer is not None and optimizer.built
        if is_built and type(optimizer).save_own_variables is usual:
            store[COUNT] = np.array(len(optimizer.variables))
        for i, state in enumerate(self._random_states()):
            store[f"{RANDOM}{i}"] = state

    def load_own_variables(self, store: Any) -> None:
        """Load what is in no layer; Keras calls it first of all."""
        keys = list(store.keys())
        own = {key: store[key] for key in keys if key.isdecimal()}
        super().load_own_variables(own)
        if getattr(self, "optimizer", None) is not None:
            count = int(np.array(store[COUNT])) if COUNT in keys else None
            _expect_arrays(self.optimizer, count)
        file, teacher = self.file or ModelFile(), self.frozen
        if APART in keys:
            file.has_teacher = False
            file.expected = bytes(store[APART]).hex()
            check_teacher(teacher, file.expected)
        elif TEACHER in keys and not teacher.owned:
            known = bytes(store[TEACHER]).hex()
            file.has_teacher = teacher.fingerprint(of_all=True) != known
            if file.has_teacher:
                copy = frozen_copy(teacher.model)
                new = dataclasses.replace(teacher, model=copy, owned=True)
                self._replace_teacher(new)
        states = self._random_states()
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

    def _random_states(self):
        """States of random layers, which Keras does not save."""
        others = [*self.weights, *self.loss_weights.variables]
        known = {id(x) for x in others}
        return [x for x in self.variables if id(x) not in known]

    def _replace_teacher(self, teacher):
        self.frozen = teacher
        self.find_layers()
        # What is compiled by now knows the other teacher.
        self.make_train_function(force=True)
        self.make_test_function(force=True)

    def _variables_in_files(self, with_teacher):
        """All variables that a file of weights holds."""
        teacher = self.teacher if with_teacher else None
        owners = [self, teacher, getattr(self, "optimizer", None)]
        return [x for one in owners if one is not None for x in one.variables]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, and the policy of precision."""
        serialize = keras.saving.serialize_keras_object
        networks = {"student": self.student, "teacher": self.teacher}
        if self.teacher is not None and self.file and not self.file.has_teacher:
            teacher: Any = {"fingerprint": self.frozen.fingerprint()}
        else:
            teacher = serialize(self.teacher)
        return {
            "student": serialize(self.student),
            "teacher": teacher,
            "penalties": [serialize(penalty) for penalty in self.penalties],
            "source_task": serialize(self.source_task),
            "on_nonfinite": self.on_nonfinite,
            "layer_names": {
                part: names_of(network)
                for part, network in networks.items()
                if network is not None
            },
            "name": self.name,
            "dtype": serialize(self.dtype_policy),
        }

    @classmethod
    def from_config(cls, config: Any, custom_objects: Any = None) -> Any:
        """Build the model that `get_config` described."""
        config = keras.saving.deserialize_keras_object(config, custom_objects)
        policy = config.pop("dtype", None)
        for part, names in config.pop("layer_names", {}).items():
            set_names(config[part], names)
        teacher = config["teacher"]
        file = keras.saving.get_registered_object(GIVEN)
        is_left_out = isinstance(teacher, dict)
        if is_left_out and file is None:
            raise checks.invalid(
                "the teacher of a model that was saved with "
                "include_teacher=False",
                "none",
                "Load the file with `keras_otreg.load_model(filepath, "
                "teacher=...)`, which takes a model or its file.",
            )
        if file is not None and not is_left_out:
            raise checks.invalid(
                "no teacher, because the file holds that of its model",
                "one more",
                "Leave out `teacher`.",
            )
        if file is None:
            model = cls(**config)
            model.frozen.owned = True
        else:
            model = cls(**{**config, "teacher": file.teacher})
            check_teacher(model.frozen, teacher["fingerprint"])
            model.file = file
        # Keras forgets that of a student; loss scaling depends on it.
        model.dtype_policy = policy or model.dtype_policy
        return model

    def __dir__(self) -> list[str]:
        """All names: what Keras is to find when it saves and loads."""
        names = super().__dir__()
        if self.file is None or self.file.has_teacher:
            return names
        return [name for name in names if name != "teacher"]

    @contextlib.contextmanager
    def _opened(self, include_teacher: bool | None) -> Iterator[ModelFile]:
        """Within it, Keras saves or loads one file, with the teacher or not."""
        if include_teacher is None:
            include_teacher = self.include_teacher
        checks.flag(include_teacher, "include_teacher")
        self.file = ModelFile(include_teacher)
        try:
            yield self.file
        finally:
            self.file = None


def check_teacher(teacher: Teacher, expected: str) -> None:
    """Raise unless a teacher has the fingerprint that a file holds."""
    if (received := teacher.fingerprint()) != expected:
        raise checks.invalid(
            "the teacher with which the file was saved, whose weights have, "
            "up to the layers that the penalties read, the fingerprint "
            f"{expected}",
            f"a teacher of fingerprint {received}",
            "Give the model that teacher, or the teacher these weights "
            "(`model.teacher.load_weights(...)`), before you load.",
        )


def _expect_arrays(optimizer, count):
    """Let an optimizer refuse another number of arrays, if there is one.

    Keras (3.12 to 3.15) loads it last, and would warn and leave it as it is.
    """

    def load(store):
        del vars(optimizer)["load_own_variables"]
        if (found := len(store.keys())) != count:
            raise checks.invalid(
                f"the {count} arrays of the optimizer that the file says it "
                "holds",
                found,
                "The file is damaged: load an earlier one.",
            )
        optimizer.load_own_variables(store)

    # One may be left over from a file that was not loaded to its end.
    vars(optimizer).pop("load_own_variables", None)
    if count is not None:
        vars(optimizer)["load_own_variables"] = load
