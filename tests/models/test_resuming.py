"""Three epochs, a new process and three more are six epochs."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_otreg as otreg

pytestmark = [pytest.mark.compiled, pytest.mark.slow]

SCRIPT = pathlib.Path(__file__).with_name("resume.py")
# On PyTorch Keras saves where random numbers have got only for a seed.
SEED = 5 if keras.backend.backend() == "torch" else None
COSTS = np.random.default_rng(1).random((3, 3)).astype("float32")


@pytest.fixture(scope="module")
def resume():
    """The script, as a module."""
    spec = importlib.util.spec_from_file_location("resume", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def decay(value):
    return keras.optimizers.schedules.CosineDecay(value, 15)


def weight(value):
    """One that changes, where Keras shows losses the number of the step."""
    return value if keras.backend.backend() == "jax" else decay(value)


def wide_teacher(shape):
    inputs = keras.Input(shape)
    x = keras.layers.GlobalAveragePooling2D()(inputs)
    return keras.Model(inputs, keras.layers.Dense(7, name="features")(x))


def with_a_nested_backbone(shape):
    """Batch statistics, a trained adapter, and a schedule as a weight."""
    layers = keras.layers
    backbone = keras.Sequential(
        [
            keras.Input(shape),
            layers.Conv2D(4, 3, strides=2, name="frozen"),
            layers.BatchNormalization(),
            layers.DepthwiseConv2D(3, strides=2),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
        ]
    )
    backbone.get_layer("frozen").trainable = False
    inputs = keras.Input(shape)
    x = keras.layers.Dropout(0.3, seed=SEED)(backbone(inputs))
    student = keras.Model(inputs, keras.layers.Dense(3, "softmax")(x))
    at = f"{backbone.name}/{backbone.layers[-1].name}"
    return otreg.TransferModel(
        student,
        wide_teacher(shape),
        [
            otreg.Penalty(
                otreg.losses.Hint(), at, "features", weight=weight(1.0)
            )
        ],
    )


def with_a_source_task(shape):
    """A head of its own, and schedules for both of its weights."""
    inputs = keras.Input(shape)
    x = keras.layers.Flatten()(inputs)
    x = keras.layers.Dense(6, "relu", name="features")(x)
    x = keras.layers.Dropout(0.5, seed=SEED, name="dropout")(x)
    student = keras.Model(inputs, keras.layers.Dense(3, "softmax")(x))
    task = otreg.SourceTask(
        keras.Sequential(
            [
                keras.layers.Dropout(0.2, seed=SEED),
                keras.layers.Dense(3, "softmax"),
            ]
        ),
        "features",
        "sparse_categorical_crossentropy",
        weight=weight(1.0),
        transport=otreg.losses.ClassTransport(COSTS),
        transport_weight=weight(0.3),
    )
    return otreg.TransferModel(student, source_task=task)


def with_a_shared_layer(shape):
    """Called twice, under memories of both calls; noise without a seed."""
    inputs = keras.Input(shape)
    x = keras.layers.Dense(6)(keras.layers.Flatten()(inputs))
    twice = keras.layers.Dense(6, "tanh", name="twice")
    x = twice(keras.layers.GaussianNoise(0.1)(twice(x)))
    student = keras.Model(inputs, keras.layers.Dense(3, "softmax")(x))
    loss = otreg.losses.RepresentationTransport(momentum=0.5)
    penalties = otreg.Penalty.at_each(
        loss, ["twice#0", "twice#1"], weight=weight(2.0)
    )
    return otreg.TransferModel(student, penalties=penalties)


MODELS = [with_a_nested_backbone, with_a_source_task, with_a_shared_layer]


class SaveHalfWay(keras.callbacks.Callback):
    """Saves the model after three epochs."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 2:
            self.model.save(self.path)


@pytest.fixture(scope="module")
def runs(resume, tmp_path_factory):
    """Six epochs of each model, and the last three in a new process."""
    folder = tmp_path_factory.mktemp("runs")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(24, 32, 32, 3)), rng.integers(0, 3, 24)
    np.savez(folder / "data.npz", x=x.astype("float32"), y=y)
    found = {}
    for build in MODELS:
        keras.utils.set_random_seed(0)
        model = build((32, 32, 3))
        adam = keras.optimizers.Adam(decay(0.01))
        model.compile(
            adam,
            "sparse_categorical_crossentropy",
            metrics=["accuracy"],
            # A graph of a backbone takes longer to make than to run.
            run_eagerly=build is with_a_nested_backbone,
        )
        steps = resume.Steps()
        path = folder / f"{build.__name__}.keras"
        data = resume.Batches(folder / "data.npz", model.source_task)
        model.fit(
            data,
            epochs=6,
            shuffle=False,
            verbose=0,
            callbacks=[steps, SaveHalfWay(path)],
        )
        found[build] = model, steps.logs, path
    subprocess.run(
        [sys.executable, SCRIPT, folder],
        check=True,
        capture_output=True,
        # The tests run JAX in 64 bits, which draws other random numbers.
        env={**os.environ, "JAX_ENABLE_X64": "1"},
    )
    return found


@pytest.mark.parametrize("build", MODELS)
def test_three_epochs_and_three_in_a_new_process_are_six(runs, build):
    model, straight, path = runs[build]
    resumed = json.loads(path.with_suffix(".json").read_text())
    assert len(straight) == 18
    for found, expected in zip(resumed, straight[9:], strict=True):
        assert found == pytest.approx(expected, rel=1e-5)
    states = np.load(path.with_suffix(".npz"))
    assert len(states.files) == len(model.variables) + len(
        model.optimizer.variables
    )
    for letter, variables in (
        ("v", model.variables),
        ("o", model.optimizer.variables),
    ):
        for i, variable in enumerate(variables):
            np.testing.assert_allclose(
                states[f"{letter}{i}"],
                variable,
                rtol=1e-4,
                atol=1e-6,
                err_msg=variable.path,
            )
