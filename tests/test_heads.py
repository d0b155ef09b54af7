import keras
import numpy as np
import pytest

from keras_otreg import heads, solve_head

layers = keras.layers


def classifier(units, activation, inputs=6):
    x = keras.Input((inputs,))
    return keras.Model(x, layers.Dense(units, activation)(x))


@pytest.fixture
def samples(rng):
    x = rng.normal(size=(60, 6)).astype("float32")
    return x, (x[:, 0] > 0).astype(int) + (x[:, 1] > 0)


@pytest.mark.parametrize("count", [60, 4])
def test_it_is_the_solution_of_scikit_learn(samples, count):
    linear = pytest.importorskip("sklearn.linear_model")
    x, y = samples[0][:count], np.arange(count) % 3
    model = classifier(3, "softmax")
    solved = solve_head(model, x, y, l2=0.1)
    assert solved.gradient < 1e-6
    expected = linear.LogisticRegression(C=1 / (0.1 * count), tol=1e-10)
    expected.fit(x, y)
    kernel, bias = model.layers[-1].get_weights()
    np.testing.assert_allclose(kernel, expected.coef_.T, atol=1e-4)
    # That of scikit-learn is known up to a constant.
    gap = bias - expected.intercept_
    np.testing.assert_allclose(gap, gap.mean(), atol=1e-3)


@pytest.mark.slow
def test_a_strength_may_be_chosen_by_the_cross_entropy(samples):
    x, y = samples
    model = classifier(3, "softmax")
    head, body, several = heads.parts_of(model)
    data, held = (
        heads.read(body, part, 3, several)
        for part in ((x[:20], y[:20]), (x[20:], y[20:]))
    )
    chosen = heads.solve(head, data, "validation", held, by_loss=True)
    losses = {
        strength: -held.score(data.solved(strength)[0])[1]
        for strength in heads.STRENGTHS
    }
    least = min(losses, key=losses.get)
    assert chosen.l2 == pytest.approx(least * data.scale**2)


def test_a_head_without_bias_is_solved_without_one(samples):
    linear = pytest.importorskip("sklearn.linear_model")
    x, y = samples[0] + 2.0, samples[1]
    inputs = keras.Input((6,))
    head = layers.Dense(3, "softmax", use_bias=False)
    model = keras.Model(inputs, head(inputs))
    solve_head(model, x, y, l2=0.1)
    expected = linear.LogisticRegression(
        C=1 / (0.1 * len(x)), tol=1e-10, fit_intercept=False
    )
    expected.fit(x, y)
    kernel = head.get_weights()[0]
    np.testing.assert_allclose(kernel, expected.coef_.T, atol=1e-3)


@pytest.mark.parametrize(
    ("units", "activation"), [(1, "sigmoid"), (2, None), (2, "softmax")]
)
def test_two_classes_may_be_told_by_one_unit_or_two(samples, units, activation):
    x, y = samples[0], samples[1] > 0
    model = classifier(units, activation)
    solve_head(model, x, y, l2=1e-4)
    found = model.predict(x, verbose=0)
    told = found[:, 0] > 0.5 if units == 1 else found.argmax(axis=1) == 1
    assert (told == y).mean() > 0.9


@pytest.mark.slow
def test_several_labels_are_solved_one_by_one(samples):
    x = samples[0]
    y = (x[:, :3] > 0).astype(int)
    model = classifier(3, "sigmoid")
    solved = solve_head(model, x, y)
    assert solved.validation > 0.8
    alone = classifier(1, "sigmoid")
    solve_head(alone, x, y[:, 1], l2=solved.l2)
    np.testing.assert_allclose(
        model.layers[-1].get_weights()[0][:, 1:2],
        alone.layers[-1].get_weights()[0],
        rtol=3e-2,
        atol=1e-3,
    )


@pytest.mark.slow
def test_separable_samples_stay_finite_and_the_body_stays(samples):
    x, y = samples[0], (samples[0][:, 0] > 0).astype(int)
    body = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(8, activation="tanh"),
            layers.Dense(2),
            layers.Softmax(),
        ]
    )
    before = body.layers[0].get_weights()
    solved = solve_head(body, x, y, validation=(x, y))
    assert np.isfinite(solved.loss)
    assert solved.validation > 0.9
    for one, other in zip(before, body.layers[0].get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
@pytest.mark.tensorflow
def test_weights_of_a_data_set_count_samples(samples):
    import tensorflow as tf

    x, y = samples
    weights = np.arange(60) % 3
    repeated = [np.repeat(each, weights, axis=0) for each in (x, y)]
    rows = tf.data.Dataset.from_tensor_slices((x, y, weights))
    kernels = []
    for data in ((rows.batch(7),), repeated):
        model = classifier(3, "softmax")
        # Features are scaled by their own deviation, l2 is not.
        solve_head(model, *data, l2=0.1)
        kernels.append(model.layers[-1].get_weights()[0])
    np.testing.assert_allclose(*kernels, atol=1e-4)
    solved = solve_head(model, x, y, validation=rows.batch(7))
    assert solved.validation > 0.8


@pytest.mark.parametrize(
    ("model", "y", "message"),
    [
        (classifier(3, "softmax"), np.full(60, 3), "labels from 0 to 2"),
        (classifier(3, "softmax"), np.full(60, 0.5), "labels such as 0.5"),
        (classifier(3, "softmax"), np.full(60, np.nan), "60 values not finite"),
        (classifier(3, "softmax"), ["a"] * 60, "finite numbers"),
        (classifier(3, "softmax"), np.zeros(50, int), r"lengths \[50, 60\]"),
        (classifier(3, "softmax"), np.ones((60, 2)), "3 targets"),
        (
            keras.Sequential([keras.Input((6,)), layers.BatchNormalization()]),
            np.zeros(60),
            "last layer with weights is a `Dense`",
        ),
        (
            keras.Sequential([keras.Input((6, 2)), layers.Dense(3)]),
            np.zeros(60),
            r"features of shape \(None, 6, 2\)",
        ),
    ],
)
def test_labels_and_heads_that_do_not_fit_are_refused(
    samples, model, y, message
):
    with pytest.raises(ValueError, match=message):
        solve_head(model, samples[0], y)


def test_a_strength_that_is_none_is_refused_with_the_word_that_is_one(samples):
    with pytest.raises(ValueError, match="or 'validation'.*l2='auto'"):
        solve_head(classifier(3, "softmax"), *samples, l2="auto")


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((0, 6)), np.zeros(0), "arrays of one length"),
        (np.full((60, 6), np.nan), np.zeros(60), "360 values not finite"),
    ],
)
def test_samples_that_tell_nothing_are_refused(x, y, message):
    body = keras.Sequential([keras.Input((6,)), layers.Dense(3, "softmax")])
    with pytest.raises(ValueError, match=message):
        solve_head(body, x, y)
