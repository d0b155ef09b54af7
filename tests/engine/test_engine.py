"""One interface to TensorFlow, JAX and PyTorch."""

import ast
import pathlib

import keras
import numpy as np
import pytest
from keras import ops
from numpy.testing import assert_allclose

from keras_otreg import engine

FOLDER = pathlib.Path(engine.__file__).parent
FILES = [x for x in FOLDER.glob("*.py") if x.stem not in ("__init__", "base")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_an_engine_offers_what_all_engines_offer(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    (kind,) = (x for x in tree.body if getattr(x, "name", "") == "Engine")
    methods = {x.name for x in kind.body if isinstance(x, ast.FunctionDef)}
    assert {"gradients", "gate_gradient"} <= methods
    assert methods <= set(dir(engine.Engine))


def test_a_backend_without_a_file_gets_the_plain_engine(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "numpy")
    assert type(engine.current.__wrapped__()) is engine.Engine


def test_a_name_that_no_engine_has_is_refused():
    with pytest.raises(AttributeError, match="'complied'"):
        engine.complied(len)


def test_gradients_are_of_each_scalar_in_each_tensor():
    def function(tensors):
        x, y = tensors
        return [ops.sum(x * x), ops.sum(y), ops.ones(())], {"x": x}

    x, y = ops.convert_to_tensor([1.0, 2.0]), ops.ones((3,))
    found, others = engine.gradients(function, [x, y])
    in_x, in_y = zip(*found, strict=True)
    expected_in_x = [[2.0, 4.0], [0.0, 0.0], [0.0, 0.0]]
    expected_in_y = [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]
    assert_allclose(ops.convert_to_numpy(ops.stack(in_x)), expected_in_x)
    assert_allclose(ops.convert_to_numpy(ops.stack(in_y)), expected_in_y)
    assert_allclose(others["x"], [1.0, 2.0])


def test_an_update_assigns_what_the_function_returns():
    variable = keras.Variable([1.0, 2.0], dtype="float32")
    update = engine.in_place_update(
        lambda x, value: (value + x,), [variable], jit_compile=False
    )
    update(ops.convert_to_tensor([10.0, 20.0]))
    assert_allclose(ops.convert_to_numpy(variable.value), [11.0, 22.0])


def test_a_recomputed_function_has_the_same_gradients(value_and_gradients):
    def function(x, y):
        return ops.sum(x * x * y)

    arguments = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    recomputed = engine.remat(function, jit_compile=False)
    value, gradients = value_and_gradients(recomputed)(*arguments)
    assert_allclose(ops.convert_to_numpy(value), 19.0)
    assert_allclose(ops.convert_to_numpy(gradients[0]), [6.0, 16.0])
    assert_allclose(ops.convert_to_numpy(gradients[1]), [1.0, 4.0])
