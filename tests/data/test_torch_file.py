import collections
import os
import pickle
import struct
import sys
import types
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings, strategies

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
    return pytorch_names(monkeypatch)


def pytorch_names(monkeypatch):
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
    with pytest.raises(pickle.UnpicklingError):
        read_state_dict(tmp_path / "a.pth")


def test_a_file_that_ends_too_soon_is_refused(tmp_path, torch, shared):
    state = {"weight": Tensor(torch.rebuild, shared, 0, (6,), (1,))}
    write(tmp_path / "a.pth", state, [shared])
    content = (tmp_path / "a.pth").read_bytes()
    (tmp_path / "a.pth").write_bytes(content[:-4])
    with pytest.raises(pickle.UnpicklingError, match="Expected 6 numbers"):
        read_state_dict(tmp_path / "a.pth")


class Call:
    """Pickles as a call, the way in which hostile files run code."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def touch(tmp_path):
    return Call(os.system, f"touch {tmp_path / 'owned'}")


def parts(*hostile):
    """A file whose parts are pickles, the given ones at the end."""
    first = [1, 1001, {}, {}, []][: 5 - len(hostile)]
    written = [pickle.dumps(x, protocol=2) for x in first]
    return b"".join([*written, *hostile])


@pytest.mark.parametrize("part", range(5))
def test_no_part_of_a_file_runs_anything(tmp_path, part):
    pickles = [pickle.dumps(x, protocol=2) for x in (1, 1001, {}, {}, [])]
    pickles[part] = pickle.dumps(touch(tmp_path), protocol=2)
    (tmp_path / "a.pth").write_bytes(b"".join(pickles))
    # It is a file that would do harm.
    pickle.loads(pickles[part])  # noqa: S301
    (tmp_path / "owned").unlink()
    with pytest.raises(pickle.UnpicklingError, match=r"Received: posix\.sys"):
        read_state_dict(tmp_path / "a.pth")
    assert not (tmp_path / "owned").exists()


STORAGE = (
    b"(X\x07\x00\x00\x00storage%sX\x01\x00\x00\x007X\x03\x00\x00\x00cpu%sNtQ"
)
FLOATS = b"ctorch\nFloatStorage\n"
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"
ONE, MANY = b"K\x01", b"\x8a\x06\x00\x00\x00\x00\x00\x10"


@pytest.mark.parametrize(
    ("hostile", "received"),
    [
        (b"\x80\x02cbuiltins\neval\nX\x03\x00\x00\x001+1\x85R.", "builtins"),
        (b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.", "opcode"),
        (b"\x80\x02cbuiltins.eval\n__call__\n.", "builtins"),
        (b"Pos.system\n.", "opcode PERSID"),
        (b"\x80\x02(ios\nsystem\n.", "opcode INST"),
        (b"\x80\x02\x82\x01.", "opcode EXT1"),
        (b"\x80\x02" + STORAGE % (b"X\x01\x00\x00\x00O", ONE) + b".", "'O'"),
        (
            b"\x80\x02"
            + STORAGE % (b"ccollections\nOrderedDict\n", ONE)
            + b".",
            "OrderedDict",
        ),
        (b"\x80\x02" + STORAGE % (FLOATS, MANY) + b".", "too many"),
        (b"\x80\x02" + STORAGE % (FLOATS, b"J\xff\xff\xff\xff") + b".", "-1"),
        (b"\x80\x02K\x07Q.", "non-iterable"),
        (b"\x80\x02Nr\xff\xff\xff\x7f.", "memos"),
        (b"\x80\x02\x8e\x00\x00\x00\x00\x00\x01\x00\x00.", "MemoryError"),
        (b"\x80\x02" + REBUILD + b"K\x01K\x00))tR.", "a tensor on|MARK"),
        (
            b"\x80\x02" + REBUILD + b"}X\x01\x00\x00\x00aK\x01sb.",
            "attribute|not is",
        ),
        (b"\x80\x02}X\x01\x00\x00\x00aK\x01s.", "not a tensor"),
        (b"\x80\x02]K\x01a.", "values"),
        (b"", "STOP|pickle"),
        (b"PK\x03\x04" + bytes(60), "PERSID|newline"),
    ],
)
def test_a_hostile_part_is_refused(tmp_path, hostile, received):
    content = parts(hostile, pickle.dumps([], protocol=2))
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(pickle.UnpicklingError, match=received):
        read_state_dict(tmp_path / "a.pth")


def test_a_storage_cannot_be_looked_at_larger_than_it_is(
    tmp_path, torch, shared
):
    state = {"weight": Tensor(torch.rebuild, shared, 0, (2**40,), (0,))}
    write(tmp_path / "a.pth", state, [shared])
    with pytest.raises(pickle.UnpicklingError, match="on 6 numbers"):
        read_state_dict(tmp_path / "a.pth")


def test_a_file_of_todays_pytorch_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pth", "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps(touch(tmp_path)))
    whole = (tmp_path / "a.pth").read_bytes()
    for content in (whole, whole[: len(whole) // 2], whole[:3], b""):
        (tmp_path / "a.pth").write_bytes(content)
        with pytest.raises(pickle.UnpicklingError, match="before 1.6"):
            read_state_dict(tmp_path / "a.pth")
    assert not (tmp_path / "owned").exists()


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    position=strategies.integers(0, 10**6),
    values=strategies.binary(min_size=1, max_size=8),
)
def test_a_damaged_file_is_read_or_refused(good_file, position, values):
    path, content = good_file
    position %= len(content)
    damaged = content[:position] + values + content[position + len(values) :]
    path.write_bytes(damaged)
    try:
        found = read_state_dict(path)
    except pickle.UnpicklingError:
        return
    assert sum(x.size for x in found.values()) <= len(content)


@pytest.fixture(scope="module")
def good_file(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        names = pytorch_names(patch)
        storage = Storage("7", names.float, np.arange(6, dtype="<f4"))
        state = {"a": Tensor(names.rebuild, storage, 0, (2, 3), (3, 1))}
        path = tmp_path_factory.mktemp("torch") / "a.pth"
        write(path, state, [storage])
    return path, path.read_bytes()
