import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from keras_otreg.layers import FeaturePenalty
from keras_otreg.losses import RepresentationTransport, SinkhornDivergence
from keras_otreg.ot import Sinkhorn


def test_the_students_features_come_back_unchanged(two_networks, data):
    model, (x, _) = two_networks(), data
    expected = model.get_layer("head")(model.get_layer("student")(x))
    np.testing.assert_array_equal(model(x), expected)


@pytest.mark.parametrize("weight", [0, 3.0])
def test_it_adds_weight_times_the_loss(
    two_networks, make_loss, data, features, weight
):
    model, (x, _) = two_networks(weight=weight), data
    model(x)
    value = make_loss()(*features(model, x))
    np.testing.assert_allclose(model.losses, [weight * value], rtol=1e-5)


@pytest.mark.release
@pytest.mark.parametrize(
    "loss",
    [
        keras.losses.MeanSquaredError(),
        SinkhornDivergence(solver=Sinkhorn(3, accelerated=False)),
        RepresentationTransport(plan="identity"),
    ],
    ids=lambda x: x.name,
)
def test_any_keras_loss_can_be_the_penalty(two_networks, data, features, loss):
    model, (x, _) = two_networks(loss, 2.0, student_width=6), data
    model(x)
    np.testing.assert_allclose(
        model.losses, [2.0 * loss(*features(model, x))], rtol=1e-4
    )


