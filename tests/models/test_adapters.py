"""A loss may need a layer trained, which the wrapper owns."""

import keras
import numpy as np
import pytest

import keras_otreg as otreg


@pytest.fixture
def make(make_network, compiled):
    """A narrow student under a wide teacher's hint."""

    def make(width=5, weight=1.0, at="backbone/features", **kwargs):
        teacher = make_network(name="teacher")
        penalty = otreg.Penalty(otreg.losses.Hint(), at=at, weight=weight)
        model = otreg.TransferModel(
            make_network(width=width, dropout=0.0), teacher, [penalty]
        )
        return compiled(model, **kwargs)

    return make


def features(network, x):
    backbone = network.get_layer("backbone")
    return np.asarray(backbone(x, training=False))


@pytest.mark.release
def test_the_penalty_is_the_distance_through_the_adapter(make, samples):
    model = make()
    x = samples[0]
    kernel, bias = model.adapters["hint"].get_weights()
    adapted = features(model.student, x) @ kernel + bias
    expected = ((features(model.teacher, x) - adapted) ** 2).mean()
    logs = model.evaluate(*samples, verbose=0, return_dict=True)
    np.testing.assert_allclose(logs["hint"], expected, rtol=1e-5)


@pytest.mark.release
def test_the_adapter_is_trained_with_the_student_by_the_optimizer(
    make, samples
):
    model = make()
    adapter = model.adapters["hint"]
    before = adapter.get_weights()
    model.fit(*samples, verbose=0)
    for x, y in zip(before, adapter.get_weights(), strict=True):
        assert np.abs(x - y).max() > 1e-4
    trained = {id(v) for v in model.trainable_variables}
    assert {id(v) for v in adapter.variables} <= trained
    slots = len(model.optimizer.variables)
    assert slots >= 2 * len(model.trainable_variables)


@pytest.mark.release
def test_a_frozen_student_is_read_by_its_adapter_alone(make, samples):
    model = make()
    model.student.trainable = False
    model.compile(keras.optimizers.Adam(0.05))
    history = model.fit(*samples, epochs=30, verbose=0).history["hint"]
    assert history[-1] < 0.5 * history[0]


@pytest.mark.release
def test_the_student_knows_nothing_of_it(make, samples, tmp_path):
    model = make()
    model.fit(*samples, verbose=0)
    inside = {id(v) for v in model.student.variables}
    assert not any(id(v) in inside for v in model.adapters["hint"].variables)
    model.student.save(tmp_path / "student.keras")
    loaded = keras.saving.load_model(tmp_path / "student.keras")
    assert len(loaded.weights) == len(model.student.weights)
    np.testing.assert_allclose(
        loaded.predict(samples[0], verbose=0),
        model.predict(samples[0], verbose=0),
        rtol=1e-6,
    )


@pytest.mark.release
def test_it_is_saved_and_training_goes_on_after_loading(
    make, samples, tmp_path
):
    options = {"batch_size": 8, "shuffle": False, "verbose": 0}
    model = make()
    model.fit(*samples, epochs=2, **options)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for x, y in zip(
        model.adapters["hint"].get_weights(),
        loaded.adapters["hint"].get_weights(),
        strict=True,
    ):
        np.testing.assert_array_equal(x, y)
    through = model.fit(*samples, epochs=2, **options).history
    resumed = loaded.fit(*samples, epochs=2, **options).history
    for name, values in through.items():
        np.testing.assert_allclose(resumed[name], values, rtol=1e-5)


@pytest.mark.release
def test_its_weights_are_among_those_of_the_wrapper(make, samples, tmp_path):
    model, other = make(), make()
    model.fit(*samples, verbose=0)
    model.save_weights(tmp_path / "model.weights.h5")
    other.load_weights(tmp_path / "model.weights.h5")
    for x, y in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(x, y)
    adapter = other.adapters["hint"]
    np.testing.assert_array_equal(adapter.kernel, model.adapters["hint"].kernel)


