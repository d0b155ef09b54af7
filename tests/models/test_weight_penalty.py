import keras
import numpy as np
import pytest

import keras_otreg as otreg
from keras_otreg import WeightPenalty
from keras_otreg.regularizers import NeuronTransport, StartingPoint

KINDS = {"l2": StartingPoint, "transport": NeuronTransport}
NAMES = {"l2": "l2_sp", "transport": "neuron_transport"}


@pytest.fixture
def x(rng):
    return rng.normal(size=(8, 6)).astype("float32")


@pytest.fixture
def y():
    return np.arange(8) % 3


def network(seed=0):
    """Two layers in a backbone, one of them normalised, under a head."""
    keras.utils.set_random_seed(seed)
    backbone = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(5, activation="relu", name="hidden"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.Dense(4, name="features"),
        ],
        name="backbone",
    )
    inputs = keras.Input((6,))
    outputs = keras.layers.Dense(3, name="head")(backbone(inputs))
    return keras.Model(inputs, outputs, name="network")


def wrapped(*penalties, student=None, teacher=None, **settings):
    model = otreg.TransferModel(
        network() if student is None else student, teacher, penalties
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    settings = {"run_eagerly": True, **settings}
    model.compile(keras.optimizers.SGD(0.1), loss, **settings)
    return model


def shift(model, seed=1):
    """Moves all weights, and returns where they came from."""
    rng = np.random.default_rng(seed)
    before = model.get_weights()
    model.set_weights(
        [x + 0.1 * rng.normal(size=x.shape).astype(x.dtype) for x in before]
    )
    return before


def logged(model, x, y):
    logs = model.test_on_batch(x, y, return_dict=True)
    return {name: float(value) for name, value in logs.items()}


@pytest.mark.release
@pytest.mark.parametrize("distance", KINDS)
def test_it_is_the_regularizer_that_holds_the_starts_itself(distance, x, y):
    plain = otreg.add_starting_point(
        network(), 0.3, regularizer=KINDS[distance]
    )
    model = wrapped(WeightPenalty(distance, weight=0.3))
    name = NAMES[distance]
    start = logged(model, x, y)
    for each in (plain, model.student):
        shift(each)
    found = logged(model, x, y)
    assert start[name] < 1e-3 < found[name]
    expected = sum(float(loss) for loss in plain.losses)
    np.testing.assert_allclose(0.3 * found[name], expected, rtol=1e-4)
    plain.compile(keras.optimizers.SGD(0.1), model.loss, run_eagerly=True)
    for _ in range(2):
        plain.train_on_batch(x, y)
        model.train_on_batch(x, y)
    for a, b in zip(
        plain.get_weights(), model.student.get_weights(), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.release
def test_a_compiled_step_is_an_eager_one(x, y):
    values = []
    for settings in ({"run_eagerly": True}, {"run_eagerly": False}):
        model = wrapped(WeightPenalty(weight=0.5), **settings)
        shift(model.student)
        model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0)
        values.append(model.student.get_weights())
    for a, b in zip(*values, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_layers_are_chosen_by_paths_and_patterns(x, y):
    student, teacher = network(), network()
    start = student.get_layer("head").kernel
    start.assign(start + 1.0)

    def value(**where):
        return logged(
            wrapped(WeightPenalty(**where), student=student, teacher=teacher),
            x,
            y,
        )["l2_sp"]

    assert value() == 0.0
    assert value(at="backbone") == 0.0
    assert value(at=["head"]) == 0.5 * 4 * 3
    assert value(at="*") == 0.5 * 4 * 3
    assert value(at="h?ad") == 0.5 * 4 * 3
    assert value(exclude="backbone/norm") == 0.5 * 4 * 3
    with pytest.raises(ValueError, match="no layer at path 'haed'"):
        WeightPenalty(at="haed").pairs(student, teacher)


def test_weights_without_a_partner_are_free(x, y):
    teacher = network()
    student = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(3, name="only")]
    )
    with pytest.raises(ValueError, match="both have"):
        wrapped(WeightPenalty(at="*"), student=student, teacher=teacher)
    wider = keras.Sequential(
        [teacher.get_layer("backbone"), keras.layers.Dense(7, name="head")]
    )
    wider = keras.models.clone_model(wider)
    pairs = WeightPenalty(at="*").pairs(wider, teacher)
    assert len(pairs) == len(teacher.get_layer("backbone").weights)


