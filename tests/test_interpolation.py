import keras
import numpy as np
import pytest

from keras_otreg import between

layers = keras.layers


def network(seed):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((4,))
    x = layers.Dense(6, name="features")(inputs)
    x = layers.Dropout(0.5)(layers.BatchNormalization()(x))
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(x))


def weights(model):
    return [keras.ops.convert_to_numpy(w) for w in model.weights]


def test_the_ends_are_the_networks_to_the_last_bit():
    ends = network(1), network(2)
    for share, end in zip((0.0, 1.0), ends, strict=True):
        found = weights(between(*ends, share))
        for one, other in zip(found, weights(end), strict=True):
            if one.dtype == np.float32:
                np.testing.assert_array_equal(one, other)


def test_half_way_is_the_mean_and_changes_neither_end():
    ends = network(1), network(2)
    before = [weights(end) for end in ends]
    found = between(*ends, 0.5).get_layer("features").get_weights()[0]
    kernels = [end.get_layer("features").get_weights()[0] for end in ends]
    np.testing.assert_allclose(found, np.mean(kernels, axis=0), rtol=1e-6)
    for old, end in zip(before, ends, strict=True):
        for one, other in zip(old, weights(end), strict=True):
            np.testing.assert_array_equal(one, other)


def test_statistics_are_those_of_the_samples(rng):
    x = rng.normal(3.0, 2.0, size=(50, 4)).astype("float32")
    model = between(network(1), network(2), 0.5, samples=x)
    norm = model.layers[2]
    inner = keras.Model(model.input, norm.input).predict(x, verbose=0)
    np.testing.assert_allclose(norm.moving_mean, inner.mean(0), rtol=1e-4)
    np.testing.assert_allclose(norm.moving_variance, inner.var(0), rtol=1e-3)


@pytest.mark.slow
def test_the_best_share_in_validation_is_chosen(rng):
    x = rng.normal(size=(80, 4)).astype("float32")
    ends = network(1), network(2)
    best = between(*ends, 0.75)
    y = best.predict(x, verbose=0).argmax(axis=1)
    found = between(*ends, "validation", validation=(x, y))
    np.testing.assert_allclose(found.predict(x), best.predict(x), atol=1e-6)


@pytest.mark.parametrize("share", [-0.1, 1.5, "half"])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ValueError, match="from 0 to 1"):
        between(network(1), network(2), share)


def test_other_networks_are_refused():
    inputs = keras.Input((4,))
    other = keras.Model(inputs, layers.Dense(2)(inputs))
    with pytest.raises(ValueError, match="weights of the same"):
        between(network(1), other, 0.5)
    with pytest.raises(ValueError, match="`validation` data"):
        between(network(1), network(2), "validation")
