import gc

import keras
import keras_tuner
import numpy as np
import pytest

import keras_otreg as otreg


@pytest.fixture(autouse=True, scope="package")
def little_garbage():
    """KerasTuner collects garbage twice a trial: let it not look at TF."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def make_network():
    """A network with batch statistics and named layers."""

    def make(width=6, name="student"):
        inputs = keras.Input((8,))
        x = keras.layers.Dense(width, activation="relu", name="hidden")(inputs)
        x = keras.layers.BatchNormalization(name="norm")(x)
        outputs = keras.layers.Dense(3, activation="softmax", name="head")(x)
        return keras.Model(inputs, outputs, name=name)

    return make


@pytest.fixture
def data(rng):
    """What `search` is given: a task that can be learnt."""
    x = rng.normal(size=(56, 8)).astype("float32")
    y = x[:, :3].argmax(axis=-1)
    return {
        "x": x[:24],
        "y": y[:24],
        "validation_data": (x[24:], y[24:]),
        "verbose": 0,
    }


@pytest.fixture
def evaluated(data):
    """What a model makes of the validation data."""

    def evaluate(model):
        return model.evaluate(
            *data["validation_data"], verbose=0, return_dict=True
        )

    return evaluate


@pytest.fixture
def compile_model():
    """Compiles a model; the tests are too small for a graph to pay."""

    def compile_model(hp, model):
        rate = hp.Float("rate", 1e-3, 1e-1, sampling="log")
        model.compile(
            keras.optimizers.Adam(rate),
            "sparse_categorical_crossentropy",
            metrics=["accuracy"],
            run_eagerly=True,
        )

    return compile_model


@pytest.fixture
def make_hypermodel(make_network, compile_model):
    """A search for the strength of a pull towards a teacher's output."""

    def build_student(hp):
        keras.utils.set_random_seed(0)
        return make_network()

    def penalties(hp):
        weight = hp.Float("weight", 0.1, 10.0, sampling="log")
        loss = keras.losses.MeanSquaredError(name="pull")
        return [otreg.Penalty(loss, at="head", weight=weight)]

    def make(**settings):
        keras.utils.set_random_seed(1)
        settings = {
            "build_student": build_student,
            "teacher": make_network(10, "teacher"),
            "penalties": penalties,
            "compile": compile_model,
            **settings,
        }
        return otreg.tuning.TransferHyperModel(**settings)

    return make


@pytest.fixture
def search(make_hypermodel, data, tmp_path):
    """Runs a random search, and returns its tuner."""

    def run(hypermodel=None, goal=None, **settings):
        settings = {"max_trials": 2, "seed": 1, **settings}
        tuner = keras_tuner.RandomSearch(
            hypermodel or make_hypermodel(),
            goal or otreg.tuning.objective("val_accuracy"),
            directory=tmp_path,
            max_consecutive_failed_trials=1,
            **settings,
        )
        tuner.search(**data, epochs=1)
        return tuner

    return run


@pytest.fixture
def hp():
    """Hyperparameters at their defaults."""
    return keras_tuner.HyperParameters()


@pytest.fixture
def same_weights():
    """Whether two models hold equal weights."""

    def same(x, y):
        pairs = zip(x.get_weights(), y.get_weights(), strict=True)
        return all(np.array_equal(a, b) for a, b in pairs)

    return same
