import warnings

import keras
import numpy as np
import pytest
from keras import layers

from keras_otreg import add_starting_point
from keras_otreg.features.taps import walk


@pytest.fixture(autouse=True)
def no_warnings():
    """Ordinary layers save their starting points: nothing to warn about."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        # This one makes its layers itself, and is warned about below.
        warnings.filterwarnings("ignore", "Model 'two_layers' will not save")
        yield


def attention(layer):
    """A model around a layer that hides its weights' layers."""
    inputs = keras.Input((4, 6))
    x = layers.Flatten()(layer(inputs, inputs))
    return keras.Model(inputs, layers.Dense(2, name="head")(x))


@pytest.mark.repeats
def test_a_start_costs_nothing_a_move_its_square_and_both_are_saved(
    model, shift, penalty, tmp_path
):
    add_starting_point(model, 0.3, exclude=[])
    assert penalty(model) == 0.0
    assert len(model.losses) == len(model.trainable_variables)
    count = shift(model.trainable_variables, 0.1)
    expected = penalty(model)
    np.testing.assert_allclose(expected, 0.15 * 0.01 * count, rtol=1e-4)
    if not isinstance(model.get_config().get("layers"), list):
        return  # Its own code makes its layers, without regularisers.
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert penalty(again) == expected
    assert len(again.losses) == len(model.losses)


@pytest.mark.parametrize("kind", ["nested", "subclassed", "lstm"])
def test_the_head_is_left_out(make, kind, shift, penalty):
    model = make(kind)
    add_starting_point(model, 0.3)
    head = [w for w in model.trainable_variables if "head" in w.path]
    shift(head, 0.1)
    assert penalty(model) == 0.0
    assert len(model.losses) == len(model.trainable_variables) - len(head)


def test_a_model_that_makes_its_own_layers_warns_that_it_will_not_save(make):
    with pytest.warns(UserWarning, match="will not save"):
        add_starting_point(make("subclassed"), 0.3)


@pytest.mark.slow
def test_the_gradient_pulls_back_to_the_start(make, shift):
    model = make("nested")
    add_starting_point(model, 0.5)
    weights = model.trainable_variables
    starts = [np.array(w) for w in weights]
    shift(weights, 1.0)
    model.compile(keras.optimizers.SGD(1.0), lambda y, p: 0.0 * p[:, 0])
    model.fit(np.zeros((4, 4)), np.zeros(4), epochs=12, verbose=0)
    for weight, start in zip(weights, starts, strict=True):
        expected = start + 1.0 if "head" in weight.path else start
        np.testing.assert_allclose(weight, expected, atol=1e-3)


@pytest.mark.parametrize("kind", ["dense", "lstm", "separable"])
def test_calling_twice_replaces_the_start(make, shift, penalty, kind):
    model = make(kind)
    add_starting_point(model, 0.3)
    shift(model.trainable_variables, 0.1)
    assert penalty(model) > 0.0
    number = len(model.losses)
    add_starting_point(model, 0.3)
    assert penalty(model) == 0.0
    assert len(model.losses) == number


@pytest.mark.parametrize("times", [1, 2])
def test_regularisers_of_the_model_are_kept(shift, penalty, tmp_path, times):
    inputs = keras.Input((3,))
    x = layers.Dense(2, kernel_regularizer="l2", name="body")(inputs)
    x = layers.Dense(2, bias_regularizer="l1", name="head")(x)
    model = keras.Model(inputs, x)
    model.layers[-1].bias.assign([1.0, 2.0])
    before = penalty(model)
    for _ in range(times):
        add_starting_point(model, 0.3)
    np.testing.assert_allclose(penalty(model), before, rtol=1e-6)
    shift(model.get_layer("body").weights, 0.1)
    kernel = np.array(model.get_layer("body").kernel)
    expected = 0.01 * (kernel**2).sum() + 0.03 + 0.15 * 0.01 * 8
    np.testing.assert_allclose(penalty(model), expected, rtol=1e-5)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(penalty(again), expected, rtol=1e-5)


def test_an_excluded_model_is_left_alone_with_all_inside(make):
    model = make("nested")
    add_starting_point(model, 0.3, exclude=["encoder"])
    assert len(model.losses) == 2
    model = make("nested")
    add_starting_point(model, 0.3, exclude=["encoder/backbone/dense", "head"])
    assert not model.losses


def test_an_excluded_name_does_not_exclude_longer_names():
    inputs = x = keras.Input((3,))
    for name in ("dense", "dense_1", "dense_10"):
        x = layers.Dense(3, name=name)(x)
    model = keras.Model(inputs, x)
    add_starting_point(model, 0.3, exclude=["dense_1"])
    kept = [layer.name for layer in model.layers if layer.losses]
    assert kept == ["dense", "dense_10"]


def test_all_of_a_bidirectional_head_is_the_head():
    inputs = keras.Input((4, 3))
    x = layers.Dense(3, name="body")(inputs)
    x = layers.Bidirectional(layers.LSTM(2), name="head")(x)
    model = keras.Model(inputs, x)
    add_starting_point(model, 0.3)
    assert {w.path.split("/")[0] for w in _pulled(model)} == {"body"}