@pytest.mark.release
def test_there_is_none_between_layers_of_equal_width(make, samples):
    model = make(width=12)
    assert not model.adapters
    model.fit(*samples, verbose=0)
    assert len(model.weights) == len(model.student.weights)


@pytest.mark.release
def test_two_hints_have_an_adapter_each(make_network, compiled, samples):
    loss = otreg.losses.Hint()
    penalties = [
        otreg.Penalty(loss, at="backbone/hidden", name="low"),
        otreg.Penalty(loss, at="backbone/features", name="high"),
    ]
    teacher = make_network(name="teacher")
    model = otreg.TransferModel(make_network(width=5), teacher, penalties)
    assert set(model.adapters) == {"low", "high"}
    compiled(model).fit(*samples, verbose=0)
    low, high = (model.adapters[name].get_weights() for name in ("low", "high"))
    assert not np.array_equal(low[0], high[0])


@pytest.mark.release
@pytest.mark.filterwarnings("error", "ignore:__array__:DeprecationWarning")
def test_at_weight_zero_it_is_not_trained_and_changes_nothing(
    make, samples, compiled
):
    model = make(weight=0.0)
    plain = keras.models.clone_model(model.student)
    plain.set_weights(model.student.get_weights())
    before = model.adapters["hint"].get_weights()
    for network in (compiled(plain), model):
        keras.utils.set_random_seed(7)
        network.fit(*samples, batch_size=8, epochs=2, verbose=0)
    for x, y in zip(
        plain.get_weights(), model.student.get_weights(), strict=True
    ):
        # On JAX the two programs round in ways of their own.
        np.testing.assert_allclose(x, y, rtol=1e-6, atol=1e-8)
    for x, y in zip(before, model.adapters["hint"].get_weights(), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.release
def test_predict_does_not_run_it(make, samples):
    model, calls = make(), []
    adapter = model.adapters["hint"]
    original = adapter.call
    vars(adapter)["call"] = lambda x: calls.append(x) or original(x)
    model.predict(samples[0], verbose=0)
    assert not calls
    model.evaluate(*samples, verbose=0)
    assert calls


@pytest.mark.release
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_a_student_of_mixed_precision_has_a_precise_adapter(
    make, samples, policy
):
    keras.config.set_dtype_policy(policy)
    try:
        model = make()
    finally:
        keras.config.set_dtype_policy("float32")
    adapter = model.adapters["hint"]
    assert adapter.compute_dtype == "float32"
    history = model.fit(*samples, epochs=2, verbose=0).history
    assert np.isfinite(history["hint"]).all()


@pytest.mark.release
def test_maps_are_adapted_channel_by_channel(rng):
    def network(width):
        inputs = keras.Input((6, 6, 2))
        x = keras.layers.Conv2D(width, 3, name="maps")(inputs)
        x = keras.layers.GlobalAveragePooling2D()(x)
        return keras.Model(inputs, keras.layers.Dense(2)(x))

    penalty = otreg.Penalty(otreg.losses.Hint(), at="maps")
    model = otreg.TransferModel(network(3), network(7), [penalty])
    model.compile("adam", "mse")
    x, y = rng.normal(size=(8, 6, 6, 2)), rng.normal(size=(8, 2))
    assert model.adapters["hint"].kernel.shape == (3, 7)
    model.fit(x, y, sample_weight=np.arange(8.0), verbose=0)


def test_a_student_of_unknown_input_is_told_the_way_out(samples, compiled):
    class Unknown(keras.Model):
        def __init__(self, width):
            super().__init__()
            self.features = keras.layers.Dense(width, name="features")
            self.head = keras.layers.Dense(3, "softmax", name="head")

        def call(self, inputs):
            return self.head(self.features(inputs["x"]))

        def get_build_config(self):
            return None

    networks = [Unknown(width) for width in (4, 6)]
    inputs = {"x": samples[0]}
    for network in networks:
        network(inputs)
    penalty = otreg.Penalty(otreg.losses.Hint(), at="features")
    model = compiled(otreg.TransferModel(*networks, [penalty]))
    with pytest.raises(ValueError, match="input shape of the student"):
        model.fit(inputs, samples[1], verbose=0)
