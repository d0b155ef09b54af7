"""Registration, configuration and `repr` of the objects of this package."""

import base64
import inspect
import types
from typing import Any

import keras
import numpy as np

EMPTY = inspect.Parameter.empty
VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)

export = keras.saving.register_keras_serializable(package="keras_otreg")


class Configurable:
    """Gives an object a `repr`, and the two methods by which Keras saves it.

    An argument of the constructor is read from the attribute of its name, or
    of its name behind an underscore, or with `_name` at its end.
    """

    def __repr__(self) -> str:
        given = _arguments(self)
        parameters = _parameters(type(self))
        required = {x for x in given if parameters[x].default is EMPTY}
        try:
            # Defaults may stand for other values, as `None` for a solver.
            plain = type(self)(**{name: given[name] for name in required})
        except Exception:
            # A subclass may refuse what it keeps: a repr never fails.
            required, plain = set(given), self
        shown = [
            f"{name}={_shown(value)}"
            for name, value in given.items()
            if name in required or not _equal(value, _attribute(plain, name))
        ]
        return f"{type(self).__name__}({', '.join(shown)})"

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {k: _serialized(x) for k, x in _arguments(self).items()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Build the object that `get_config` described."""
        return cls(**{key: _rebuilt(value) for key, value in config.items()})


def _parameters(cls):
    """Parameters of a constructor by name, also those that it passes on."""
    found: dict[str, inspect.Parameter] = {}
    for kind in cls.__mro__:
        if "__init__" not in vars(kind):
            continue
        _, *parameters = inspect.signature(kind.__init__).parameters.values()
        for parameter in parameters:
            if parameter.kind not in VARIADIC:
                found.setdefault(parameter.name, parameter)
        if all(x.kind is not x.VAR_KEYWORD for x in parameters):
            break
    return found


def _arguments(obj):
    """The arguments of an object, as far as its attributes hold them."""
    return {
        name: _attribute(obj, name)
        for name in _parameters(type(obj))
        if hasattr(obj, name) or hasattr(obj, f"_{name}")
    }


def _serialized(value):
    if isinstance(value, np.ndarray):
        return encode_array(value)
    if isinstance(value, (list, tuple)):
        return [_serialized(x) for x in value]
    if hasattr(value, "get_config"):
        return keras.saving.serialize_keras_object(value)
    return value


def _rebuilt(value):
    if isinstance(value, (list, tuple)):
        return [_rebuilt(x) for x in value]
    if not isinstance(value, dict):
        return value
    if "class_name" in value:
        return keras.saving.deserialize_keras_object(value)
    return decode_array(value) if "base64" in value else value


def _attribute(obj, name):
    found = (x for x in (f"_{name}", f"{name}_name") if x in vars(obj))
    return getattr(obj, next(found, name))


def _equal(value, other):
    arrays = isinstance(value, np.ndarray) or isinstance(other, np.ndarray)
    return np.array_equal(value, other) if arrays else value == other


def _shown(value):
    """An argument in a `repr`: arrays by their shape, functions by name."""
    if isinstance(value, np.ndarray):
        return f"array(shape={value.shape}, dtype={value.dtype.name})"
    if isinstance(value, types.FunctionType):
        return value.__qualname__
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_shown, value))}]"
    if type(value).__repr__ is object.__repr__:
        # Objects of Keras, such as schedules, have no words for themselves.
        config = getattr(value, "get_config", dict)().items()
        arguments = ", ".join(f"{name}={x!r}" for name, x in config)
        return f"{type(value).__name__}({arguments})"
    return repr(value)


def encode_array(array: np.ndarray) -> dict[str, Any]:
    """Describe an array in JSON, exactly, in 4/3 of its bytes."""
    array = np.asarray(array)
    little_endian = array.astype(array.dtype.newbyteorder("<"))
    return {
        "dtype": array.dtype.name,
        "shape": list(array.shape),
        "base64": base64.b64encode(little_endian.tobytes()).decode("ascii"),
    }


def decode_array(value: Any) -> np.ndarray:
    """Rebuild what `encode_array` described; pass anything else on."""
    if not isinstance(value, dict):
        try:
            return keras.ops.convert_to_numpy(value)
        except ValueError:
            # Rows of unequal lengths: the reader says what it expects.
            return np.asarray(value, dtype=object)
    dtype = np.dtype(value["dtype"])
    raw = base64.b64decode(value["base64"])
    array = np.frombuffer(raw, dtype.newbyteorder("<")).astype(dtype)
    return array.reshape(value["shape"])


def copy_own_variables(layer: keras.Layer, other: keras.Layer) -> None:
    """Give a layer the state that another would have in a file."""
    store: dict[str, Any] = {}
    other.save_own_variables(store)
    # Their values: two variables may hold one array of JAX, which is gone for
    # both once a step has been given it.
    layer.load_own_variables(
        {key: keras.ops.convert_to_numpy(x) for key, x in store.items()}
    )
