"""Saving and loading a student with its teacher, or without."""

import contextlib
from typing import Any

import keras

from keras_otreg import checks, engine, files
from keras_otreg.models.model_file import (
    WEIGHTS,
    ModelFile,
    check_teacher,
    given_file,
    names_by_part,
    room_for,
    values_of,
)
from keras_otreg.models.parts import Wrapper, rebuilt
from keras_otreg.models.steps import build_optimizer
from keras_otreg.models.teacher import Teacher, take_names


class SavedModel(Wrapper):
    """The part of a `TransferModel` that saves, loads and exports.

    Attributes:
        student: The network that is trained, saved and exported.
        frozen: The teacher, which is in a file or is not.
        file: The file that the model is being saved to or loaded from.
    """

    inner = "student"
    student: keras.Model
    frozen: Teacher
    file: ModelFile | None = None

    include_teacher = True
    """Whether files hold the teacher too, unless they are told otherwise."""

    def find_layers(self) -> None:
        """Finds what penalties read in both networks, after a change too."""

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
            if path is filepath:
                super().save_weights(path, overwrite, max_shard_size)
            elif path is not None:
                files.make_sure_of_room(path, room_for(file.owners(self)))
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
        teacher, before = self.frozen, values_of(self, self.frozen)
        with engine.strategy_scope(self), self._opened(True) as file:
            try:
                super().load_weights(filepath, skip_mismatch, **kwargs)
                # A teacher of other weights is no mismatch to skip.
                file.check(self.frozen)
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
        file = self.file or ModelFile()
        file.write(store, self, self.frozen)

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

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, and the policy of precision."""
        file = self.file or ModelFile()
        serialize = keras.saving.serialize_keras_object
        return {
            "student": serialize(self.student),
            "teacher": file.teacher_config(self.frozen),
            "penalties": [serialize(penalty) for penalty in self.penalties],
            "source_task": serialize(self.source_task),
            "on_nonfinite": self.on_nonfinite,
            "layer_names": names_by_part(self),
            "name": self.name,
            "dtype": serialize(self.dtype_policy),
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> "SavedModel":
        """Builds the model that `get_config` described."""
        config = rebuilt(config, custom_objects)
        policy = config.pop("dtype", None)
        for part, names in config.pop("layer_names", {}).items():
            take_names(config[part], names)
        file, teacher = given_file(), config["teacher"]
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
    def _opened(self, include_teacher):
        """Within it, Keras saves or loads one file, with the teacher or not."""
        if include_teacher is None:
            include_teacher = self.include_teacher
        checks.flag(include_teacher, "include_teacher")
        self.file = ModelFile(include_teacher)
        try:
            yield self.file
        finally:
            self.file = None
