"""Hypermodel of KerasTuner for fine-tuning under penalties."""

import functools
import os
import weakref
from collections.abc import Callable
from typing import Any

import keras
import keras_tuner

from keras_otreg import checks
from keras_otreg.models import TransferModel
from keras_otreg.tuning.search import warn_of_total


class TransferHyperModel(keras_tuner.HyperModel):
    """A `TransferModel` for each trial of a search, all with one teacher.

    Works with every tuner of KerasTuner. Give the tuner an objective from
    `keras_otreg.tuning.objective`: `val_loss` contains the penalties, and a
    search for the smallest would only find the smallest weight.

    Args:
        build_student: A function from `hp`, the hyperparameters of a trial, to
            a new, built `keras.Model`. For the same initial weights in all
            trials, load them or call `keras.utils.set_random_seed` in it.
        teacher: A `keras.Model`, the path of a saved one, or a function that
            returns one, when first needed. If not given, a copy of each
            student as it was built.
        penalties: A function from `hp` to `Penalty` objects.
        compile: A function of `hp` and the `TransferModel` that compiles it.
            If not given, `build_student` returns a compiled model, and the
            `TransferModel` is compiled as that one was.
        source_task: A function from `hp` to a new `SourceTask`, if there is
            one.

    Example:
        ```python
        hypermodel = otreg.tuning.TransferHyperModel(
            lambda hp: keras.saving.load_model("with_new_head.keras"),
            penalties=lambda hp: [otreg.tuning.transport_space(hp)],
        )
        tuner = keras_tuner.BayesianOptimization(
            hypermodel, otreg.tuning.objective("val_accuracy"), max_trials=20
        )
        tuner.search(train, validation_data=validation, epochs=10)
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
        self._last_weights: list[Any] = []

    @functools.cached_property
    def teacher(self) -> keras.Model | None:
        """The network that all trials share; `None` for a copy in each."""
        teacher = self._teacher
        if isinstance(teacher, (str, os.PathLike)):
            return keras.saving.load_model(teacher, compile=False)
        is_made = callable(teacher) and not isinstance(teacher, keras.Model)
        return teacher() if is_made else teacher

    def build(self, hp: keras_tuner.HyperParameters) -> TransferModel:
        """Build and compile the `TransferModel` of a trial.

        Raise a `ValueError` if the student shares weights with the last one,
        or does not fit its teacher and penalties.
        """
        student = self.build_student(hp)
        self._check_new(checks.built_model(student, "build_student(hp)"))
        model = TransferModel(
            student,
            self.teacher,
            self.penalties(hp),
            source_task=self.source_task(hp),
        )
        # KerasTuner compiles it again for another optimizer or loss, with
        # `metrics=model.metrics`, among which are the model's own logs.
        attributes: Any = vars(model)
        attributes["compile"] = functools.partial(_compile_again, model)
        self.compile(hp, model)
        return model

    def fit(
        self,
        hp: keras_tuner.HyperParameters,
        model: keras.Model,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """Train the model of a trial; warn of a misleading objective.

        The arguments are those of KerasTuner. An `OSError` ends the search:
        the next trial would fare no better.
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
        weights = student.trainable_variables
        last = {id(known()) for known in self._last_weights}
        shared = [weight.path for weight in weights if id(weight) in last]
        if shared:
            # KerasTuner takes any other error for a trial that went wrong.
            raise keras_tuner.errors.FatalValueError(
                "Expected `build_student` to return a model with weights of "
                "its own, or a trial would go on from where the last one "
                f"ended. Received: a model that shares {len(shared)} trainable "
                f"weights with the last one, such as {shared[:3]}. Build or "
                "load all of it inside `build_student`, or copy what is shared "
                "with `keras.models.clone_model` and `set_weights`."
            )
        self._last_weights = [weakref.ref(x) for x in weights]


class _FatalOSError(keras_tuner.errors.FatalError, OSError):
    """An error that ends the search, and not only one trial."""


def _compile_as_student(hp, model):
    student = model.student
    if not student.compiled:
        raise checks.invalid(
            "`compile=`, a function of the hyperparameters and the model that "
            "compiles it, or a `build_student` that returns a compiled model",
            f"model '{student.name}', which is not compiled",
        )
    model.compile_from_config(student.get_compile_config())


def _compile_again(model, *args: Any, **settings: Any) -> None:
    """Compile a model, whose own metrics stand for those that it has."""
    own = {id(metric) for metric in model.metrics}
    metrics = keras.tree.flatten(settings.get("metrics"))
    if any(id(metric) in own for metric in metrics):
        del settings["metrics"]
        before = model.get_compile_config()
        settings = {**keras.saving.deserialize_keras_object(before), **settings}
    type(model).compile(model, *args, **settings)
    # A checkpoint holds the state of the optimizer, and with it the step that
    # schedules depend on: it needs variables to be loaded into.
    model.optimizer.build(model.trainable_variables)
