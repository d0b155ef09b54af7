"""The door by which a model comes back without the teacher in its file."""

import os
from typing import Any

import keras

from keras_otreg import checks, files
from keras_otreg.models.apart import teacher_apart
from keras_otreg.models.transfer_model import TransferModel


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
    options = {"custom_objects": custom_objects, "safe_mode": safe_mode}
    if teacher is None:
        return _loaded(filepath, compile=compile, **options)
    if not isinstance(teacher, keras.Model):
        teacher = _loaded(teacher, compile=False, **options)
    with teacher_apart(checks.built_model(teacher, "teacher")):
        model = _loaded(filepath, compile=compile, **options)
    return checks.instance_of(
        model,
        TransferModel,
        f"the model in '{filepath}'",
        "a `keras_otreg.TransferModel`, because a teacher is given",
    )


def _loaded(filepath, **options):
    checks.undamaged(filepath, files.is_damaged(filepath))
    model = keras.saving.load_model(filepath, **options)
    if isinstance(model, TransferModel):
        model._frozen.is_hidden = False
    return model
