"""Errors about files of models."""

from typing import Any


def undamaged(path: Any, is_damaged: bool) -> None:
    """Raises if a file is not what was written."""
    if is_damaged:
        # Of the kind after which `BackupAndRestore` tries its second file.
        raise OSError(
            f"Expected '{path}' to hold what was written to it. Received: a "
            "file that does not agree with its checksum, because it is cut "
            "off or was changed. Use an earlier file."
        )


def no_file_of_keras_2(path: Any) -> None:
    """Raises if a model is to be saved in a format that loses its teacher."""
    if str(path).endswith((".h5", ".hdf5")):
        raise ValueError(
            "Expected the path of a .keras file. Received: "
            f"'{path}', of a format of Keras 2, which cannot hold a teacher. "
            "Save as .keras, or the student alone: `model.student.save(path)`."
        )


def same_teacher(received: str, expected: str) -> None:
    """Raises unless a teacher has the fingerprint that a file holds."""
    if received != expected:
        raise ValueError(
            "Expected the teacher with which the file was saved, whose weights "
            "have, up to the layers that the penalties read, the fingerprint "
            f"{expected}. Received: a teacher of fingerprint {received}. Give "
            "the model that teacher, or give the teacher its weights "
            "(`model.teacher.load_weights(...)`), before you load. With "
            "include_teacher=True a file holds both."
        )


def one_teacher(is_left_out: bool, is_given: bool) -> None:
    """Raises unless a teacher is given where the file leaves it out."""
    if is_left_out and not is_given:
        raise ValueError(
            "Expected the teacher of a model that was saved with "
            "include_teacher=False. Received: none. Load the file with "
            "`keras_otreg.load_model(filepath, teacher=...)`, which takes a "
            "model or its file."
        )
    if is_given and not is_left_out:
        raise ValueError(
            "Expected no teacher, because the file holds that of its model. "
            "Received: one more. Leave out `teacher`."
        )


def random_states(received: int, expected: int) -> None:
    """Raises unless a file holds as many random states as a model has."""
    if received != expected:
        raise ValueError(
            f"Expected the states of {expected} random layers, such as "
            f"Dropout, as the model has. Received: a file that holds "
            f"{received}. Build the model as it was when it was saved."
        )


def whole_optimizer(received: int, expected: int) -> None:
    """Raises unless a file holds all that it said of an optimizer."""
    if received != expected:
        raise ValueError(
            f"Expected the {expected} arrays of the optimizer that the file "
            f"says it holds. Received: {received}. The file is damaged: load "
            "an earlier one."
        )
