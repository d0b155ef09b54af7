"""Recording and replacement of layer outputs while a model runs."""

import contextlib
import contextvars
import functools
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

# Each thread, and so each replica of a distributed step, has its own records;
# a model that is run inside another one's `call` adds one more.
_records: contextvars.ContextVar[tuple[dict[int, list[Any]], ...]] = (
    contextvars.ContextVar("records", default=())
)
_changes: contextvars.ContextVar[dict[int, Callable[[Any], Any]]] = (
    contextvars.ContextVar("changes", default={})  # noqa: B039
)
_lock = threading.Lock()
_users: dict[int, int] = {}
# Keras calls one of the first two, or goes through the third.
_METHODS = ("call", "quantized_call", "rematerialized_call")


@contextlib.contextmanager
def recording(layers: Iterable[Any]) -> Iterator[dict[int, list[Any]]]:
    """Record every output of some layers, in lists by the `id` of the layer.

    The layers are left as they were found, also after an error. They are not
    rematerialised in the block: no gradient comes back through their insides.
    """
    layers = list({id(layer): layer for layer in layers}.values())
    record: dict[int, list[Any]] = {id(layer): [] for layer in layers}
    for layer in layers:
        _watch(layer)
    token = _records.set((*_records.get(), record))
    try:
        yield record
    finally:
        _records.reset(token)
        for layer in layers:
            _unwatch(layer)


@contextlib.contextmanager
def changing(layer: Any, change: Callable[[Any], Any]) -> Iterator[None]:
    """Have a layer return `change(outputs)` within the block."""
    with recording([layer]):
        token = _changes.set({**_changes.get(), id(layer): change})
        try:
            yield
        finally:
            _changes.reset(token)


def _watch(layer):
    with _lock:
        users = _users.get(id(layer), 0)
        _users[id(layer)] = users + 1
        if users == 0:
            # Into the instance's dictionary, past the tracking of Keras.
            call, quantized = layer.call, layer.quantized_call
            vars(layer)["call"] = _recorded(layer, call)
            vars(layer)["quantized_call"] = _recorded(layer, quantized)
            vars(layer)["rematerialized_call"] = _as_it_is


def _unwatch(layer):
    with _lock:
        _users[id(layer)] -= 1
        if _users[id(layer)] == 0:
            del _users[id(layer)]
            original = vars(layer)["call"].__wrapped__
            for method in _METHODS:
                del vars(layer)[method]
            if original != layer.call:
                # The caller had put a method of its own there.
                vars(layer)["call"] = original


def _recorded(layer, call):
    @functools.wraps(call)
    def recorded_call(*args, **kwargs):
        outputs = call(*args, **kwargs)
        if id(layer) in _changes.get():
            outputs = _changes.get()[id(layer)](outputs)
        for record in _records.get():
            if id(layer) in record:
                record[id(layer)].append(outputs)
        return outputs

    return recorded_call


def _as_it_is(function, *args, **kwargs):
    del args, kwargs
    return function
