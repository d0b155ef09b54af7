"""Training in other precisions, and the same twice."""

import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_otreg as otreg
from keras_otreg import losses

pytestmark = pytest.mark.compiled

# How far a value may be from that of float32, relative to it.
POLICIES = {
    "mixed_bfloat16": 1e-2,
    "mixed_float16": 1e-2,
    "float16": 1e-2,
    "float64": 1e-4,
}
seen = []


class Watched(otreg.ot.Sinkhorn):
    """Notes in which precision it is asked to solve."""

    def __call__(self, problem, init=None):
        seen.append(keras.backend.standardize_dtype(problem.C.dtype))
        return super().__call__(problem, init)


@pytest.fixture
def policy():
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy("float32")


def all_losses():
    """One of each that is exported, at the layer where it makes sense."""
    solver = Watched()
    maps = [
        losses.AttentionTransfer(),
        losses.BatchSpectralShrinkage(),
        losses.CenteredKernelAlignment(),
        losses.Coral(),
        losses.FeatureMap(),
        losses.Hint(),
        losses.MaximumMeanDiscrepancy(),
        losses.RepresentationTransport(solver=solver),
        losses.SinkhornDivergence(solver=solver),
        losses.TransportAlignment(solver=solver),
    ]
    classes = losses.ClassTransport(
        1.0 - np.eye(3), from_logits=True, solver=solver
    )
    return [
        *(otreg.Penalty(loss, at="maps") for loss in maps),
        otreg.Penalty(losses.LogitsDistillation(), at="head"),
        otreg.Penalty(classes, at="head"),
        otreg.Penalty(
            losses.ClassConditional(np.eye(3), from_logits=True), at="head"
        ),
    ]


def network(name):
    inputs = keras.Input((6, 6, 2))
    x = keras.layers.Conv2D(4, 3, strides=2, activation="elu", name="maps")(
        inputs
    )
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(3, name="head")(x), name=name)


@pytest.fixture
def data(rng):
    return rng.normal(size=(8, 6, 6, 2)), rng.integers(0, 3, 8)


@pytest.fixture
def weights(rng):
    """Weights of a student and of a teacher."""
    shapes = [x.shape for x in network("any").weights]
    return [[rng.normal(size=x) * 0.3 for x in shapes] for _ in range(2)]


def model_of(weights):
    networks = network("student"), network("teacher")
    for each, values in zip(networks, weights, strict=True):
        each.set_weights(values)
    model = otreg.TransferModel(*networks, all_losses())
    task = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01), task)
    return model


def test_every_exported_loss_is_here():
    exported = {getattr(losses, name) for name in losses.__all__}
    assert {type(penalty.loss) for penalty in all_losses()} == exported


@pytest.mark.release
@pytest.mark.parametrize("name", POLICIES)
def test_values_are_those_of_float32_and_training_stays_finite(
    name, policy, weights, data
):
    expected = model_of(weights).evaluate(*data, verbose=0, return_dict=True)
    seen.clear()
    policy(name)
    model = model_of(weights)
    found = model.evaluate(*data, verbose=0, return_dict=True)
    for key, value in expected.items():
        tolerance = POLICIES[name] * (abs(value) + 0.01)
        assert abs(found[key] - value) <= tolerance, key
    assert set(seen) <= {"float32", "float64"}
    is_scaled = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert is_scaled == (name == "mixed_float16")
    history = model.fit(*data, batch_size=4, epochs=3, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())
    assert all(np.isfinite(x).all() for x in model.get_weights())
    # Loss scaling finds its scale by skipping a step, on JAX two; then none.
    skipped = 2 if keras.backend.backend() == "jax" else 1
    counted = int(model.optimizer.iterations)
    assert counted >= 6 - (skipped if is_scaled else 0)
    model.fit(*data, batch_size=4, epochs=3, verbose=0)
    assert int(model.optimizer.iterations) == counted + 6


TRAIN = """
import sys
import keras
import numpy as np
import tensorflow as tf
import keras_otreg as otreg

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)
tf.config.experimental.enable_op_determinism()
keras.utils.set_random_seed(7)
inputs = keras.Input((8, 8, 1))
x = keras.layers.Conv2D(6, 3, activation="relu", name="maps")(inputs)
x = keras.layers.BatchNormalization()(x)
x = keras.layers.GlobalAveragePooling2D()(keras.layers.Dropout(0.3)(x))
student = keras.Model(inputs, keras.layers.Dense(3)(x))
penalties = [
    otreg.Penalty(loss, at="maps")
    for loss in (
        otreg.losses.RepresentationTransport(momentum=0.5),
        otreg.losses.SinkhornDivergence(),
        otreg.losses.Hint(),
    )
]
model = otreg.TransferModel(student, penalties=penalties)
task = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile("adam", task)
rng = np.random.default_rng(0)
x = rng.normal(size=(40, 8, 8, 1)).astype("float32")
model.fit(x, np.arange(40) % 3, batch_size=8, epochs=2, verbose=0)
np.savez(sys.argv[1], *[np.asarray(w) for w in model.get_weights()])
"""


@pytest.mark.release
def test_the_same_seed_gives_the_same_weights_bit_for_bit(tmp_path):
    found = []
    for name in ("one.npz", "two.npz"):
        command = [sys.executable, "-c", TRAIN, str(tmp_path / name)]
        subprocess.run(command, check=True)
        with np.load(tmp_path / name) as arrays:
            found.append([arrays[key].tobytes() for key in arrays.files])
    assert found[0] == found[1]
