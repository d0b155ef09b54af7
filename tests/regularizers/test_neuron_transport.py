import keras
import numpy as np
import pytest
from keras import layers, ops
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from keras_otreg import add_starting_point
from keras_otreg.regularizers import NeuronTransport, StartingPoint


@pytest.fixture
def kernels(rng):
    """A starting point, and a kernel whose neurons are in another order."""
    start = rng.normal(size=(3, 3, 4, 6))
    moved = start[..., rng.permutation(6)]
    return start, moved + 0.1 * rng.normal(size=start.shape)


def no_loss(y_true, y_pred):
    return 0.0 * y_pred[:, 0]


def columns(kernel):
    return kernel.reshape(-1, kernel.shape[-1]).T


def test_the_value_by_hand():
    # Neurons (0, 0) and (9, 0) are now (9, 1) and (0, 2), in this order.
    start = np.array([[0.0, 9.0], [0.0, 0.0]])
    kernel = np.array([[9.0, 0.0], [1.0, 2.0]])
    value = NeuronTransport(start, 0.2)(kernel)
    np.testing.assert_allclose(value, 0.2 / 2 * (1 + 4), rtol=1e-4)
    assert float(StartingPoint(start, 0.2)(kernel)) > 10.0


def test_it_is_the_best_assignment_of_neurons(kernels):
    start, kernel = kernels
    C = cdist(columns(start), columns(kernel), "sqeuclidean")
    expected = 0.3 / 2 * C[linear_sum_assignment(C)].sum()
    value = NeuronTransport(start, 0.3, epsilon=0.01)(kernel)
    np.testing.assert_allclose(value, expected, rtol=1e-3)
    assert float(value) < 0.2 * float(StartingPoint(start, 0.3)(kernel))


def test_neurons_in_their_places_cost_what_the_starting_point_does(rng):
    start = rng.normal(size=(20, 6))
    kernel = start + 0.1 * rng.normal(size=start.shape)
    np.testing.assert_allclose(
        NeuronTransport(start, 0.3)(kernel),
        StartingPoint(start, 0.3)(kernel),
        rtol=1e-4,
    )


def test_the_order_of_neurons_does_not_matter(kernels, rng):
    start, kernel = kernels
    order = rng.permutation(6)
    np.testing.assert_allclose(
        NeuronTransport(start, 0.3)(kernel[..., order]),
        NeuronTransport(start, 0.3)(kernel),
        rtol=1e-4,
    )
    assert float(NeuronTransport(start, 1.0)(start[..., order])) < 1e-4


def test_the_order_of_inputs_matters(kernels):
    start, _ = kernels
    assert float(NeuronTransport(start, 1.0)(start[:, :, ::-1])) > 1.0


def test_the_gradient_pulls_each_neuron_to_the_one_it_comes_from(
    rng, value_and_gradients
):
    start = rng.normal(size=(20, 6))
    order = rng.permutation(6)
    kernel = start[:, order] + 0.1 * rng.normal(size=start.shape)
    penalty = NeuronTransport(start, 0.3, epsilon=0.02)
    _, (slope,) = value_and_gradients(penalty)(kernel)
    np.testing.assert_allclose(
        slope,
        0.3 * (kernel - start[:, order]),
        rtol=1e-2,
        atol=1e-4,
    )


@pytest.mark.parametrize(
    "start",
    [np.ones((3, 5)), np.zeros((3, 5)), np.eye(4), np.ones(5), np.ones(())],
    ids=["equal", "zero", "eye", "vector", "scalar"],
)
def test_at_the_start_value_and_gradient_are_zero(start, value_and_gradients):
    penalty = value_and_gradients(NeuronTransport(start, 1.0))
    value, (slope,) = penalty(start.astype("float32"))
    np.testing.assert_allclose(value, 0.0, atol=1e-5)
    np.testing.assert_allclose(slope, 0.0, atol=1e-5)


@pytest.mark.release
def test_a_narrow_layer_can_start_from_a_wide_one(rng):
    start = rng.normal(size=(8, 6))
    narrow = start[:, [4, 1, 3]]
    value = float(NeuronTransport(start, 1.0)(narrow))
    # Half of the wide layer's neurons have no like in the narrow one.
    C = cdist(start.T, narrow.T, "sqeuclidean")
    doubled = np.repeat(C, 2, axis=1)[:, : 2 * 3]
    expected = 0.5 * 3 * doubled[linear_sum_assignment(doubled)].sum() / 6
    np.testing.assert_allclose(value, expected, rtol=2e-2)


