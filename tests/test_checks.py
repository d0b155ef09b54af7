"""Checks return what is right, and word what is wrong.

An error says what is wrong, what was expected and what was received.
"""

import dataclasses

import keras
import numpy as np
import pytest

from keras_otreg import checks, losses, ot


@dataclasses.dataclass
class UnhashableSolver:
    """Equal to others of its kind, and so without a hash."""

    def __call__(self, problem, init=None):
        raise NotImplementedError


SCHEDULE = keras.optimizers.schedules.CosineDecay(1.0, 10)
LOSS = keras.losses.MeanSquaredError()
ACCEPTED = {
    "one_of": [("a", {"a", "b"}, "x"), ("b", ("a", "b"), "x")],
    "instance_of": [(1, int, "x", "an int"), ("a", (int, str), "x", "either")],
    "positive": [(1e-30, "x"), (5, "x"), (np.float32(0.5), "x")],
    "non_negative": [(0, "x"), (0.0, "x"), (1e30, "x"), (np.int64(3), "x")],
    "some_layers": [(["a"], "x"), (["a", "b"], "x")],
    "count": [(1, "x"), (np.int64(7), "x"), (3.0, "x")],
    "layer_path": [("pool", "at"), ("a/b", "at"), ("a#1", "at")],
    "known_layer": [("a/b", ["a", "a/b"], "model")],
    "solver": [(ot.Sinkhorn(),), (ot.ProximalPoint(),)],
    "labelled_batch": [((1, 2),), ((1, 2, 3),)],
    "loss": [(LOSS,), (losses.RepresentationTransport(),)],
    "weight": [(0.0,), (2,), (SCHEDULE,)],
    "single_tensor": [(np.ones((2, 3)), "a"), (np.ones((2, 3, 4)), "a")],
}
WRONG_NUMBERS = [-1.0, np.nan, np.inf, -np.inf, "1", None, True, [1.0], 1j]
REFUSED = {
    "one_of": [(value, ("a", "b"), "x") for value in ("c", None, 1, ["a"])],
    "instance_of": [("1", int, "x", "an int"), (None, int, "x", "an int")],
    "positive": [(value, "x") for value in (0, 0.0, *WRONG_NUMBERS)],
    "non_negative": [(value, "x") for value in WRONG_NUMBERS],
    "some_layers": [(x, "x") for x in ([], {}, "", 3, None, [3], [""])],
    "count": [(value, "x") for value in (0, 1.5, *WRONG_NUMBERS)],
    "layer_path": [(value, "at") for value in ("", " ", "/", " / ", None, 1)],
    "solver": [
        (value,)
        for value in (ot.Sinkhorn, "sinkhorn", None, 3, UnhashableSolver())
    ],
    "labelled_batch": [(np.ones((3, 2)),), ((np.ones((3, 2)),),)],
    "loss": [(value,) for value in ("mse", None, keras.losses.Loss, len)],
    "weight": [(value,) for value in (*WRONG_NUMBERS, lambda step: 1.0)],
    "finite_array": [
        (value, "x", 2)
        for value in (
            np.ones(3),
            np.ones((0, 2)),
            np.array([[np.nan]]),
            np.array([[-np.inf, 1.0]]),
            np.array([["a"]]),
            np.array([[None]]),
        )
    ],
    "equal_features": [((7, 3), (7, 4))],
    "equal_channels": [((7, 3), (7, 4), "Use another.")],
    "unique": [(["a", "b", "a"], "penalties", "Rename one.")],
    "single_tensor": [
        ([np.ones((2, 3))] * 2, "a"),
        ({"p": np.ones((2, 3))}, "a"),
        (np.ones(2), "a"),
        (np.ones(()), "a"),
        (None, "a"),
    ],
    "built_model": [
        (keras.Sequential([keras.layers.Dense(2)]), "student"),
        (keras.layers.Dense(2), "student"),
        (None, "student"),
        ("resnet", "student"),
    ],
}


def cases(table):
    return [
        pytest.param(name, arguments, id=f"{name}-{k}")
        for name, calls in table.items()
        for k, arguments in enumerate(calls)
    ]


@pytest.mark.parametrize(("name", "arguments"), cases(ACCEPTED))
def test_what_is_right_comes_back(name, arguments):
    value = getattr(checks, name)(*arguments)
    assert np.all(value == arguments[0])


@pytest.mark.parametrize(("name", "arguments"), cases(REFUSED))
def test_what_is_wrong_is_said_with_what_was_expected(name, arguments):
    with pytest.raises(ValueError, match="(?i)received") as error:
        getattr(checks, name)(*arguments)
    message = str(error.value)
    assert "expect" in message.lower() or "cannot" in message
    named = [x for x in arguments[1:] if x in ("x", "at", "student")]
    assert all(f"`{name}`" in message for name in named)


@pytest.mark.parametrize("name", ["positive", "non_negative", "count"])
def test_a_number_comes_back_as_one_of_python(name):
    value = getattr(checks, name)(np.float32(2.0), "x")
    assert type(value) is (int if name == "count" else float)


def test_names_that_differ_are_unique():
    checks.unique(iter(["a", "b", "A"]), "penalties", "")


def test_a_wrong_name_is_answered_with_near_ones_first():
    known = ["stem", "backbone/block1_out", "backbone/block2_out", "head"]
    with pytest.raises(ValueError, match="Near matches") as error:
        checks.known_layer("block2_out", known, "net")
    message = str(error.value)
    assert "'backbone/block2_out'" in message.split("Near matches")[1]
    assert "'net'" in message
    with pytest.raises(ValueError, match="no layer") as error:
        checks.known_layer("zzz", iter(known), "net")
    assert "Near matches" not in str(error.value)
    assert "the 4 paths" in str(error.value)


def test_a_built_model_comes_back():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    assert checks.built_model(model, "student") is model


def test_an_error_says_what_was_expected_what_came_and_what_helps():
    error = checks.invalid("a path", 3, "Name it.", argument="at")
    told = "Invalid value for argument `at`. Expected a path. Received: 3. "
    assert str(error) == told + "Name it."
    assert str(checks.invalid("a path", 3)) == "Expected a path. Received: 3"