def test_quantised_weights_are_no_starts():
    student, teacher = network(), network()
    before = len(WeightPenalty(at="head").pairs(student, teacher))
    teacher.get_layer("head").quantize("int8")
    assert before == 2
    (pair,) = WeightPenalty(at="head").pairs(student, teacher)
    assert pair[1] is student.get_layer("head").bias


def test_frozen_weights_count_from_when_they_are_unfrozen(x, y):
    student = network()
    hidden = student.get_layer("backbone").get_layer("hidden")
    hidden.trainable = False
    model = wrapped(WeightPenalty(at="backbone/hidden"), student=student)
    hidden.kernel.assign(hidden.kernel + 1.0)
    assert logged(model, x, y)["l2_sp"] == 0.0
    hidden.trainable = True
    assert logged(model, x, y)["l2_sp"] == 0.5 * 6 * 5


@pytest.mark.release
def test_its_weight_may_change_from_step_to_step(x, y):
    penalty = WeightPenalty(weight=0.0, name="pull")
    model, plain = wrapped(penalty), network()
    plain.compile(keras.optimizers.SGD(0.1), model.loss, run_eagerly=True)
    for each in (plain, model.student):
        shift(each)
    logs = model.train_on_batch(x, y, return_dict=True)
    assert logs["pull"] > 0.0
    plain.train_on_batch(x, y)
    for a, b in zip(
        plain.get_weights(), model.student.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(a, b)
    before = logged(model, x, y)
    penalty.weight = 2.0
    after = logged(model, x, y)
    np.testing.assert_allclose(
        after["loss"] - before["loss"], 2.0 * before["pull"], rtol=1e-4
    )


@pytest.mark.release
def test_a_file_holds_the_starts_once_or_not_at_all(x, y, tmp_path):
    teacher = network()
    model = wrapped(
        WeightPenalty(weight=0.3), student=network(2), teacher=teacher
    )
    assert "base64" not in str(model.get_config())
    model.train_on_batch(x, y)
    expected = logged(model, x, y)
    model.save(tmp_path / "all.keras")
    again = keras.saving.load_model(tmp_path / "all.keras")
    assert logged(again, x, y) == pytest.approx(expected, rel=1e-5)
    model.save(tmp_path / "small.keras", include_teacher=False)
    again = otreg.load_model(tmp_path / "small.keras", teacher)
    assert logged(again, x, y) == pytest.approx(expected, rel=1e-5)
    again.train_on_batch(x, y)
    model.train_on_batch(x, y)
    for a, b in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="teacher"):
        otreg.load_model(tmp_path / "small.keras", network(3))


@pytest.mark.slow
def test_weights_that_bring_another_teacher_bring_its_starts(x, y, tmp_path):
    model = wrapped(WeightPenalty(), student=network(2), teacher=network(3))
    model.save_weights(tmp_path / "run.weights.h5")
    other = wrapped(WeightPenalty(), student=network(4), teacher=network(5))
    other.load_weights(tmp_path / "run.weights.h5")
    assert logged(other, x, y) == pytest.approx(logged(model, x, y))


@pytest.mark.release
@pytest.mark.tensorflow
def test_it_stands_beside_penalties_whose_activations_the_data_carry(x, y):
    penalties = [
        WeightPenalty(weight=0.5),
        otreg.Penalty(otreg.losses.Coral(), "backbone"),
    ]
    model = wrapped(*penalties)
    shift(model.student)
    expected = logged(model, x, y)
    data = otreg.data.with_teacher((x, y), model, shuffle=False)
    found = model.evaluate(data, verbose=0, return_dict=True)
    assert found == pytest.approx(expected, rel=1e-5)
    alone = wrapped(WeightPenalty())
    with pytest.raises(ValueError, match="without a `Penalty`"):
        otreg.data.with_teacher((x, y), alone)


def test_weights_that_are_not_finite_are_named(x, y):
    model = wrapped(WeightPenalty(at="head"))
    head = model.student.get_layer("head").kernel
    head.assign(head * np.inf)
    with pytest.raises(FloatingPointError, match="'l2_sp' is not finite"):
        model.train_on_batch(x, y)
