"""Networks in files, and why one of them cannot be read."""

import pathlib
import re
import textwrap
import zipfile

import keras
import numpy as np

# How Keras words it that a file needs Python code, which it does not hold.
OWN_CODE = re.compile(
    r"(?:Could not (?:locate|deserialize) \w+ '|deserialization of a `)(\w+)"
)
LONGEST = 300


def network_in(path: pathlib.Path, role: str) -> keras.Model:
    """Load a network from a `.keras` file, for a role that an error names.

    If it has one output, that is a tensor.
    """
    if not path.is_file():
        raise OSError(f"no {role} {path}: expected a .keras file")
    try:
        model = keras.saving.load_model(path, compile=False)
    except Exception as error:
        reason = _reason(path, str(error))
        raise OSError(f"cannot read the {role} {path}: {reason}") from error
    if not model.built:
        raise OSError(f"cannot use the {role} {path}: it is not built")
    broken = _broken(model)
    if broken is not None:
        raise OSError(
            f"cannot use the {role} {path}: {broken} holds NaN or infinity, "
            "as after a training that diverged"
        )
    return _without_names(model)


def _without_names(model):
    """The same network, if its only output is under a name the tensor alone."""
    outputs = getattr(model, "outputs", None) or []
    if len(outputs) != 1 or isinstance(model, keras.Sequential):
        return model
    if not keras.tree.is_nested(model.output):
        return model
    return keras.Model(model.input, outputs[0], name=model.name)


def _broken(model):
    """Path of the first weight that is not finite, if there is one."""
    for weight in model.weights:
        if not np.all(np.isfinite(keras.ops.convert_to_numpy(weight))):
            return weight.path
    return None


def _reason(path, told):
    """Why a file is not read, in one line; Keras shows whole configurations."""
    if path.suffix == ".keras" and not zipfile.is_zipfile(path):
        return (
            "it is no Keras model, or a part of one; expected what "
            "`model.save` has written"
        )
    own = OWN_CODE.search(told)
    if own is not None:
        return (
            f"it needs {own[1]}, which is Python code of its author and which "
            "the command line cannot import. Train with the library in Python"
        )
    return textwrap.shorten(told, LONGEST, placeholder=" ...")
