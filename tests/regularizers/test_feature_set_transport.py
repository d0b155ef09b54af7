import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_otreg.losses import SinkhornDivergence
from keras_otreg.regularizers import FeatureSetTransport

RELOAD = """
import sys
import keras_otreg
import keras
import numpy as np
path, data = sys.argv[1:]
model = keras.models.load_model(path)
model(np.load(data))
print(repr(float(sum(model.losses))))
"""


@pytest.fixture
def bank(rng):
    return rng.normal(size=(9, 3)).astype("float32")


@pytest.fixture
def x(rng):
    return rng.normal(size=(6, 4)).astype("float32")


def dense(regularizer, **kwargs):
    inputs = keras.Input((4,))
    layer = layers.Dense(
        3, activity_regularizer=regularizer, name="features", **kwargs
    )
    return keras.Model(inputs, layers.Dense(2)(layer(inputs)))


def activations(model, x):
    return np.asarray(model.get_layer("features")(x))


@pytest.mark.release
def test_the_strength_does_not_depend_on_the_batch_size(bank, x):
    model = dense(FeatureSetTransport(bank, 0.3, epsilon=0.5))
    model(x)
    (once,) = model.losses
    model(np.tile(x, (3, 1)))
    np.testing.assert_allclose(model.losses[0], once, rtol=1e-4)


@pytest.mark.release
@pytest.mark.parametrize(
    ("version", "factor"),
    [("3.13.1", 1), ("3.14.0.dev1", 6)],
)
def test_it_offers_what_that_version_of_keras_divides(
    bank, rng, monkeypatch, version, factor
):
    y = rng.normal(size=(6, 3)).astype("float32")
    monkeypatch.setattr(keras, "version", lambda: version)
    value = FeatureSetTransport(bank, 0.3, epsilon=0.5)(y)
    expected = SinkhornDivergence(epsilon=0.5)(bank, y)
    np.testing.assert_allclose(value, 0.3 * factor * expected, rtol=1e-4)


def test_it_is_zero_at_the_reference(x):
    model = dense(None)
    regularizer = FeatureSetTransport(activations(model, x), 1.0)
    model.get_layer("features").activity_regularizer = regularizer
    model(x[::-1])
    np.testing.assert_allclose(model.losses, [0.0], atol=1e-5)


@pytest.mark.release
def test_it_pulls_activations_to_the_reference_under_fit(x):
    bank = np.full((5, 3), 2.0, "float32")
    model = dense(FeatureSetTransport(bank, 10.0, epsilon=0.5))
    model.compile(keras.optimizers.Adam(0.1), "mse")
    before = np.abs(activations(model, x) - 2.0).mean()
    history = model.fit(x, np.zeros((6, 2)), batch_size=4, epochs=20, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert np.abs(activations(model, x) - 2.0).mean() < 0.5 * before


@pytest.mark.release
@pytest.mark.parametrize(
    ("points", "size"), [("samples", 6), ("positions", None)]
)
def test_it_sits_in_a_convolution(rng, points, size):
    bank = rng.normal(size=(4, 3, 3, 2)).astype("float32")
    regularizer = FeatureSetTransport(bank, 0.3, epsilon=0.5, points=points)
    inputs = keras.Input((size, size, 1))
    layer = layers.Conv2D(2, 2, activity_regularizer=regularizer)
    maps = layer(inputs)
    outputs = layers.GlobalAveragePooling2D()(maps)
    model, x = keras.Model(inputs, outputs), rng.normal(size=(5, 6, 6, 1))
    model(x)
    y = np.asarray(keras.Model(inputs, maps)(x))
    if points == "samples":
        reference, y = bank.mean(axis=(1, 2)), y.mean(axis=(1, 2))
    else:
        reference, y = bank.reshape(-1, 2), y.reshape(-1, 2)
    expected = 0.3 * SinkhornDivergence(epsilon=0.5)(reference, y)
    np.testing.assert_allclose(model.losses[0], expected, rtol=1e-3)
    model.compile("sgd", "mse")
    model.fit(x, np.zeros((5, 2)), batch_size=2, verbose=0)


@pytest.mark.release
def test_it_works_in_mixed_precision(bank, x):
    regularizer = FeatureSetTransport(bank, 0.3, epsilon=0.5)
    model = dense(regularizer, dtype="mixed_float16")
    model(x)
    y = ops.cast(model.get_layer("features")(x), "float32")
    expected = 0.3 * SinkhornDivergence(epsilon=0.5)(bank, y)
    np.testing.assert_allclose(model.losses[0], expected, rtol=1e-3)
    model.compile("sgd", "mse")
    history = model.fit(x, np.zeros((6, 2)), verbose=0)
    assert np.isfinite(history.history["loss"]).all()


@pytest.mark.release
def test_the_loss_gains_strength_times_the_divergence(bank, x):
    model = dense(FeatureSetTransport(bank, 0.3, epsilon=0.5))
    model.compile("sgd", "mse")
    value = model.evaluate(x, np.zeros((6, 2), "float32"), verbose=0)
    task = np.mean(np.square(model(x)))
    expected = SinkhornDivergence(epsilon=0.5)(bank, activations(model, x))
    np.testing.assert_allclose(value, task + 0.3 * expected, rtol=1e-4)


def test_a_batch_of_one_sample_is_finite(bank, x):
    model = dense(FeatureSetTransport(bank, 0.3))
    model(x[:1])
    assert np.isfinite(model.losses[0])


@pytest.mark.release
def test_it_reloads_where_only_keras_otreg_was_imported(bank, x, tmp_path):
    model = dense(FeatureSetTransport(bank, 0.3, epsilon=0.5))
    model(x)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", x)
    output = subprocess.run(
        [sys.executable, "-c", RELOAD, "model.keras", "x.npy"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path), "TF_CPP_MIN_LOG_LEVEL": "3"},
    ).stdout
    np.testing.assert_allclose(float(output), model.losses[0], rtol=1e-6)


def test_activations_of_another_width_are_refused(bank):
    with pytest.raises(ValueError, match=r"\(9, 3\).*\(6, 4\)"):
        FeatureSetTransport(bank, 0.3)(np.ones((6, 4), "float32"))


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("reference", [1.0, 2.0]),
        ("reference", [[np.nan, 1.0]]),
        ("reference", np.ones((0, 3))),
        ("reference", None),
        ("reference", "imagenet"),
        ("strength", -1.0),
        ("strength", np.nan),
        ("strength", None),
        ("epsilon", 0.0),
        ("epsilon", np.inf),
        ("points", "units"),
        ("cost", "l2"),
    ],
)
def test_a_wrong_argument_is_named_with_what_was_expected(
    bank, argument, value
):
    arguments = {"reference": bank, "strength": 0.3, argument: value}
    with pytest.raises(ValueError, match=f"`{argument}`") as error:
        FeatureSetTransport(**arguments)
    assert "Expected" in str(error.value)
    assert "Received" in str(error.value)
