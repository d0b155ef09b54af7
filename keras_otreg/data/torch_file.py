"""Reads weights that PyTorch saved, without PyTorch."""

import collections
import math
import os
import pathlib
import pickle
import pickletools
import struct
from typing import Any, NamedTuple

import numpy as np

# What PyTorch writes. Others call more, or ask for memory that nothing fills.
OPCODES = frozenset(
    (
        *("APPEND", "APPENDS", "BINGET", "BININT", "BININT1", "BININT2"),
        *("BINPERSID", "BINPUT", "BINUNICODE", "BUILD", "EMPTY_DICT"),
        *("EMPTY_LIST", "EMPTY_TUPLE", "GLOBAL", "LONG1", "LONG_BINGET"),
        *("LONG_BINPUT", "MARK", "NEWFALSE", "NEWTRUE", "NONE", "PROTO"),
        *("REDUCE", "SETITEM", "SETITEMS", "STOP", "TUPLE", "TUPLE1"),
        *("TUPLE2", "TUPLE3"),
    )
)


def read_state_dict(path: Any) -> dict[str, np.ndarray]:
    """Reads the arrays of a `.pth` file as PyTorch wrote it before 1.6.

    Nothing in the file is executed: it may name tensors, and whatever else it
    names is refused. So is what asks for more memory than the file has bytes.

    Args:
        path: Path of the file.

    Returns:
        Arrays by their names, in the order of the file.

    Raises:
        pickle.UnpicklingError: If the file is of another kind.
        OSError: If it cannot be read.
    """
    with pathlib.Path(path).open("rb") as file:
        try:
            return _arrays(file)
        except (OSError, pickle.UnpicklingError):
            raise
        except Exception as error:
            # A file that lies may break any step.
            reason = f"{path}, which ends in {type(error).__name__}: {error}"
            raise _refused(reason) from error


class _Kind(NamedTuple):
    """What a file calls the type of a storage."""

    dtype: np.dtype


class _View:
    """Makes a tensor on its storage; nothing can be attached to it."""

    __slots__ = ()

    def __call__(self, storage, offset, shape, strides, *_):
        # Strides need not be those of the shape.
        if not isinstance(storage, np.ndarray):
            raise _refused(f"a tensor on {type(storage).__name__}")
        if math.prod(shape) > storage.size:
            raise _refused(f"shape {shape} on {storage.size} numbers")
        step = storage.itemsize
        strides = [stride * step for stride in strides]
        # Unlike `as_strided`, this refuses what would lie outside the storage.
        return np.ndarray(shape, storage.dtype, storage, offset * step, strides)


KNOWN = {
    "collections.OrderedDict": collections.OrderedDict,
    "torch._utils._rebuild_tensor_v2": _View(),
    "torch.FloatStorage": _Kind(np.dtype("<f4")),
    "torch.LongStorage": _Kind(np.dtype("<i8")),
}


class _Tensors(pickle.Unpickler):
    """Unpickles tensors as views of storages that are not filled yet."""

    def __init__(self, file: Any, room: int):
        super().__init__(file)
        self.storages: dict[str, np.ndarray] = {}
        self.room = room

    def find_class(self, module, name):
        found = KNOWN.get(f"{module}.{name}")
        if found is None:
            raise _refused(f"{module}.{name}")
        return found

    def persistent_load(self, pid):
        _, kind, key, _, size, _ = pid
        if not isinstance(kind, _Kind):
            raise _refused(f"a storage of {kind!r}")
        if key not in self.storages:
            self.room -= size * kind.dtype.itemsize
            if size < 0 or self.room < 0:
                raise _refused(f"a storage of {size} numbers, too many")
            self.storages[key] = np.zeros(size, kind.dtype)
        return self.storages[key]


def _arrays(file):
    size = os.fstat(file.fileno()).st_size
    for _ in range(3):  # A magic number, the version and the platform.
        _load(_Tensors(file, 0), file, size)
    tensors = _Tensors(file, size)
    arrays = _load(tensors, file, size)
    for key in _load(_Tensors(file, 0), file, size):
        _fill(tensors.storages[key], file)
    if all(isinstance(x, np.ndarray) for x in arrays.values()):
        return arrays
    raise _refused("what is not a tensor")


def _load(unpickler, file, size):
    """Unpickles the next part of a file, after a look at its opcodes."""
    start = file.tell()
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name not in OPCODES:
            raise _refused(f"opcode {opcode.name}")
        if opcode.name.endswith("PUT") and argument > size:
            raise _refused(f"{argument} memos")
    file.seek(start)
    return unpickler.load()


def _fill(storage, file):
    (size,) = struct.unpack("<q", file.read(8))
    if size != len(storage) or file.readinto(storage) != storage.nbytes:
        raise pickle.UnpicklingError(
            f"Expected {len(storage)} numbers. Received: {size}, or fewer"
        )


def _refused(what):
    return pickle.UnpicklingError(
        f"Expected a file of tensors, as PyTorch wrote them before 1.6. "
        f"Received: {what}"
    )
