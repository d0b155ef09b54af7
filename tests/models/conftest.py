import keras
import pytest

import keras_otreg as otreg


@pytest.fixture(autouse=True)
def steps_run_eagerly(monkeypatch):
    """Models run eagerly on TensorFlow unless a test says how they run.

    To trace and compile a step takes seconds. `test_steps.py` compares the two.
    """
    if keras.backend.backend() != "tensorflow":
        return
    # Where Keras defines it: a model that overrides it is loaded uncompiled.
    owner = next(x for x in keras.Model.__mro__ if "compile" in vars(x))
    compile_model = owner.compile

    def compile_eagerly(self, *args, **kwargs):
        is_told = {"jit_compile", "run_eagerly", "steps_per_execution"} & {
            *kwargs
        }
        how = {} if is_told else {"run_eagerly": True}
        compile_model(self, *args, **kwargs, **how)

    monkeypatch.setattr(owner, "compile", compile_eagerly)


@keras.saving.register_keras_serializable(package="tests")
class CallCounter(keras.layers.Layer):
    """Counts forward passes in a variable, so runs of a graph count."""

    def build(self, input_shape):
        self.calls = self.add_weight(
            shape=(), dtype="int32", trainable=False, initializer="zeros"
        )

    def call(self, inputs):
        self.calls.assign_add(1)
        return inputs


@pytest.fixture
def counter_class():
    return CallCounter


@pytest.fixture
def make_network():
    """A backbone nested in a model, with batch statistics and dropout."""

    def make(width=12, name="student", counter=None, dropout=0.2):
        inputs = keras.Input((8,))
        x = keras.layers.Dense(width, activation="relu", name="hidden")(inputs)
        x = keras.layers.BatchNormalization(name="norm")(x)
        x = keras.layers.Dense(width, activation="relu", name="features")(x)
        backbone = keras.Model(inputs, x, name="backbone")
        inputs = keras.Input((8,))
        x = counter(inputs) if counter else inputs
        x = keras.layers.Dropout(dropout, seed=1, name="dropout")(backbone(x))
        x = keras.layers.Dense(3, activation="softmax", name="head")(x)
        return keras.Model(inputs, x, name=name)

    return make


@pytest.fixture
def samples(rng):
    x = rng.normal(size=(22, 8)).astype("float32")
    return x, rng.integers(0, 3, size=22)


@pytest.fixture
def compiled():
    """Compiles any model in the one way that the tests train models."""

    def compile_model(model, **kwargs):
        kwargs.setdefault("optimizer", keras.optimizers.Adam(0.01))
        kwargs.setdefault("loss", "sparse_categorical_crossentropy")
        model.compile(**kwargs)
        return model

    return compile_model


@pytest.fixture
def model(make_network, compiled, samples):
    """A small wrapper, trained, for tests that need no other."""
    loss = otreg.losses.CenteredKernelAlignment()
    penalty = otreg.Penalty(loss, at="backbone/features")
    model = compiled(
        otreg.TransferModel(make_network(), penalties=[penalty]),
        run_eagerly=True,
    )
    model.fit(*samples, verbose=0)
    return model


@pytest.fixture
def states():
    """The values of all weights of a model, in their order."""

    def values(model):
        return model.get_weights()

    return values
