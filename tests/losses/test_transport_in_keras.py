"""The transport loss where Keras users already are."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_otreg import losses, ot
from keras_otreg.ot.costs import COSTS

Transport = losses.RepresentationTransport
# Shapes do not depend on the number of iterations.
FEW = ot.Sinkhorn(3, accelerated=False)


@pytest.fixture
def network():
    def make(width, name):
        inputs = keras.Input((6,))
        x = layers.Dense(width, activation="relu", name="features")(inputs)
        return keras.Model(inputs, layers.Dense(3, name="head")(x), name=name)

    return make


@pytest.fixture
def data(rng):
    x = rng.normal(size=(11, 6)).astype("float32")
    return x, rng.integers(0, 3, size=11)


@pytest.mark.repeats
@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.parametrize(
    ("cost", "plan"),
    [("euclidean", "transport"), *((cost, "uniform") for cost in COSTS)],
)
def test_eager_graph_and_xla_agree(pair, compiled, cost, plan):
    teacher, student = (x.astype("float32") for x in pair(5, 6))
    loss = Transport(cost, 0.3, plan=plan)
    eager = loss(teacher, student)
    for jit_compile in (False, True):
        run = compiled(loss, jit_compile=jit_compile)
        np.testing.assert_allclose(run(teacher, student), eager, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "jit_compile", [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_the_batch_size_may_be_unknown(pair, compiled, jit_compile):
    import tensorflow as tf

    loss = Transport(epsilon=0.3, solver=FEW)
    run = compiled(
        loss,
        jit_compile=jit_compile,
        input_signature=[
            tf.TensorSpec((None, 5), "float64"),
            tf.TensorSpec((None, 6), "float64"),
            tf.TensorSpec((None,), "float64"),
        ],
    )
    for samples in (1, 7):
        features = pair(5, 6, samples=samples)
        weights = np.arange(1.0, samples + 1)
        np.testing.assert_allclose(
            run(*features, weights), loss(*features, weights), rtol=1e-4
        )


@pytest.mark.slow
@pytest.mark.tensorflow
def test_maps_may_be_of_unknown_size(pair, compiled):
    import tensorflow as tf

    teacher, student = pair(4, 5, inner=(3, 2))
    loss = Transport(epsilon=0.3, spatial="keep", solver=FEW)
    run = compiled(
        loss,
        input_signature=[
            tf.TensorSpec((None, None, None, width), "float64")
            for width in (4, 5)
        ],
    )
    np.testing.assert_allclose(
        run(teacher, student), loss(teacher, student), rtol=1e-4
    )


@pytest.mark.slow
def test_unequal_maps_are_pooled_to_the_smaller(pair, smooth):
    (teacher, _), (_, student) = pair(4, 4, (4, 6)), pair(5, 5, (2, 3))
    loss = smooth(spatial="keep")
    pooled = teacher.reshape(7, 2, 2, 3, 2, 4).mean(axis=(2, 4))
    np.testing.assert_allclose(
        loss(teacher, student), loss(pooled, student), rtol=1e-5
    )
    small = smooth(spatial="pool")
    np.testing.assert_allclose(
        small(teacher, student), small(pooled, student), rtol=1e-7
    )


@pytest.mark.slow
@pytest.mark.compiled
def test_it_is_a_loss_to_compile_with(network, data):
    model, (x, _) = network(4, "student"), data
    targets = np.random.default_rng(1).normal(size=(11, 5)).astype("float32")
    loss = Transport("squared_euclidean", epsilon=0.3)
    model.compile("sgd", loss=loss)
    history = model.fit(x, targets, batch_size=4, epochs=3, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert history.history["loss"][-1] < history.history["loss"][0]
    weights = np.arange(11.0)
    value = model.evaluate(
        x, targets, sample_weight=weights, batch_size=11, verbose=0
    )
    np.testing.assert_allclose(
        value, loss(targets, model(x), weights), rtol=1e-3
    )


@pytest.mark.slow
def test_it_works_inside_the_distiller_of_keras(network, data):
    teacher, student = network(9, "teacher"), network(4, "student")
    before = [w.numpy() for w in teacher.weights]
    distiller = keras.distillation.Distiller(
        teacher,
        student,
        distillation_losses=keras.distillation.FeatureDistillation(
            loss=Transport(epsilon=0.3),
            teacher_layer_name="features",
            student_layer_name="features",
        ),
    )
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(True)
    distiller.compile("adam", loss=cross_entropy)
    history = distiller.fit(*data, batch_size=4, epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert history.history["distillation_loss"][0] > 0.0
    for old, new in zip(before, teacher.weights, strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.slow
@pytest.mark.parametrize(
    "loss", [Transport, losses.SinkhornDivergence], ids=lambda x: x.__name__
)
def test_features_may_carry_a_mask(rng, loss):
    inputs = keras.Input((4,), dtype="int32")
    outputs = layers.Embedding(6, 5, mask_zero=True)(inputs)
    model = keras.Model(inputs, outputs)
    tokens = np.array([[1, 2, 0, 0], [3, 4, 5, 0], [1, 1, 1, 1]])
    targets = rng.normal(size=(3, 4, 5)).astype("float32")
    loss, prediction = loss(epsilon=0.3), model(tokens)
    assert prediction._keras_mask is not None
    expected = loss(targets, np.asarray(prediction))
    np.testing.assert_allclose(loss(targets, prediction), expected, rtol=1e-5)
    model.compile("sgd", loss=loss)
    np.testing.assert_allclose(
        model.evaluate(tokens, targets, verbose=0), expected, rtol=1e-4
    )
    if isinstance(loss, Transport):
        model.fit(tokens, targets, verbose=0)
