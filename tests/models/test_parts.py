"""The parts of a batch, which share a forward pass, each with its mask."""

import keras
import numpy as np
import pytest

import keras_otreg as otreg
from keras_otreg.models import parts

PADDING = -1.0
SIZE = 8


def network(name="student"):
    """A prediction for each step of a sequence that is padded at its end."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((5, 2))
    x = keras.layers.Masking(PADDING)(inputs)
    x = keras.layers.Dense(4, "tanh", name="features")(x)
    x = keras.layers.Dense(3, "softmax", name="head")(x)
    return keras.Model(inputs, x, name=name)


@pytest.fixture
def make_model():
    """A model under a penalty that Keras masks, compiled to stand still."""

    def make(weight=0.0, on_nonfinite="raise", **kwargs):
        penalty = otreg.Penalty(
            keras.losses.MeanSquaredError(), at="features", weight=weight
        )
        teacher = network("teacher")
        teacher.set_weights([0.5 * w for w in teacher.get_weights()])
        model = otreg.TransferModel(
            network(), teacher, [penalty], on_nonfinite=on_nonfinite, **kwargs
        )
        return compiled(model)

    return make


def compiled(model):
    model.compile(
        keras.optimizers.SGD(0.0),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        weighted_metrics=[
            keras.metrics.SparseCategoricalCrossentropy(name="weighted")
        ],
    )
    return model


@pytest.fixture
def data(rng):
    """Labelled sequences, others, and weights of each step."""
    x = rng.normal(size=(2 * SIZE, 5, 2)).astype("float32")
    for sample, length in enumerate(rng.integers(1, 5, len(x))):
        x[sample, length:] = PADDING
    y = rng.integers(0, 3, (SIZE, 5))
    return x[:SIZE], x[SIZE:], y, rng.random((SIZE, 5)).astype("float32")


def logs_of(model, x, *labels, **kwargs):
    y, *weight = labels
    history = model.fit(
        x, y, sample_weight=weight[0] if weight else None, verbose=0, **kwargs
    )
    return {name: values[0] for name, values in history.history.items()}


@pytest.mark.slow
@pytest.mark.parametrize("weighted", [False, True])
def test_beside_unlabelled_samples_the_task_is_that_of_plain_keras(
    make_model, data, weighted
):
    x, more, *labels = data
    labels = labels if weighted else labels[:1]
    plain = logs_of(compiled(network()), x, *labels)
    found = logs_of(make_model(), parts.with_extra(x, more), *labels)
    assert {name: found[name] for name in plain} == plain


@pytest.mark.slow
def test_beside_unlabelled_samples_classes_are_weighted_as_in_plain_keras(data):
    x, more, y, _ = data
    weights = {0: 1.0, 1: 5.0, 2: 0.0}
    logs = []
    for step in (x, parts.with_extra(x, more)):
        student = keras.Sequential(
            [network(), keras.layers.GlobalAveragePooling1D()]
        )
        is_plain = step is x
        model = student if is_plain else otreg.TransferModel(student)
        logs.append(
            logs_of(compiled(model), step, y[:, 0], class_weight=weights)
        )
    assert logs[0] == logs[1]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Gradients do not exist")
@pytest.mark.parametrize("acts", [False, True])
def test_beside_source_samples_the_task_is_that_of_plain_keras(
    make_model, data, acts
):
    x, more, y, weight = data
    task = otreg.SourceTask(
        keras.layers.Dense(3, "softmax"),
        at="features",
        loss="sparse_categorical_crossentropy",
        weight=float(acts),
    )
    model = make_model(source_task=task)
    found = logs_of(model, (x, more), (y, y), (weight, weight))
    plain = logs_of(compiled(network()), x, y, weight)
    plain["target_loss"] = plain.pop("loss")
    if not acts:
        plain["loss"] = plain.pop("target_loss")
    assert {name: found[name] for name in plain} == plain


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Layer .* mask attached")
def test_a_source_head_trains_on_the_mask_that_it_predicts_with(
    make_model, data
):
    x, more, y, _ = data
    head = keras.Sequential(
        [
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(3, "softmax"),
        ]
    )
    task = otreg.SourceTask(head, "features", "sparse_categorical_crossentropy")
    model = make_model(source_task=task)
    found = logs_of(model, (x, more), (y, y[:, 0]))
    predicted = model.source_model.predict(more, verbose=0)
    loss = keras.losses.SparseCategoricalCrossentropy()(y[:, 0], predicted)
    assert found["source_loss"] == pytest.approx(float(loss), rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("on_nonfinite", ["raise", "skip", "propagate"])
def test_a_penalty_sees_the_mask_whatever_is_beside_its_samples(
    make_model, data, on_nonfinite
):
    x, more, y, _ = data
    alone = logs_of(make_model(weight=1.0), x, y)["mean_squared_error"]
    task = otreg.SourceTask(
        keras.layers.Dense(3, "softmax"),
        at="features",
        loss="sparse_categorical_crossentropy",
    )
    model = make_model(1.0, on_nonfinite, source_task=task)
    found = logs_of(model, (x, more), (y, y))["mean_squared_error"]
    assert found == pytest.approx(alone, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("gradient_to", ["both", "source", "target"])
def test_the_transport_term_leaves_masked_steps_out(
    make_model, data, gradient_to
):
    x, more, y, _ = data
    task = otreg.SourceTask(
        keras.layers.Dense(3, "softmax"),
        at="features",
        loss="sparse_categorical_crossentropy",
        transport=keras.losses.MeanSquaredError(),
        gradient_to=gradient_to,
    )
    model = make_model(source_task=task)
    found = logs_of(model, (x, more), (y, y))["source_transport"]
    pair = model.source_model.predict(x, verbose=0), model.predict(x, verbose=0)
    errors = np.mean(np.square(pair[0] - pair[1]), axis=-1)
    steps = (x != PADDING).any(axis=-1)
    assert found == pytest.approx(errors[steps].mean(), rel=1e-5)


def test_masks_of_inputs_are_joined_with_them(data):
    x, more, *_ = data
    masked = [keras.layers.Masking(PADDING)(part) for part in (x, more)]
    joined = parts.joined(*masked)
    seen = keras.layers.Lambda(lambda _, mask: mask, mask=lambda _, mask: mask)(
        joined
    )
    expected = (np.concatenate([x, more]) != PADDING).any(axis=-1)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(seen), expected)
