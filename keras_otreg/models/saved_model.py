"""Saving and loading a student with its teacher, or without."""

import contextlib
import math
import os
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_otreg import checks, engine, files
from keras_otreg.models.model_file import ModelFile, check_teacher
from keras_otreg.models.parts import Wrapper
from keras_otreg.models.teacher import Teacher, names_of, take_names
from keras_otreg.models.terms import build_optimizer

# Suffix of a file of weights.
WEIGHTS = ".weights.h5"
# Under which `load_model` hands a `ModelFile` to `from_config`.
GIVEN = "keras_otreg>given_model_file"
# What HDF5 needs beside each array, in bytes: names, groups and gaps.
BESIDE = 16384


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

    def load(path, custom_objects, compile):
        files.check_undamaged(path)
        return keras.saving.load_model(path, custom_objects, compile, safe_mode)

    if teacher is None:
        return load(filepath, custom_objects, compile)
    if not isinstance(teacher, keras.Model):
        teacher = load(teacher, custom_objects, False)
    file = ModelFile(False, checks.built_model(teacher, "teacher"))
    model = load(filepath, {**(custom_objects or {}), GIVEN: file}, compile)
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
        """Saves the model; the file is there as a whole or not at all.

        Its arguments are those of `keras.Model.save`, and `include_teacher`:
        whether the file holds the teacher too. If not,
        `keras_otreg.load_model(filepath, teacher)` loads it. By default it is
        what the attribute `include_teacher` says.
        """
        if str(filepath).endswith((".h5", ".hdf5")):
            raise checks.invalid(
                "the path of a .keras file",
                f"'{filepath}', of a format of Keras 2, which cannot hold a "
                "teacher",
                "Save as .keras, or the student alone: "
                "`model.student.save(path)`.",
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
        """Saves all weights; the file is there as a whole or not at all.

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
            files.make_sure_of_room(path, _size_of(variables))
            super().save_weights(path, overwrite, max_shard_size)
            files.seal(path)

    def load_weights(
        self, filepath: Any, skip_mismatch: bool = False, **kwargs: Any
    ) -> None:
        """Loads what `save_weights` saved; after an error nothing is changed.

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
                super().load_weights(filepath, skip_mismatch, **kwargs)
                # A teacher of other weights is no mismatch to skip.
                if file.expected is not None:
                    check_teacher(self.frozen, file.expected)
            except BaseException:
                for variable, value in before:
                    variable.assign(value)
                if self.frozen is not teacher:
                    self._replace_teacher(teacher)
                raise

    def quantize(
        self, mode: Any = None, config: Any = None, **kwargs: Any
    ) -> None:
        """Quantises the student; see `keras.Model.quantize`.

        What only training needs stays as it is.
        """
        self.student.quantize(mode, config=config, **kwargs)

    def save_own_variables(self, store: Any) -> None:
        """Saves what is in no layer; Keras calls it first of all."""
        super().save_own_variables(store)
        (self.file or ModelFile()).write(store, self, self.frozen)

    def load_own_variables(self, store: Any) -> None:
        """Loads what is in no layer; Keras calls it first of all."""
        keys = list(store.keys())
        own = {key: store[key] for key in keys if key.isdecimal()}
        super().load_own_variables(own)
        file = self.file or ModelFile()
        teacher = file.read(store, self, self.frozen)
        if teacher is not self.frozen:
            self._replace_teacher(teacher)

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
        """Returns the constructor's arguments, and the policy of precision."""
        serialize = keras.saving.serialize_keras_object
        teacher = self.teacher
        networks = {"student": self.student, "teacher": teacher}
        if teacher is not None and self.file and not self.file.has_teacher:
            described: Any = {"fingerprint": self.frozen.fingerprint()}
        else:
            described = serialize(teacher)
        return {
            "student": serialize(self.student),
            "teacher": described,
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
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> "SavedModel":
        """Builds the model that `get_config` described."""
        config = keras.saving.deserialize_keras_object(config, custom_objects)
        policy = config.pop("dtype", None)
        for part, names in config.pop("layer_names", {}).items():
            take_names(config[part], names)
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


def _size_of(variables):
    """Bytes that variables take in a file of HDF5, at most."""
    sizes = [
        math.prod(x.shape) * (8 if "64" in x.dtype else 4) for x in variables
    ]
    return sum(sizes) + BESIDE * (len(sizes) + 1)
