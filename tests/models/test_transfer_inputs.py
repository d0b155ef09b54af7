import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_otreg as otreg


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y, batch_size):
        super().__init__()
        self.x, self.y, self.batch_size = x, y, batch_size

    def __len__(self):
        return -(-len(self.x) // self.batch_size)

    def __getitem__(self, index):
        part = slice(index * self.batch_size, (index + 1) * self.batch_size)
        return self.x[part], self.y[part]


def as_arrays(x, y):
    return {"x": x, "y": y, "batch_size": 8}


def as_dataset(x, y):
    return {"x": tf.data.Dataset.from_tensor_slices((x, y)).batch(8)}


def as_py_dataset(x, y):
    return {"x": Batches(x, y, 8)}


def as_generator(x, y):
    batches = Batches(x, y, 8)

    def forever():
        while True:
            yield from (batches[k] for k in range(len(batches)))

    return {"x": forever(), "steps_per_epoch": len(batches)}


@pytest.fixture
def transfer(make_network):
    """A wrapper with the same weights each time."""

    def make():
        keras.utils.set_random_seed(3)
        loss = otreg.losses.RepresentationTransport()
        teacher = make_network(name="teacher")
        penalty = otreg.Penalty(loss, at="backbone/features", weight=3.0)
        # XLA draws other random numbers, so nothing is dropped.
        student = make_network(dropout=0.0)
        return otreg.TransferModel(student, teacher, [penalty])

    return make


@pytest.mark.repeats
@pytest.mark.slow
@pytest.mark.parametrize("form", [as_dataset, as_py_dataset, as_generator])
def test_every_form_of_input_trains_as_arrays_do(
    transfer, samples, compiled, form
):
    losses = []
    for make_inputs in (as_arrays, form):
        model = compiled(transfer())
        inputs = make_inputs(*samples)
        logs = model.fit(**inputs, epochs=2, shuffle=False, verbose=0)
        losses.append(logs.history["representation_transport"])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"jit_compile": True},
        pytest.param(
            {"steps_per_execution": 3},
            marks=[
                pytest.mark.release,
                pytest.mark.skipif(
                    keras.backend.backend() == "torch",
                    reason="PyTorch executes one step at a time",
                ),
            ],
        ),
        {"run_eagerly": True},
    ],
    ids=str,
)
def test_every_way_of_execution_gives_the_same_numbers(
    transfer, samples, compiled, options
):
    logs = []
    for chosen in ({"run_eagerly": False}, options):
        model = compiled(transfer(), **chosen)
        history = model.fit(
            *samples, batch_size=8, epochs=2, shuffle=False, verbose=0
        )
        logs.append(history.history)
    for name in logs[0]:
        np.testing.assert_allclose(logs[0][name], logs[1][name], rtol=2e-3)


@pytest.mark.slow
def test_gradient_accumulation_leaves_the_penalty_alone(
    transfer, samples, compiled
):
    optimizer = keras.optimizers.SGD(0.0, gradient_accumulation_steps=2)
    model = compiled(transfer(), optimizer=optimizer)
    first = model.fit(*samples, batch_size=22, epochs=3, verbose=0).history
    assert np.ptp(first["representation_transport"]) < 0.1


@pytest.mark.slow
def test_an_unknown_batch_size_and_a_batch_of_one_are_fine(
    transfer, samples, compiled
):
    x, y = samples
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(7)
    assert data.element_spec[0].shape[0] is None
    logs = compiled(transfer()).fit(data, verbose=0).history
    assert np.isfinite(logs["loss"]).all()


@pytest.mark.slow
@pytest.mark.parametrize("reduction", ["mean_with_sample_weight"])
def test_weight_zero_on_half_the_batch_is_training_on_the_other_half(
    transfer, samples, compiled, reduction
):
    x, y = samples
    loss = keras.losses.SparseCategoricalCrossentropy(reduction=reduction)
    weight = np.repeat([1.0, 0.0], 11).astype("float32")
    logs = []
    for data in ((x, y, weight), (x[:11], y[:11], weight[:11])):
        model = compiled(transfer(), loss=loss)
        logs.append(
            model.evaluate(
                data[0],
                data[1],
                sample_weight=data[2],
                batch_size=22,
                verbose=0,
                return_dict=True,
            )
        )
    for name in logs[0]:
        np.testing.assert_allclose(logs[0][name], logs[1][name], rtol=1e-4)


@pytest.mark.slow
def test_class_weights_reach_the_penalties_as_sample_weights(
    transfer, samples, compiled
):
    x, y = samples
    logs = []
    weights = np.array([1.0, 0.0, 0.0], "float32")
    for options in (
        {"class_weight": dict(enumerate(weights))},
        {"sample_weight": weights[y]},
    ):
        model = compiled(transfer(), optimizer=keras.optimizers.SGD(0.0))
        keras.utils.set_random_seed(5)
        logs.append(model.fit(x, y, verbose=0, **options).history)
    np.testing.assert_allclose(
        logs[0]["representation_transport"], logs[1]["representation_transport"]
    )


