import keras
import numpy as np
import pytest

import keras_otreg as otreg


@pytest.mark.release
@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "jit_compile", [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_a_step_is_traced_once(samples, compiled, jit_compile):
    class Counted(otreg.TransferModel):
        traced = 0

        def train_step(self, data):
            type(self).traced += 1
            return super().train_step(data)

    loss = otreg.losses.RepresentationTransport()
    penalty = otreg.Penalty(loss, at="features")
    model = compiled(
        Counted(dense(5, 1, inputs=8), penalties=[penalty]),
        jit_compile=jit_compile,
    )
    model.fit(*samples, batch_size=22, epochs=2, verbose=0)
    assert Counted.traced == 1
    assert model.optimizer.iterations == 2


def dense(width, seed, inputs=4):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((inputs,))
    x = keras.layers.Dense(width, name="features")(inputs)
    return keras.Model(inputs, keras.layers.Dense(3, "softmax", name="head")(x))


@pytest.mark.release
@pytest.mark.compiled
@pytest.mark.tensorflow
def test_a_graph_of_a_step_does_what_an_eager_step_does(samples):
    """With all that a step may have: penalties, state and a source task."""
    import tensorflow as tf

    x, y = samples
    rows = tf.data.Dataset.from_tensor_slices
    data = otreg.data.with_unlabelled(
        rows((x[:8], y[:8])).batch(4), rows(x[8:]).batch(4)
    )
    data = otreg.data.paired(data, rows((x, y)).batch(4))
    found = []
    for run_eagerly in (True, False):
        keras.utils.set_random_seed(4)
        task = otreg.SourceTask(
            keras.layers.Dense(3, "softmax"),
            at="features",
            loss="sparse_categorical_crossentropy",
            transport=otreg.losses.ClassTransport(1.0 - np.eye(3)),
        )
        penalties = [
            otreg.Penalty(otreg.losses.RepresentationTransport(), "features"),
            otreg.Penalty(otreg.losses.Hint(), "features"),
            otreg.WeightPenalty(at="head"),
        ]
        model = otreg.TransferModel(
            dense(5, 1, inputs=8),
            dense(6, 2, inputs=8),
            penalties,
            source_task=task,
        )
        model.compile(
            keras.optimizers.SGD(0.1),
            "sparse_categorical_crossentropy",
            run_eagerly=run_eagerly,
            jit_compile=False,
        )
        logs = model.fit(data, verbose=0).history
        found.append([logs, model.evaluate(x, y, verbose=0)])
        found[-1] += [keras.ops.convert_to_numpy(v) for v in model.weights]
    for eager, graph in zip(*map(keras.tree.flatten, found), strict=True):
        np.testing.assert_allclose(eager, graph, rtol=1e-3, atol=1e-5)


@pytest.fixture
def fitted(rng):
    """A model with an adapter that has trained and predicted, and its data."""
    x = rng.normal(size=(8, 4)).astype("float32")
    y = rng.integers(0, 3, size=8)
    penalty = otreg.Penalty(otreg.losses.Hint(), at="features")
    model = otreg.TransferModel(dense(5, 1), dense(6, 2), [penalty])
    loss = "sparse_categorical_crossentropy"
    model.compile("sgd", loss, run_eagerly=False)
    model.fit(x, y, verbose=0)
    model.predict(x, verbose=0)
    return model, x, y


@pytest.mark.release
def test_a_quantised_student_is_what_predicts_and_what_is_saved(
    fitted, tmp_path
):
    model, x, y = fitted
    before = model.predict(x, verbose=0)
    model.quantize("int8")
    after = model.predict(x, verbose=0)
    np.testing.assert_array_equal(after, model.student.predict(x, verbose=0))
    assert np.abs(after - before).max() > 0
    logs = model.evaluate(x, y, verbose=0, return_dict=True)
    assert logs["loss"] - logs["hint"] == pytest.approx(
        -np.log(after[np.arange(8), y]).mean(), rel=1e-4
    )
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict(x, verbose=0), after, rtol=1e-6)


@pytest.mark.release
def test_layers_that_were_unfrozen_train_or_ask_to_compile(fitted):
    model, x, y = fitted
    head = model.student.layers[-1]
    head.trainable = False
    before = head.get_weights()[0]
    model.fit(x, y, verbose=0)
    np.testing.assert_array_equal(head.get_weights()[0], before)
    head.trainable = True
    model.fit(x, y, verbose=0)
    assert np.abs(head.get_weights()[0] - before).max() > 0
    model.student.get_layer("features").enable_lora(2)
    with pytest.raises(ValueError, match="nknown variable"):
        model.fit(x, y, verbose=0)
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(x, y, verbose=0)


def test_a_teacher_that_cannot_be_compiled_is_not():
    teacher = dense(5, 2)
    teacher.get_layer("features").supports_jit = False
    penalty = otreg.Penalty(otreg.losses.FeatureMap(), at="features")
    model = otreg.TransferModel(dense(5, 1), teacher, [penalty])
    with pytest.warns(UserWarning, match="support `jit_compile=True`"):
        model.compile("sgd", "mse", jit_compile=True)
    assert not model.jit_compile
    with_itself = otreg.TransferModel(dense(5, 1), penalties=[penalty])
    assert with_itself.supports_jit


@pytest.mark.release
def test_a_step_that_a_user_has_set_stays_set(fitted):
    model, x, y = fitted
    steps, own = [], model.train_step

    def train_step(*arguments):
        steps.append(1)
        return own(*arguments)

    model.train_step = train_step
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(x, y, verbose=0)
    assert model.train_step is train_step
    assert steps
