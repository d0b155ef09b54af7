import collections
import pickle
import struct
import sys
import types

import numpy as np
import pytest

from keras_otreg.data.torch_file import read_state_dict


class Storage:
    """Numbers that tensors share, as PyTorch pickles them."""

    def __init__(self, key, kind, numbers):
        self.key, self.kind, self.numbers = key, kind, numbers


class Tensor:
    def __init__(self, rebuild, *view):
        self.rebuild, self.view = rebuild, view

    def __reduce__(self):
        return self.rebuild, (*self.view, False, collections.OrderedDict())


@pytest.fixture
def torch(monkeypatch):
    """The names that PyTorch's files mention, and nothing behind them."""

    def named(module, name):
        def thing():
            pass

        thing.__module__, thing.__qualname__ = module, name
        monkeypatch.setitem(sys.modules, module, types.ModuleType(module))
        return thing

    rebuild = named("torch._utils", "_rebuild_tensor_v2")
    sys.modules["torch._utils"]._rebuild_tensor_v2 = rebuild
    kinds = [named("torch", name) for name in ("FloatStorage", "LongStorage")]
    for kind in kinds:
        setattr(sys.modules["torch"], kind.__qualname__, kind)
    return types.SimpleNamespace(rebuild=rebuild, float=kinds[0], int=kinds[1])


def write(path, state, storages=()):
    class Pickler(pickle.Pickler):
        def persistent_id(self, obj):
            if isinstance(obj, Storage):
                count = len(obj.numbers)
                return "storage", obj.kind, obj.key, "cpu", count, None
            return None

    with path.open("wb") as file:
        for part in (1, 1001, {}, state, [x.key for x in storages]):
            Pickler(file, protocol=2).dump(part)
        for storage in storages:
            file.write(struct.pack("<q", len(storage.numbers)))
            file.write(storage.numbers.tobytes())


@pytest.fixture
def shared(torch):
    return Storage("7", torch.float, np.arange(6, dtype="<f4"))


def test_tensors_keep_their_strides_and_their_place(tmp_path, torch, shared):
    count = Storage("8", torch.int, np.array([5], dtype="<i8"))
    state = {
        "rows": Tensor(torch.rebuild, shared, 0, (2, 3), (3, 1)),
        "columns": Tensor(torch.rebuild, shared, 0, (3, 2), (1, 3)),
        "end": Tensor(torch.rebuild, shared, 4, (2,), (1,)),
        "count": Tensor(torch.rebuild, count, 0, (), ()),
    }
    write(tmp_path / "a.pth", state, [shared, count])
    found = read_state_dict(tmp_path / "a.pth")
    rows = np.arange(6).reshape(2, 3)
    assert list(found) == list(state)
    np.testing.assert_array_equal(found["rows"], rows)
    np.testing.assert_array_equal(found["columns"], rows.T)
    np.testing.assert_array_equal(found["end"], [4, 5])
    assert found["count"] == 5


def test_a_file_that_names_anything_else_is_refused(tmp_path):
    write(tmp_path / "a.pth", {"weight": print})
    with pytest.raises(
        pickle.UnpicklingError, match=r"Received: __builtin__\.pr"
    ):
        read_state_dict(tmp_path / "a.pth")


def test_a_tensor_cannot_reach_outside_its_storage(tmp_path, torch, shared):
    state = {"weight": Tensor(torch.rebuild, shared, 3, (4,), (1,))}
    write(tmp_path / "a.pth", state, [shared])
    with pytest.raises((TypeError, ValueError)):
        read_state_dict(tmp_path / "a.pth")


def test_a_file_that_ends_too_soon_is_refused(tmp_path, torch, shared):
    state = {"weight": Tensor(torch.rebuild, shared, 0, (6,), (1,))}
    write(tmp_path / "a.pth", state, [shared])
    content = (tmp_path / "a.pth").read_bytes()
    (tmp_path / "a.pth").write_bytes(content[:-4])
    with pytest.raises(pickle.UnpicklingError, match="Expected 6 numbers"):
        read_state_dict(tmp_path / "a.pth")
