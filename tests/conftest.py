import collections
import os
import pathlib
import subprocess
import sys
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest
from keras import ops

import keras_otreg
from keras_otreg import engine
from keras_otreg.ot import fixed_plan, solvers

BACKEND = keras.backend.backend()
PROGRAMS = (
    (solvers, "_program"),
    (fixed_plan, "planner"),
    (fixed_plan, "column_costs"),
)


def pytest_configure(config):
    """Makes float64 and NumPy's assertions work as they do on TensorFlow.

    A warning fails a test of the default suite on TensorFlow alone.
    """
    if BACKEND != "tensorflow" or "not slow" not in config.option.markexpr:
        config.addinivalue_line("filterwarnings", "default")
    if BACKEND == "jax":
        import jax

        jax.config.update("jax_enable_x64", True)
    if BACKEND == "torch":
        _let_numpy_read_torch()


def pytest_collection_modifyitems(config, items):
    """Skips what is marked as nothing for the backend.

    Tests marked `release` run only where `-m` names them, also slow ones.
    """
    for cases in _cases(items, "repeats"):
        for item in cases[1:-1]:
            item.add_marker(pytest.mark.release)
    expression = config.option.markexpr
    if expression and "release" not in expression:
        later = [x for x in items if x.get_closest_marker("release")]
        config.hook.pytest_deselected(items=later)
        items[:] = [x for x in items if not x.get_closest_marker("release")]
    reasons = {
        "tensorflow": f"TensorFlow's alone; the backend is {BACKEND}",
        "float64": f"Keras takes means in float32 on {BACKEND}",
    }
    if BACKEND == "jax":
        reasons["schedules"] = "Keras on JAX shows no loss the step's number"
    for item in items if BACKEND != "tensorflow" else ():
        for marker in reasons.keys() & item.keywords:
            item.add_marker(pytest.mark.skip(reason=reasons[marker]))


def _cases(items, marker):
    """Cases of each test with a marker, in their order."""
    found = collections.defaultdict(list)
    for item in items:
        if item.get_closest_marker(marker):
            found[item.parent, item.originalname].append(item)
    return found.values()


@pytest.fixture(autouse=True)
def fresh_session():
    """Layer names start from zero in every test.

    Outside of eager execution Keras leaves TensorFlow's kernels alone. Each
    test would spend some 10 ms on loading them again.
    """
    if BACKEND == "tensorflow":
        with mock.patch("tensorflow.executing_eagerly", return_value=False):
            keras.utils.clear_session(free_memory=False)
    else:
        keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(0)
    # A command that was told to be quiet leaves it off.
    keras.config.enable_interactive_logging()


@pytest.fixture(autouse=True)
def solvers_as_written(request, monkeypatch):
    """Solvers run uncompiled, but for tests marked `compiled`.

    XLA takes the better part of a second for each new shape of a problem, and
    most tests have shapes of their own.
    """
    if "compiled" in request.keywords:
        return
    for owner in (engine, engine.current()):
        monkeypatch.setattr(owner, "compiled", lambda function: function)
    for module, name in PROGRAMS:
        # Not what other tests have compiled, and nothing for them either.
        monkeypatch.setattr(module, name, getattr(module, name).__wrapped__)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def one_graph():
    """Makes one graph of a function, where the backend has graphs.

    The options are those of `tf.function`; other backends have none.
    """

    def make(function, **options):
        if BACKEND == "tensorflow":
            import tensorflow as tf

            return tf.function(function, **{"autograph": False, **options})
        if BACKEND == "jax":
            import jax

            return jax.jit(function)
        return function

    return make


@pytest.fixture(scope="session")
def value_and_gradients():
    """Makes a function of arrays that returns its value and all gradients.

    A gradient is zero where the value does not depend on an argument. The
    gradient of several values is that of their sum.
    """
    taken = {
        "tensorflow": _by_tensorflow,
        "jax": _by_jax,
        "torch": _by_torch,
    }[BACKEND]

    def make(function):
        return lambda *arguments: taken(
            function, [ops.convert_to_tensor(x) for x in arguments]
        )

    return make


@pytest.fixture(scope="session")
def script_process():
    """Starts a script in a process of its own, which finds this package."""
    root = pathlib.Path(keras_otreg.__file__).parent.parent
    path = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])

    def start(script, *arguments):
        return subprocess.Popen(
            [sys.executable, script, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )

    return start


@pytest.fixture(scope="session")
def run_script(script_process):
    """What a script prints."""

    def run(script, *arguments):
        process = script_process(script, *arguments)
        output, errors = process.communicate()
        assert process.returncode == 0, errors[-2000:]
        return output

    return run


def _by_tensorflow(function, arguments):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(arguments)
        value = function(*arguments)
    zero = tf.UnconnectedGradients.ZERO
    return value, tape.gradient(value, arguments, unconnected_gradients=zero)


def _by_jax(function, arguments):
    import jax

    value, backward = jax.vjp(function, *arguments)
    return value, list(backward(jax.numpy.ones_like(value)))


def _by_torch(function, arguments):
    import torch

    leaves = [x.detach().clone().requires_grad_() for x in arguments]
    value = function(*leaves)
    slopes = [None] * len(leaves)
    if value.requires_grad:
        slopes = torch.autograd.grad(value.sum(), leaves, allow_unused=True)
    return value.detach(), [
        torch.zeros_like(x) if slope is None else slope
        for x, slope in zip(leaves, slopes, strict=True)
    ]


def _let_numpy_read_torch():
    """NumPy's functions take PyTorch's tensors, and its arrays mix with them.

    Both work by themselves with the tensors of the other backends.
    """
    import torch

    # The one of PyTorch refuses tensors that carry gradients.
    torch.Tensor.__array__ = _array
    torch.Tensor.__array_wrap__ = lambda tensor, array, *_: array
    torch.Tensor.__array_function__ = _array_function
    two_sided = ("add", "sub", "mul", "truediv", "matmul")
    reflected = [f"r{name}" for name in two_sided]
    for name in (*two_sided, *reflected, "lt", "le", "gt", "ge"):
        method = f"__{name}__"
        operation = _with_arrays(getattr(torch.Tensor, method))
        setattr(torch.Tensor, method, operation)


def _array_function(_, function, types, arguments, options):
    """A function of NumPy, of arrays that tensors are turned into."""
    del types
    arguments, options = keras.tree.map_structure(
        lambda x: np.asarray(x) if ops.is_tensor(x) else x,
        (arguments, options),
    )
    return function(*arguments, **options)


def _with_arrays(operation):
    """An operation of a tensor, with an array as a tensor."""

    def apply(tensor, other):
        if isinstance(other, np.ndarray | np.generic):
            other = ops.convert_to_tensor(other)
        return operation(tensor, other)

    return apply


def _array(tensor, dtype=None, copy=None):
    del copy  # It is one already.
    import ml_dtypes
    import torch

    tensor = tensor.detach().cpu()
    if tensor.dtype is torch.bfloat16:
        # PyTorch turns it into no array itself.
        return np.array(tensor.float().numpy(), dtype or ml_dtypes.bfloat16)
    return np.array(tensor.numpy(), dtype)