@pytest.mark.parametrize("count", [6, 3, 4])
def test_biases_are_transported_exactly(rng, value_and_gradients, count):
    start = rng.normal(size=6).astype("float32")
    bias = rng.normal(size=count).astype("float32")
    value = float(NeuronTransport(start, 1.0, epsilon=1.0)(bias))
    # Copies of equal mass, which an assignment pairs.
    copies = np.repeat(start, 2), np.repeat(bias, 12 // count)
    C = np.square(copies[0][:, None] - copies[1])
    expected = 0.5 * count * C[linear_sum_assignment(C)].mean()
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    penalty = NeuronTransport(start, 2.0)
    _, (slope,) = value_and_gradients(penalty)(start[::-1].copy())
    np.testing.assert_array_equal(slope, np.zeros(6))


def test_a_depthwise_kernel_is_one_point(rng):
    start, kernel = rng.normal(size=(2, 3, 3, 8, 1))
    np.testing.assert_allclose(
        NeuronTransport(start, 0.3)(kernel),
        StartingPoint(start, 0.3)(kernel),
        rtol=1e-5,
    )


@pytest.mark.release
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_the_penalty_has_the_dtype_of_the_weight(rng, dtype):
    start, kernel = rng.normal(size=(2, 8, 4))
    value = NeuronTransport(start, 0.3)(ops.cast(kernel, dtype))
    assert keras.backend.standardize_dtype(value.dtype) == dtype
    np.testing.assert_allclose(
        ops.cast(value, "float32"),
        NeuronTransport(start, 0.3)(kernel),
        rtol=2e-2,
    )


@pytest.mark.release
@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (lambda **k: layers.Dense(4, **k), (5,)),
        (lambda **k: layers.Conv2D(4, 3, **k), (5, 5, 2)),
    ],
    ids=["dense", "conv"],
)
def test_it_sits_in_a_layer_trains_and_is_saved(
    layer, shape, jit_compile, tmp_path, rng
):
    kernel = layer()
    kernel.build((None, *shape))
    start = rng.normal(size=kernel.kernel.shape)
    inputs = keras.Input(shape)
    body = layer(kernel_regularizer=NeuronTransport(start, 1.0), name="body")
    model = keras.Model(inputs, layers.Flatten()(body(inputs)))
    model.compile(
        keras.optimizers.SGD(0.5),
        no_loss,
        jit_compile=jit_compile,
    )
    data = np.zeros((4, *shape)), np.zeros(4)
    history = model.fit(*data, epochs=12, verbose=0).history["loss"]
    assert history[-1] < 1e-2 * history[0]
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", compile=False)
    np.testing.assert_allclose(again.losses, model.losses, rtol=1e-5)
    regularizer = again.get_layer("body").kernel_regularizer
    np.testing.assert_array_equal(regularizer.start, start)


@pytest.mark.release
@pytest.mark.parametrize(
    "kind", ["nested", "conv", "depthwise", "separable", "lstm", "prelu"]
)
def test_it_goes_on_a_whole_model(make, kind, shift, penalty, tmp_path):
    model = make(kind)
    add_starting_point(model, 0.3, regularizer=NeuronTransport)
    blur = penalty(model)
    heads = [w for w in model.trainable_variables if "head" in w.path]
    assert len(model.losses) == len(model.trainable_variables) - len(heads)
    shift(model.trainable_variables, 0.3)
    expected = penalty(model)
    assert blur < 0.1 * expected
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(penalty(again), expected, rtol=1e-5)


@pytest.mark.release
@pytest.mark.parametrize(
    ("first", "then"),
    [(StartingPoint, NeuronTransport), (NeuronTransport, StartingPoint)],
)
def test_one_form_replaces_the_other(make, shift, penalty, first, then):
    model = make("dense")
    add_starting_point(model, 0.3, regularizer=first)
    shift(model.trainable_variables, 0.1)
    number = len(model.losses)
    add_starting_point(model, 0.3, regularizer=then)
    assert len(model.losses) == number
    at_start = penalty(model)
    shift(model.trainable_variables, 1.0)
    assert at_start < 0.01 * penalty(model)
    assert isinstance(model.layers[1].kernel_regularizer, then)


def test_inputs_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"\(3, 2\).*\(2, 2\)"):
        NeuronTransport(np.ones((3, 2)), 1.0)(np.ones((2, 2)))


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        *(("strength", x) for x in (-1, np.nan, "1", None, True)),
        *(("epsilon", x) for x in (0.0, -1, np.inf, "1", None, True)),
        *(("start", x) for x in ([np.nan, 1.0], [], None, "zeros")),
    ],
)
def test_a_wrong_argument_is_refused(argument, value):
    arguments = {"start": np.ones((3, 2)), "strength": 1.0, argument: value}
    with pytest.raises(ValueError, match=rf"`{argument}`.*Received"):
        NeuronTransport(**arguments)


@pytest.mark.release
@pytest.mark.parametrize("kind", ["conv", "transposed"])
def test_a_layer_is_pulled_as_a_set_of_its_neurons(make, penalty, kind, rng):
    model = make(kind)
    add_starting_point(model, 1.0, regularizer=NeuronTransport)
    kernel = model.layers[1].kernel
    outputs, inputs = (-2, -1) if kind == "transposed" else (-1, -2)
    kernel.assign(rng.normal(size=kernel.shape))
    add_starting_point(model, 1.0, regularizer=NeuronTransport)
    at_start, start = penalty(model), np.array(kernel)
    costs = []
    for axis in (outputs, inputs):
        kernel.assign(np.flip(start, axis))
        costs.append(penalty(model) - at_start)
    assert abs(costs[0]) < 1e-3
    assert costs[1] > 0.1


def test_the_axis_of_neurons_is_one_of_the_weight(rng):
    start = rng.normal(size=(3, 4, 5))
    assert NeuronTransport(start, 1.0, axis=1).axis == -2
    for axis in (3, -4, True, 0.5):
        with pytest.raises(ValueError, match="axis"):
            NeuronTransport(start, 1.0, axis=axis)
    with pytest.raises(ValueError, match="all but axis -2"):
        NeuronTransport(start, 1.0, axis=-2)(rng.normal(size=(3, 4, 6)))


def test_rows_of_unequal_lengths_are_refused_as_such():
    with pytest.raises(ValueError, match="`start`.*unequal lengths"):
        NeuronTransport([[1, 2], [3]], 1.0)


@pytest.mark.compiled
def test_the_gradient_of_a_bias_at_its_start_is_that_of_float64(
    value_and_gradients,
):
    # All that is left of it is the blur of the plan.
    for seed in range(4):
        start = np.random.default_rng(seed).normal(size=6)
        exact, single = (
            value_and_gradients(NeuronTransport(x, 2.0, epsilon=0.01))(x)[1][0]
            for x in (start, start.astype("float32"))
        )
        np.testing.assert_allclose(single, exact, atol=2e-3)