@pytest.mark.release
def test_it_trains_under_plain_fit(two_networks, data):
    model, (x, y) = two_networks(weight=10.0), data
    teacher = model.get_layer("teacher")
    teacher.trainable = False
    before = [w.numpy() for w in teacher.weights]
    model.compile(keras.optimizers.Adam(0.05), "mse")
    history = model.fit(x, y, epochs=12, verbose=0)
    assert history.history["loss"][-1] < 0.7 * history.history["loss"][0]
    for old, new in zip(before, teacher.weights, strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.tensorflow
@pytest.mark.parametrize("as_pair", [False, True])
def test_no_gradient_goes_to_the_teacher(make_loss, data, as_pair):
    x = tf.constant(data[0])
    teacher, student = layers.Dense(6), layers.Dense(4)
    penalty = FeaturePenalty(make_loss())
    with tf.GradientTape() as tape:
        known, found = teacher(x), student(x)
        penalty((known, found)) if as_pair else penalty(known, found)
        (value,) = penalty.losses
    to_teacher, to_student = tape.gradient(
        value, (teacher.kernel.value, student.kernel.value)
    )
    assert to_teacher is None or not np.any(to_teacher)
    assert np.abs(to_student).max() > 0.0


@pytest.mark.release
def test_a_pair_is_the_same_as_two_arguments(make_loss, data):
    a, b = keras.Input((6,)), keras.Input((4,))
    penalty = FeaturePenalty(make_loss())
    x, y = data[0][:, :1] * np.ones(6), data[0][:, 1:]
    for outputs in (penalty(a, b), penalty((a, b)), penalty([a, b])):
        assert outputs.shape == (None, 4)
        model = keras.Model([a, b], outputs)
        np.testing.assert_allclose(model([x, y]), y, rtol=1e-6)
        np.testing.assert_allclose(model.losses, [make_loss()(x, y)], rtol=1e-5)


@pytest.mark.release
def test_it_works_in_mixed_precision(policy, two_networks, data):
    policy("mixed_float16")
    (x, y), model = data, two_networks()
    assert model.get_layer("penalty").output.dtype == "float16"
    model(x)
    assert keras.backend.standardize_dtype(model.losses[0].dtype) == "float32"
    model.compile("adam", "mse")
    assert np.isfinite(model.train_on_batch(x, y))


@pytest.mark.parametrize("dtype", ["bfloat16", "float64"])
def test_features_keep_their_own_dtype(make_loss, rng, dtype):
    known = rng.normal(size=(5, 3)).astype("float32")
    found = ops.cast(rng.normal(size=(5, 4)), dtype)
    kept = FeaturePenalty(make_loss())(known, found)
    assert keras.backend.standardize_dtype(kept.dtype) == dtype
    np.testing.assert_array_equal(
        ops.cast(kept, "float32"), ops.cast(found, "float32")
    )


@pytest.mark.release
def test_a_mask_goes_on_to_the_layers_behind(make_loss, rng):
    tokens = np.array([[1, 2, 0, 0], [3, 1, 1, 0], [4, 2, 2, 1]])
    inputs = keras.Input((4,), dtype="int32")
    embedding = layers.Embedding(5, 3, mask_zero=True)
    known, found = layers.Embedding(5, 6)(inputs), embedding(inputs)
    kept, last = FeaturePenalty(make_loss())(known, found), layers.LSTM(2)
    plain = keras.Model(inputs, last(found))
    model = keras.Model(inputs, last(kept))
    np.testing.assert_allclose(model(tokens), plain(tokens), rtol=1e-5)
    unmasked = last(np.asarray(embedding(tokens)))
    assert not np.allclose(model(tokens), unmasked, rtol=1e-3)


@pytest.mark.release
def test_it_compiles_with_xla(two_networks, data):
    model, (x, y) = two_networks(), data
    model.compile("sgd", "mse", jit_compile=True)
    history = model.fit(x, y, batch_size=4, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


@pytest.mark.release
def test_the_logged_loss_includes_it_also_after_loading(
    two_networks, make_loss, data, features, tmp_path
):
    model, (x, y) = two_networks(weight=2.0), data
    model.compile("sgd", "mse")
    value = model.evaluate(x, y, batch_size=7, verbose=0)
    task = np.mean((np.asarray(model(x)) - y) ** 2)
    penalty = 2.0 * np.asarray(make_loss()(*features(model, x)))
    np.testing.assert_allclose(value, task + penalty, rtol=1e-4)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.evaluate(x, y, batch_size=7, verbose=0) == value


def test_a_model_with_it_can_be_cloned(two_networks, data):
    model, (x, _) = two_networks(weight=0.7), data
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(clone(x), model(x))
    np.testing.assert_allclose(clone.losses, model.losses, rtol=1e-6)


def test_layers_that_cannot_be_compared_are_refused_before_training(
    two_networks, data
):
    def build_and_train():
        model = two_networks(RepresentationTransport(plan="identity"))
        model.compile("sgd", "mse")
        model.fit(*data, verbose=0)

    with pytest.raises(ValueError, match=r"equal width.*6.*4"):
        build_and_train()


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("loss", "mse"),
        ("loss", None),
        ("loss", lambda y, p: 0.0),
        ("loss", RepresentationTransport),
        ("weight", -1.0),
        ("weight", np.nan),
        ("weight", "1"),
        ("weight", None),
    ],
)
def test_a_wrong_argument_is_named_with_what_was_expected(
    make_loss, argument, value
):
    arguments = {"loss": make_loss(), argument: value}
    with pytest.raises(ValueError, match=f"`{argument}`") as error:
        FeaturePenalty(**arguments)
    assert "Expected" in str(error.value)
    assert "Received" in str(error.value)


@pytest.mark.parametrize("samples", [2, 3])
def test_features_of_one_network_alone_are_refused(make_loss, samples):
    features = np.ones((samples, 4, 5), "float32")
    with pytest.raises(ValueError, match="(?s)Expected.*student"):
        FeaturePenalty(make_loss())(features)


class Doubled(FeaturePenalty):
    def build(self, *shapes):
        self.scale = self.add_weight(shape=(), initializer="ones")


def test_a_subclass_builds_weights_of_its_own():
    layer = Doubled(keras.losses.MeanSquaredError())
    layer(np.ones((2, 3), "float32"), np.zeros((2, 3), "float32"))
    assert len(layer.weights) == 1
