"""The library below Keras: TensorFlow, JAX or PyTorch, behind one interface.

Its names are the methods of `Engine`, in `base.py`, such as
`engine.compiled(function)`. A file named after a Keras backend holds a subclass
`Engine` with what differs there, and alone imports its library. Other backends
get the methods of `base.py`.
"""

import functools
import importlib
import importlib.util
from typing import Any

import keras

from keras_otreg.engine.base import Engine

__all__ = ["Engine", "current"]


@functools.cache
def current() -> Engine:
    """Return the engine of the backend that Keras was imported with."""
    name = f"{__name__}.{keras.backend.backend()}"
    if importlib.util.find_spec(name) is None:
        return Engine()
    return importlib.import_module(name).Engine()


def __getattr__(name: str) -> Any:
    # At its first use: the engine is not chosen before it is needed.
    if name.startswith("_") or not hasattr(Engine, name):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals().setdefault(name, getattr(current(), name))
