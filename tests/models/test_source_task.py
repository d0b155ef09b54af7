import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_otreg as otreg

COSTS = np.random.default_rng(5).random((5, 3))


def small_student():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((8,))
    x = keras.layers.Dense(12, activation="relu", name="features")(inputs)
    x = keras.layers.Dense(3, activation="softmax", name="head")(x)
    return keras.Model(inputs, x, name="student")


def source_task(units=5, activation="softmax", at="features", **kwargs):
    head = keras.layers.Dense(
        units,
        activation=activation,
        kernel_initializer=keras.initializers.GlorotUniform(seed=3),
        name="source_head",
    )
    kwargs.setdefault("transport", otreg.losses.ClassTransport(COSTS))
    loss = kwargs.pop("loss", "sparse_categorical_crossentropy")
    return otreg.SourceTask(head, at, loss, **kwargs)


def joint_model(penalties=(), **kwargs):
    task = source_task(**kwargs)
    model = otreg.TransferModel(
        small_student(), penalties=penalties, source_task=task
    )
    model.compile(
        "adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


@pytest.fixture
def target(rng):
    return rng.normal(size=(20, 8)).astype("float32"), rng.integers(0, 3, 20)


@pytest.fixture
def pairs(target, rng):
    x, y = rng.normal(size=(60, 8)).astype("float32"), rng.integers(0, 5, 60)
    batches = [
        tf.data.Dataset.from_tensor_slices(data).batch(size)
        for data, size in ((target, 10), ((x, y), 30))
    ]
    both = tf.data.Dataset.zip(*batches)
    return both.map(lambda t, s: tuple(zip(t, s, strict=True)))


def fit(model, data, **kwargs):
    return model.fit(data, verbose=0, **kwargs).history


def assert_equal_weights(left, right):
    for x, y in zip(left.get_weights(), right.get_weights(), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.slow
def test_the_total_is_the_papers_objective(pairs):
    model = joint_model(weight=0.7, transport_weight=0.3)
    model.optimizer.learning_rate = 0.0
    logs = fit(model, pairs)
    expected = logs["target_loss"][0] + 0.7 * logs["source_loss"][0]
    expected += 0.3 * logs["source_transport"][0]
    np.testing.assert_allclose(logs["loss"][0], expected, rtol=1e-6)


@pytest.mark.slow
def test_each_term_is_what_the_two_models_say_of_their_samples(pairs):
    model = joint_model()
    model.optimizer.learning_rate = 0.0
    logs = fit(model, pairs)
    xs, ys = (
        np.concatenate([np.array(p[k][1]) for p in pairs]) for k in (0, 1)
    )
    x = np.concatenate([np.array(p[0][0]) for p in pairs])
    crossentropy = keras.losses.SparseCategoricalCrossentropy()
    transport = otreg.losses.ClassTransport(COSTS)
    source = model.source_model
    np.testing.assert_allclose(
        logs["source_loss"][0], crossentropy(ys, source(xs)), rtol=1e-5
    )
    np.testing.assert_allclose(
        logs["source_transport"][0], transport(source(x), model(x)), rtol=1e-4
    )
    accuracy = np.mean(source.predict(xs, verbose=0).argmax(1) == ys)
    np.testing.assert_allclose(logs["source_accuracy"][0], accuracy, rtol=1e-5)


@pytest.mark.slow
def test_transport_weight_zero_is_joint_fine_tuning_to_the_last_bit(pairs):
    with_term = joint_model(transport_weight=0.0)
    without = joint_model(transport=None)
    logs = [fit(model, pairs, epochs=3) for model in (with_term, without)]
    assert_equal_weights(with_term, without)
    assert logs[0]["source_transport"][-1] > 0.0
    assert "source_transport" not in logs[1]


@pytest.mark.slow
def test_both_weights_zero_is_plain_fine_tuning_to_the_last_bit(pairs):
    model = joint_model(weight=0.0, transport_weight=0.0)
    fit(model, pairs, epochs=3)
    plain = small_student()
    plain.compile("adam", loss="sparse_categorical_crossentropy")
    fit(plain, pairs.map(lambda x, y: (x[0], y[0])), epochs=3)
    assert_equal_weights(model.student, plain)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("gradient_to", "moved"),
    [("both", {0, 1}), ("source", {1}), ("target", {0})],
)
def test_gradient_to_says_which_classifier_transport_moves(
    pairs, gradient_to, moved
):
    task = source_task(weight=0.0, gradient_to=gradient_to)
    model = otreg.TransferModel(small_student(), source_task=task)
    model.compile("sgd")
    heads = [model.student.get_layer("head"), model.source_head]
    before = [head.get_weights()[0] for head in heads]
    fit(model, pairs)
    after = [head.get_weights()[0] for head in heads]
    assert moved == {
        k for k in range(2) if not np.array_equal(before[k], after[k])
    }


@pytest.mark.slow
def test_evaluate_and_predict_take_plain_target_data(pairs, target):
    model = joint_model()
    logs = fit(model, pairs, validation_data=target)
    assert {"val_loss", "val_accuracy"} == {k for k in logs if "val_" in k}
    plain = model.student
    plain.compile(loss="sparse_categorical_crossentropy")
    np.testing.assert_allclose(
        model.evaluate(*target, verbose=0)[0],
        plain.evaluate(*target, verbose=0),
        rtol=1e-6,
    )
    assert model.predict(target[0], verbose=0).shape == (20, 3)


@pytest.mark.slow
def test_sample_weights_come_in_pairs(pairs):
    def weighted(x, y):
        ones, zeros = tf.ones(tf.shape(y[0])), tf.zeros(tf.shape(y[1]))
        return x, y, (ones, zeros)

    model = joint_model()
    logs = fit(model, pairs.map(weighted))
    assert logs["source_loss"][0] == 0.0
    assert logs["target_loss"][0] > 0.0


@pytest.mark.slow
def test_it_composes_with_penalties(pairs):
    loss = otreg.losses.RepresentationTransport()
    penalty = otreg.Penalty(loss, at="features", weight=2.0)
    model = joint_model(penalties=[penalty])
    logs = fit(model, pairs, epochs=2)
    assert logs["representation_transport"][-1] > 0.0
    assert np.isfinite(logs["loss"]).all()


@pytest.mark.slow
@pytest.mark.tensorflow
def test_one_forward_pass_over_both_batches(pairs):
    calls = []

    @keras.saving.register_keras_serializable(package="tests")
    class Watch(keras.layers.Layer):
        def call(self, inputs):
            calls.append(inputs.shape[0])
            return inputs

    inputs = keras.Input((8,))
    x = keras.layers.Dense(6, name="features")(Watch()(inputs))
    student = keras.Model(inputs, keras.layers.Dense(3, "softmax")(x))
    model = otreg.TransferModel(student, source_task=source_task())
    model.compile(loss="sparse_categorical_crossentropy", run_eagerly=True)
    calls.clear()
    fit(model, pairs)
    assert calls == [40, 40]


@pytest.mark.slow
@pytest.mark.schedules
def test_it_saves_reloads_and_goes_on(pairs, target, tmp_path):
    model = joint_model(
        transport_weight=keras.optimizers.schedules.ExponentialDecay(
            1.0, 5, 0.5
        )
    )
    fit(model, pairs)
    model.save(tmp_path / "joint.keras")
    loaded = keras.saving.load_model(tmp_path / "joint.keras")
    through, resumed = (fit(m, pairs, epochs=2) for m in (model, loaded))
    for name, values in through.items():
        np.testing.assert_allclose(resumed[name], values, rtol=1e-5)
    x = target[0]
    np.testing.assert_allclose(
        loaded.source_model(x), model.source_model(x), rtol=1e-4
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"units": 4}, r"\(source classes.*\(5, 3\).*4\).*3\)"),
        ({"activation": None}, "source head 'source_head' to return prob"),
        ({"at": "feature"}, "no layer at path 'feature'.*'features'"),
        ({"gradient_to": "none"}, "`gradient_to`"),
        ({"weight": -1.0}, "`weight`"),
        ({"transport_weight": -1.0}, "`transport_weight`"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        joint_model(**options)


def test_a_head_that_does_not_take_the_activations_is_refused():
    task = otreg.SourceTask(keras.layers.Conv2D(5, 3), "features", "mse")
    with pytest.raises(ValueError, match=r"activations at 'features'.*12"):
        otreg.TransferModel(small_student(), source_task=task)


def test_target_data_where_pairs_are_expected_say_how_to_pair(target):
    with pytest.raises(ValueError, match=r"keras_otreg.data.paired"):
        fit(joint_model(), tf.data.Dataset.from_tensors(target))


def test_weights_of_classes_are_refused_with_a_way_out(pairs):
    model = joint_model()
    message = r"class_weight=\{0: 2.0\}.*paired\(\(x, y, weights\)"
    with pytest.raises(ValueError, match=message):
        fit(model, pairs, class_weight={0: 2.0})
    x, y = next(iter(pairs))
    with pytest.raises(ValueError, match=message):
        model.train_on_batch(x, y, class_weight={0: 2.0})


def test_pairs_where_target_data_are_expected_are_refused(pairs):
    with pytest.raises(ValueError, match="Expected target data alone"):
        joint_model().evaluate(pairs, verbose=0)
    plain = otreg.TransferModel(small_student())
    plain.compile(loss="sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="Expected target data alone"):
        fit(plain, pairs)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "units", "one_hot"),
    [("ce", 5, False), ("not_sparse", 5, True), ("ce", 1, False)],
)
def test_accuracy_goes_by_shapes_not_by_the_name_of_the_loss(
    target, rng, name, units, one_hot
):
    x, y = rng.normal(size=(30, 8)), rng.integers(0, max(units, 2), 30)
    losses = keras.losses
    kind = losses.SparseCategoricalCrossentropy
    kind = losses.CategoricalCrossentropy if one_hot else kind
    kind = losses.BinaryCrossentropy if units == 1 else kind
    activation = "sigmoid" if units == 1 else "softmax"
    model = joint_model(
        units=units, activation=activation, loss=kind(name=name), transport=None
    )
    model.optimizer.learning_rate = 0.0
    labels = np.eye(units)[y] if one_hot else y
    data = otreg.data.paired(target, (x, labels), batch_size=20)
    ((_, seen), (_, truth)) = next(iter(data))
    logs = fit(model, data.take(1))
    found = model.source_model.predict(seen, verbose=0)
    found = (found[:, 0] > 0.5) if units == 1 else found.argmax(1)
    truth = np.argmax(truth, -1) if one_hot else np.array(truth)
    assert 0.0 < np.mean(found == truth) < 1.0
    assert logs["source_accuracy"][0] == pytest.approx(
        np.mean(found == truth), abs=0.2
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "transport", [None, otreg.losses.ClassTransport(COSTS)]
)
def test_losses_of_the_heads_call_count(pairs, transport):
    logs = []
    for strength in (0.0, 0.5):
        keras.utils.set_random_seed(0)
        model = joint_model(transport=transport)
        head = model.source_task.head
        head.activity_regularizer = keras.regularizers.L2(strength)
        model.optimizer.learning_rate = 0.0
        logs.append(fit(model, pairs))
    plain, regularised = (log["source_loss"][0] for log in logs)
    assert regularised > plain + 0.01


def test_metrics_are_checked_where_they_are_given():
    assert source_task(metrics="accuracy").metrics == ["accuracy"]
    for wrong in (None, ["auc"], [keras.metrics.binary_accuracy]):
        with pytest.raises(ValueError, match="`metrics`"):
            source_task(metrics=wrong)


@pytest.mark.slow
def test_two_values_cannot_be_logged_under_one_name(pairs):
    loss = "sparse_categorical_crossentropy"
    ours, theirs = (
        keras.metrics.SparseCategoricalAccuracy(name="auc") for _ in range(2)
    )
    task = source_task(metrics=[ours])
    model = otreg.TransferModel(small_student(), source_task=task)
    model.compile("adam", loss, metrics=[theirs])
    with pytest.raises(ValueError, match="'auc'"):
        fit(model, pairs)