def _pulled(model):
    return [w for w in model.trainable_variables if w.regularizer is not None]


def test_weights_that_are_frozen_now_are_pulled_once_they_train():
    inputs = keras.Input((4,))
    body = layers.Dense(3, name="body")
    model = keras.Model(inputs, layers.Dense(2, name="head")(body(inputs)))
    body.trainable = False
    add_starting_point(model, 0.3)
    body.trainable = True
    assert {w.path for w in _pulled(model)} == {"body/kernel", "body/bias"}


def test_a_tied_weight_of_an_excluded_layer_is_left_alone():
    inputs = keras.Input((4,))
    tied = layers.Dense(4, name="tied")
    inner = keras.Model(inputs, tied(inputs), name="backbone")
    model = keras.Model(inputs, tied(inner(inputs)))
    add_starting_point(model, 0.3, exclude=["tied"])
    assert not model.losses


@pytest.mark.slow
def test_the_start_does_not_follow_the_weight(make, rng, penalty):
    model = make("dense")
    add_starting_point(model, 0.3, exclude=[])
    model.compile("adam", "mse")
    model.fit(rng.normal(size=(8, 4)), np.ones((8, 2)), verbose=0)
    assert penalty(model) > 0.0


def test_the_model_is_returned_and_computes_as_before(make, rng):
    model, x = make("nested"), rng.normal(size=(3, 4)).astype("float32")
    before = np.asarray(model(x))
    assert add_starting_point(model) is model
    np.testing.assert_array_equal(model(x), before)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: layers.MultiHeadAttention(2, 3, name="attention"),
        lambda: layers.GroupQueryAttention(3, 4, 2, name="attention"),
    ],
    ids=["multi head", "group query"],
)
class TestHiddenLayers:
    def test_what_cannot_be_saved_is_warned_about(self, layer, shift, penalty):
        model = attention(layer())
        with pytest.warns(UserWarning, match="will not save.*attention/"):
            add_starting_point(model, 0.3)
        assert penalty(model) == 0.0
        count = shift(model.get_layer("attention").trainable_variables, 0.1)
        np.testing.assert_allclose(
            penalty(model), 0.15 * 0.01 * count, rtol=1e-4
        )

    def test_the_model_can_be_saved_all_the_same(
        self, layer, rng, tmp_path, penalty
    ):
        warnings.simplefilter("ignore", UserWarning)
        model = add_starting_point(attention(layer()), 0.3)
        model.save(tmp_path / "model.keras")
        again = keras.models.load_model(tmp_path / "model.keras")
        x = rng.normal(size=(2, 4, 6)).astype("float32")
        np.testing.assert_allclose(again(x), model(x), rtol=1e-6)
        assert penalty(again) == 0.0


def test_an_ordinary_model_warns_of_nothing(make):
    warnings.simplefilter("error")
    # Keras's own, of its variables.
    warnings.filterwarnings("ignore", "__array__", DeprecationWarning)
    add_starting_point(make("dense"))


def test_nothing_is_pulled_at_strength_zero(make, shift, penalty):
    model = add_starting_point(make("dense"), 0.0)
    shift(model.trainable_variables, 1.0)
    assert penalty(model) == 0.0


@pytest.mark.parametrize("strength", [-0.1, np.nan, np.inf, "0.1", None])
def test_a_wrong_strength_changes_nothing(make, strength):
    model = make("dense")
    with pytest.raises(ValueError, match=r"`strength`.*Received"):
        add_starting_point(model, strength)
    assert not model.losses


def test_an_unknown_path_changes_nothing(make):
    model = make("nested")
    with pytest.raises(ValueError, match="encoder/backbone/dense"):
        add_starting_point(model, 0.3, exclude=["backbone/dense"])
    assert not model.losses
    assert "encoder/backbone/dense" in dict(walk(model))


def test_a_string_of_one_path_is_a_path_or_refused_as_such(make):
    model = make("nested")
    try:
        add_starting_point(model, 0.3, exclude="head")
    except ValueError as error:
        message = str(error)
    else:
        message = "'head'"
    assert "'head'" in message


def test_an_unbuilt_model_is_refused():
    model = keras.Sequential([layers.Dense(3), layers.Dense(2)])
    with pytest.raises(ValueError, match=r"`model`.*built"):
        add_starting_point(model)
    with pytest.raises(ValueError, match=r"`model`.*built"):
        add_starting_point(layers.Dense(3))


def test_lora_comes_before_starting_points_or_is_told_to():
    def dense():
        inputs = keras.Input((3,))
        x = layers.Dense(4, name="features")(inputs)
        return keras.Model(inputs, layers.Dense(2, name="head")(x))

    model = add_starting_point(dense())
    model.get_layer("features").enable_lora(2)
    with pytest.raises(ValueError, match="`enable_lora` first"):
        _ = model.losses
    model = dense()
    model.get_layer("features").enable_lora(2)
    with pytest.warns(UserWarning, match="lora_kernel_a"):
        add_starting_point(model)
    assert float(sum(model.losses)) == 0.0
