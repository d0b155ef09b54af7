"""Fine-tuning under penalties, as KerasTuner's search sees it."""

import functools
import os
import weakref
from collections.abc import Callable
from typing import Any

import keras
import keras_tuner

from keras_otreg import checks
from keras_otreg.models import TransferModel
from keras_otreg.tuning.objective import warn_of_total
from keras_otreg.tuning.override import allow_override


class TransferHyperModel(keras_tuner.HyperModel):
    """A `TransferModel` for each trial of a search, all with one teacher.

    Works with every tuner of KerasTuner. Give the tuner an objective from
    `keras_otreg.tuning.objective`: `val_loss` contains the penalties, and a
    search for the smallest would only find the smallest weight.

    Args:
        build_student: A function from `hp`, the hyperparameters of a trial, to
            a new, built `keras.Model`. For the same initial weights in all
            trials, load them or call `keras.utils.set_random_seed` in it.
        teacher: A `keras.Model`, the path of a saved one, or a function
            without arguments that returns one. It is loaded once, when first
            needed. If not given, a copy of each student as it was built.
        penalties: A function from `hp` to `Penalty` objects.
        compile: A function of `hp` and the `TransferModel` that compiles it.
            If not given, `build_student` returns a compiled model, as it would
            for KerasTuner alone, and the `TransferModel` is compiled with
            copies of what that one was compiled with.
        source_task: A function from `hp` to a new `SourceTask`, if there is
            one.

    Example:
        ```python
        hypermodel = otreg.tuning.TransferHyperModel(
            lambda hp: keras.saving.load_model("with_new_head.keras"),
            penalties=lambda hp: [
                otreg.tuning.transport_space(hp, at=["stage3", "avg_pool"])
            ],
            compile=lambda hp, model: model.compile(
                keras.optimizers.Adam(hp.Choice("rate", [1e-4, 1e-3])),
                "sparse_categorical_crossentropy",
                metrics=["accuracy"],
            ),
        )
        tuner = keras_tuner.BayesianOptimization(
            hypermodel, otreg.tuning.objective("val_accuracy"), max_trials=20
        )
        tuner.search(train, validation_data=validation, epochs=10)
        tuner.get_best_models()[0].student.save("fine_tuned.keras")
        ```
    """

    def __init__(
        self,
        build_student: Callable[[Any], keras.Model],
        teacher: Any = None,
        penalties: Callable[[Any], Any] = lambda hp: (),
        *,
        compile: Callable[[Any, Any], None] | None = None,
        source_task: Callable[[Any], Any] = lambda hp: None,
    ):
        super().__init__()
        self.build_student = build_student
        self.penalties = penalties
        self.compile = compile or _compile_as_student
        self.source_task = source_task
        self._teacher = teacher
        self._last_weights: Any = {}

    @functools.cached_property
    def teacher(self) -> keras.Model | None:
        """The network that all trials share; `None` for a copy in each."""
        teacher = self._teacher
        if isinstance(teacher, (str, os.PathLike)):
            return keras.saving.load_model(teacher, compile=False)
        if callable(teacher) and not isinstance(teacher, keras.Model):
            return teacher()
        return teacher

    def build(self, hp: keras_tuner.HyperParameters) -> TransferModel:
        """Builds and compiles the model of a trial.

        Args:
            hp: Its hyperparameters.

        Returns:
            A `TransferModel`.

        Raises:
            ValueError: If the student shares weights with the last one, or
                does not fit its teacher and penalties.
        """
        student = self.build_student(hp)
        self._check_new(checks.built_model(student, "build_student(hp)"))
        model = TransferModel(
            student,
            self.teacher,
            self.penalties(hp),
            source_task=self.source_task(hp),
        )
        allow_override(model)
        self.compile(hp, model)
        return model

    def fit(
        self,
        hp: keras_tuner.HyperParameters,
        model: keras.Model,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """Trains the model of a trial; warns of a misleading objective.

        Args:
            hp: Its hyperparameters.
            model: What `build` returned.
            *args: What `search` was given.
            **kwargs: What `search` was given, and the tuner's callbacks.

        Returns:
            The history of `model.fit`.

        Raises:
            OSError: If a file cannot be read or written: the next trial would
                fare no better, so the search ends.
        """
        if model.penalties:
            # The callback that keeps the best epoch knows the objective.
            for callback in kwargs.get("callbacks") or ():
                warn_of_total(getattr(callback, "objective", None))
        try:
            return super().fit(hp, model, *args, **kwargs)
        except OSError as error:
            raise _FatalOSError(str(error)) from error

    def _check_new(self, student):
        known, weights = self._last_weights, student.trainable_variables
        shared = [
            weight.path
            for weight in weights
            if id(weight) in known and known[id(weight)]() is weight
        ]
        try:
            checks.untrained(shared)
        except ValueError as error:
            # KerasTuner takes any other error for a trial that went wrong.
            raise keras_tuner.errors.FatalValueError(str(error)) from error
        self._last_weights = {id(x): weakref.ref(x) for x in weights}


class _FatalOSError(keras_tuner.errors.FatalError, OSError):
    """An error that KerasTuner does not take for that of one trial."""


def _compile_as_student(hp, model):
    checks.compiled(model.student)
    model.compile_from_config(model.student.get_compile_config())
