"""How a model with a teacher is written to files, and read from them."""

import contextlib
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_otreg import checks, engine, files
from keras_otreg.features.taps import input_spec
from keras_otreg.models import apart, optimizer_state
from keras_otreg.models.frozen import FrozenNetwork, frozen_copy
from keras_otreg.models.layer_names import names_by_part, take_names
from keras_otreg.models.room import room_for
from keras_otreg.saving import Composed

WEIGHTS = ".weights.h5"
# Beside weights a file holds how far random numbers have got, and the
# fingerprint of the teacher, which is in the file or apart.
RANDOM, TEACHER, APART = "random_state_", "teacher", "teacher_apart"


class Saved(Composed):
    """The methods by which Keras saves and loads, for a `TransferModel`."""

    include_teacher = True
    """Whether files hold the teacher too, unless they are told otherwise."""

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

        Args:
            filepath: See `keras.Model.save`.
            overwrite: See `keras.Model.save`.
            zipped: See `keras.Model.save`.
            include_teacher: Whether the file holds the teacher too. If not,
                `keras_otreg.load_model(filepath, teacher)` loads it. By
                default, what the attribute `include_teacher` says.
            **kwargs: See `keras.Model.save`.
        """
        checks.no_file_of_keras_2(filepath)
        with (
            self._teacher_in_file(include_teacher),
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

        Args:
            filepath: See `keras.Model.save_weights`.
            overwrite: See `keras.Model.save_weights`.
            max_shard_size: See `keras.Model.save_weights`.
            include_teacher: As of `save`; only an equal teacher fits later.
        """
        suffix = WEIGHTS if max_shard_size is None else None
        with (
            self._teacher_in_file(include_teacher),
            files.in_its_place(filepath, overwrite, suffix) as path,
        ):
            if path is filepath:
                super().save_weights(path, overwrite, max_shard_size)
            elif path is not None:
                files.make_sure_of_room(path, room_for(self._owners()))
                super().save_weights(path, overwrite, max_shard_size)
                files.seal(path)

    def load_weights(
        self, filepath: Any, skip_mismatch: bool = False, **kwargs: Any
    ) -> None:
        """Loads what `save_weights` saved; after an error nothing is changed.

        Args:
            filepath: See `keras.Model.load_weights`.
            skip_mismatch: See `keras.Model.load_weights`.
            **kwargs: See `keras.Model.load_weights`.

        Raises:
            OSError: If the file is damaged.
            ValueError: If it does not fit the model, or was saved apart from
                a teacher other than that of the model.
        """
        checks.undamaged(filepath, files.is_damaged(filepath))
        with (
            engine.strategy_scope(self),
            self._frozen.shown(),
            self._all_or_nothing(),
        ):
            self._expected = None
            super().load_weights(filepath, skip_mismatch, **kwargs)
            if skip_mismatch and self._expected is not None:
                # A teacher of other weights is no mismatch to skip.
                self._check_teacher(self._expected)

    def export(
        self,
        filepath: Any,
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> None:
        """Exports the prediction of the student; see `keras.Model.export`."""
        inputs = input_spec(self.student)
        if input_signature is None and inputs is not None:
            # Keras knows that of a subclassed model only once it was called.
            input_signature = [keras.tree.map_structure(_as_input, inputs)]
        super().export(filepath, format, verbose, input_signature, **kwargs)

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
        self._frozen.is_hidden = apart.is_apart()
        if self.teacher is not None:
            name = bytes.fromhex(self._teacher_fingerprint(apart.is_apart()))
            key = APART if apart.is_apart() else TEACHER
            store[key] = np.frombuffer(name, "uint8")
        optimizer_state.note(self, store)
        for i, state in enumerate(self._random_states()):
            store[f"{RANDOM}{i}"] = state

    def load_own_variables(self, store: Any) -> None:
        """Loads what is in no layer; Keras calls it first of all."""
        keys = list(store.keys())
        own = {key: store[key] for key in keys if key.isdecimal()}
        super().load_own_variables(own)
        optimizer_state.expect(self, store)
        if APART in keys:
            self._expected = bytes(store[APART]).hex()
            self._check_teacher(self._expected)
            self._frozen.is_hidden = True
        elif TEACHER in keys and not self._frozen.is_ours:
            self._take_teacher(bytes(store[TEACHER]).hex())
        states = self._random_states()
        found = [key for key in keys if key.startswith(RANDOM)]
        checks.random_states(len(found), len(states))
        for i, state in enumerate(states):
            state.assign(store[f"{RANDOM}{i}"])

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, and the policy of precision."""
        serialize = keras.saving.serialize_keras_object
        return {
            "student": serialize(self.student),
            "teacher": self._teacher_config(),
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
    ) -> "Saved":
        """Builds the model that `get_config` described."""
        config = cls.rebuilt(config, custom_objects)
        policy = config.pop("dtype", None)
        for part, names in config.pop("layer_names", {}).items():
            take_names(config[part], names)
        model = cls._of_config(config)
        # Keras forgets that of a student; loss scaling depends on it.
        model.dtype_policy = policy or model.dtype_policy
        return model

    @classmethod
    def _of_config(cls, config):
        given = apart.given_teacher()
        expected = apart.fingerprint_in(config["teacher"])
        checks.one_teacher(expected is not None, given is not None)
        if expected is None:
            model = cls(**config)
            model._frozen.is_ours = True
            return model
        model = cls(**{**config, "teacher": given})
        model._check_teacher(expected)
        return model

    def __dir__(self) -> list[str]:
        """All names: what Keras is to find when it saves and loads."""
        hidden = {"teacher"} if self._frozen.is_hidden else set()
        return [name for name in super().__dir__() if name not in hidden]

    def _teacher_in_file(self, include_teacher):
        """Within it, Keras saves the teacher too or leaves it out."""
        if include_teacher is None:
            include_teacher = self.include_teacher
        stack = contextlib.ExitStack()
        stack.enter_context(self._frozen.shown())
        if not checks.flag(include_teacher, "include_teacher"):
            stack.enter_context(apart.teacher_apart())
        return stack

    def _owners(self):
        teacher = None if apart.is_apart() else self.teacher
        owners = self, teacher, getattr(self, "optimizer", None)
        return [x for x in owners if x is not None]

    def _teacher_config(self):
        if self.teacher is not None and apart.is_apart():
            return apart.left_out(self._teacher_fingerprint(is_apart=True))
        return keras.saving.serialize_keras_object(self.teacher)

    def _teacher_fingerprint(self, is_apart):
        """Of all weights, or of those that the penalties depend on."""
        if self.teacher is None:
            return "none"
        paths = {penalty.teacher_at for penalty in self.penalties}
        return self._frozen.fingerprint(sorted(paths) if is_apart else [])

    def _check_teacher(self, fingerprint):
        received = self._teacher_fingerprint(is_apart=True)
        checks.same_teacher(received, fingerprint)

    def _take_teacher(self, fingerprint):
        """Gets ready to load a teacher; the caller's must stay as it is."""
        if self._teacher_fingerprint(is_apart=False) == fingerprint:
            self._frozen.is_hidden = True
            return
        self._frozen = FrozenNetwork(frozen_copy(self.teacher), is_ours=True)
        # What is compiled by now knows the other teacher.
        self.make_train_function(force=True)
        self.make_test_function(force=True)

    def _random_states(self):
        """How far the random numbers of each layer have got.

        Keras does not save them, and Dropout would begin anew.
        """
        others = [*self.weights, *self.loss_weights.variables]
        known = {id(x) for x in others}
        return [x for x in self.variables if id(x) not in known]

    @contextlib.contextmanager
    def _all_or_nothing(self):
        frozen, variables = self._frozen, list(self.variables)
        if frozen.is_ours:
            variables += self.teacher.variables
        optimizer_state.build(self)  # Else Keras leaves out its state.
        if self.compiled and self.optimizer is not None:
            variables += self.optimizer.variables
        values = [np.array(ops.convert_to_numpy(x)) for x in variables]
        try:
            yield
        except BaseException:
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
            self._frozen = frozen
            raise


def _as_input(x):
    return keras.InputSpec(shape=(None, *x.shape[1:]), dtype=x.dtype)
