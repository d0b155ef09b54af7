"""Records what layers return, while a model runs."""

import contextlib
import contextvars
import functools
import threading
from collections.abc import Iterable, Iterator
from typing import Any

# Each thread, and so each replica of a distributed step, has its own record.
_record: contextvars.ContextVar[dict[int, list[Any]] | None] = (
    contextvars.ContextVar("record", default=None)
)
_lock = threading.Lock()
_users: dict[int, int] = {}


@contextlib.contextmanager
def recording(layers: Iterable[Any]) -> Iterator[dict[int, list[Any]]]:
    """Within the block, records every output of some layers.

    The layers are left as they were found, also after an error.

    Args:
        layers: Keras layers.

    Yields:
        For the `id` of each layer, the list of the outputs of its calls.
    """
    layers = list({id(layer): layer for layer in layers}.values())
    record: dict[int, list[Any]] = {id(layer): [] for layer in layers}
    for layer in layers:
        _watch(layer)
    token = _record.set(record)
    try:
        yield record
    finally:
        _record.reset(token)
        for layer in layers:
            _unwatch(layer)


def _watch(layer):
    with _lock:
        users = _users.get(id(layer), 0)
        _users[id(layer)] = users + 1
        if users == 0:
            # Into the instance's dictionary, past the tracking of Keras.
            vars(layer)["call"] = _recorded(layer, layer.call)


def _unwatch(layer):
    with _lock:
        _users[id(layer)] -= 1
        if _users[id(layer)] == 0:
            del _users[id(layer)]
            original = vars(layer).pop("call").__wrapped__
            if original != getattr(layer, "call"):  # noqa: B009
                vars(layer)["call"] = original


def _recorded(layer, call):
    @functools.wraps(call)
    def recorded_call(*args, **kwargs):
        outputs = call(*args, **kwargs)
        record = _record.get()
        if record is not None and id(layer) in record:
            record[id(layer)].append(outputs)
        return outputs

    return recorded_call
