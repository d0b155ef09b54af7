"""Reads weights that PyTorch saved, without PyTorch."""

import collections
import pathlib
import pickle
import struct
from typing import Any

import numpy as np


def read_state_dict(path: Any) -> dict[str, np.ndarray]:
    """Reads the arrays of a `.pth` file as PyTorch wrote it before 1.6.

    Nothing in the file is executed: it may name tensors, and whatever else it
    names is refused.

    Args:
        path: Path of the file.

    Returns:
        Arrays by their names, in the order of the file.

    Raises:
        pickle.UnpicklingError: If the file is of another kind.
    """
    with pathlib.Path(path).open("rb") as file:
        for _ in range(3):  # A magic number, the version and the platform.
            _Tensors(file).load()
        tensors = _Tensors(file)
        arrays, keys = tensors.load(), pickle.Unpickler(file).load()
        for key in keys:
            _fill(tensors.storages[key], file)
    return arrays


class _Tensors(pickle.Unpickler):
    """Unpickles tensors as views of storages that are not filled yet."""

    def __init__(self, file: Any):
        super().__init__(file)
        self.storages: dict[str, np.ndarray] = {}

    def find_class(self, module, name):
        known = {
            "collections.OrderedDict": collections.OrderedDict,
            "torch._utils._rebuild_tensor_v2": _view,
            "torch.FloatStorage": np.dtype("<f4"),
            "torch.LongStorage": np.dtype("<i8"),
        }
        found = known.get(f"{module}.{name}")
        if found is None:
            raise pickle.UnpicklingError(
                f"Expected a file of tensors. Received: {module}.{name}"
            )
        return found

    def persistent_load(self, pid):
        _, dtype, key, _, size, _ = pid
        return self.storages.setdefault(key, np.zeros(size, dtype))


def _view(storage, offset, shape, strides, *_):
    """A tensor on its storage; strides need not be those of its shape."""
    step = storage.itemsize
    strides = [stride * step for stride in strides]
    # Unlike `as_strided`, this refuses what would lie outside the storage.
    return np.ndarray(shape, storage.dtype, storage, offset * step, strides)


def _fill(storage, file):
    (size,) = struct.unpack("<q", file.read(8))
    if size != len(storage) or file.readinto(storage) != storage.nbytes:
        raise pickle.UnpicklingError(
            f"Expected {len(storage)} numbers. Received: {size}, or fewer"
        )
