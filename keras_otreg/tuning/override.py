"""Makes a model bear the way in which a tuner overrides its optimizer."""

import functools
from typing import Any

import keras


def allow_override(model: keras.Model) -> None:
    """Lets KerasTuner compile a model once more.

    To override an optimizer or a loss, KerasTuner compiles a model with
    `metrics=model.metrics`. There Keras also finds what the model logs by
    itself, of which it would compute means over labels, and an inner object of
    its own, which it cannot save. Such a call keeps the metrics as they were.

    Args:
        model: A built `keras.Model`, of which only this instance is changed.
    """
    vars(model)["compile"] = functools.partial(_compile, model)


def _compile(model, *args: Any, **settings: Any) -> None:
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