@pytest.mark.slow
def test_several_inputs_and_a_dictionary_of_outputs(samples, compiled):
    x, y = samples

    def network():
        left, right = keras.Input((8,), name="left"), keras.Input((8,))
        both = keras.layers.Concatenate()([left, right])
        both = keras.layers.Dense(6, name="features")(both)
        outputs = {
            "digit": keras.layers.Dense(3, "softmax", name="digit")(both),
            "size": keras.layers.Dense(1, name="size")(both),
        }
        return keras.Model([left, right], outputs)

    penalty = otreg.Penalty(
        otreg.losses.RepresentationTransport(), at="features"
    )
    model = otreg.TransferModel(network(), network(), [penalty])
    losses = {"digit": "sparse_categorical_crossentropy", "size": "mse"}
    compiled(model, loss=losses, loss_weights={"digit": 1.0, "size": 0.1})
    targets = {"digit": y, "size": x[:, :1]}
    logs = model.fit([x, x], targets, epochs=2, verbose=0).history
    assert np.isfinite(logs["loss"]).all()
    assert set(model.predict([x, x], verbose=0)) == {"digit", "size"}


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_low_precision_trains_with_finite_numbers(samples, compiled, policy):
    keras.config.set_dtype_policy(policy)
    try:
        student = keras.Sequential(
            [
                keras.Input((8,)),
                keras.layers.Dense(6, activation="relu", name="features"),
                keras.layers.Dense(3, activation="softmax", dtype="float32"),
            ]
        )
    finally:
        keras.config.set_dtype_policy("float32")
    start = student.get_weights()
    penalty = otreg.Penalty(
        otreg.losses.RepresentationTransport(), at="features", weight=10.0
    )
    model = compiled(otreg.TransferModel(student, penalties=[penalty]))
    scaled = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scaled == (policy == "mixed_float16")
    logs = model.fit(*samples, epochs=4, verbose=0).history
    assert np.isfinite(logs["loss"]).all()
    assert all(np.isfinite(w).all() for w in student.get_weights())
    assert not np.array_equal(start[0], student.get_weights()[0])


def test_a_generic_keras_loss_is_weighted_sample_by_sample(compiled, rng):
    def network():
        inputs = keras.Input((6, 6, 1))
        x = keras.layers.Conv2D(4, 3, name="maps")(inputs)
        x = keras.layers.GlobalAveragePooling2D()(x)
        return keras.Model(inputs, keras.layers.Dense(3, "softmax")(x))

    student, teacher = network(), network()
    loss = keras.losses.MeanSquaredError(reduction="mean_with_sample_weight")
    penalty = otreg.Penalty(loss, at="maps", name="maps")
    model = compiled(otreg.TransferModel(student, teacher, [penalty]))
    x = rng.normal(size=(4, 6, 6, 1)).astype("float32")
    weight = np.array([1.0, 0.0, 2.0, 0.0], "float32")
    logs = model.evaluate(
        x, np.zeros(4), sample_weight=weight, verbose=0, return_dict=True
    )
    both = [np.array(m.get_layer("maps")(x)) for m in (student, teacher)]
    errors = np.square(both[0] - both[1]).mean(axis=(1, 2, 3))
    expected = (errors * weight).sum() / weight.sum()
    np.testing.assert_allclose(logs["maps"], expected, rtol=1e-5)


def two_headed(wrapped):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    x = keras.layers.Dense(5, name="features")(inputs)
    heads = [
        keras.layers.Dense(2, "softmax", name="label")(x),
        keras.layers.Dense(1, name="value")(x),
    ]
    student = keras.Model(inputs, heads)
    if not wrapped:
        return student
    penalty = otreg.Penalty(otreg.losses.Hint(), at="features", weight=0.0)
    return otreg.TransferModel(student, penalties=[penalty])


@pytest.mark.slow
@pytest.mark.parametrize(
    "how",
    [
        {
            "loss": {
                "label": "sparse_categorical_crossentropy",
                "value": "mse",
            },
            "metrics": {"label": "accuracy"},
            "loss_weights": {"label": 1.0, "value": 0.5},
        },
        {"loss": ["sparse_categorical_crossentropy", "mse"]},
    ],
    ids=["by name", "in order"],
)
def test_outputs_have_losses_by_their_names_as_in_keras(how):
    x, y = np.ones((8, 4)), {"label": np.ones(8, int), "value": np.ones(8)}
    if isinstance(how["loss"], list):
        y = [*y.values()]
    logs = []
    for wrapped in (False, True):
        model = two_headed(wrapped)
        model.compile("sgd", **how)
        logs.append(model.fit(x, y, verbose=0).history)
    logs[1].pop("hint")
    assert logs[0].keys() == logs[1].keys()
    for name, values in logs[0].items():
        np.testing.assert_allclose(logs[1][name], values, rtol=1e-5)


@pytest.mark.release
def test_a_list_of_callbacks_that_keras_made_is_taken(samples, transfer):
    model = transfer()
    # XLA's steps are watched by a callback of ours.
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=True)
    callbacks = keras.callbacks.CallbackList([], add_history=True, model=model)
    history = model.fit(*samples, callbacks=callbacks, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
