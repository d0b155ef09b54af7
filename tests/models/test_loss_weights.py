"""Weights of loss terms act when they are set, in every kind of step."""

import keras
import numpy as np
import pytest

import keras_otreg as otreg

pytestmark = pytest.mark.filterwarnings("ignore:Gradients do not exist")


BACKEND = keras.backend.backend()
STEPS = {"graph": {"run_eagerly": False}, "eager": {"run_eagerly": True}}
if BACKEND != "torch":
    STEPS["xla"] = {"jit_compile": True}
in_every_step = pytest.mark.parametrize(
    "steps",
    [
        pytest.param(x, marks=[pytest.mark.slow] if name == "xla" else [])
        for name, x in STEPS.items()
    ],
    ids=STEPS,
)


@keras.saving.register_keras_serializable(package="tests")
class Constant(keras.losses.Loss):
    """The same value whatever it is given, so that weights show in the sum."""

    def call(self, y_true, y_pred):
        return 0.0 * keras.ops.mean(y_pred, axis=-1) + 1.0


def make(steps, **weights):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    x = keras.layers.Dense(5, name="features")(inputs)
    student = keras.Model(inputs, keras.layers.Dense(1)(x))
    penalties = [
        otreg.Penalty(Constant(name=name), at="features", weight=weight)
        for name, weight in weights.items()
    ]
    model = otreg.TransferModel(student, penalties=penalties)
    model.compile(keras.optimizers.SGD(0.0), **steps)
    return model


def set_in(epoch_or_batch, penalty, values):
    def set_weight(k, logs):
        penalty.weight = values[k]

    return keras.callbacks.LambdaCallback(**{epoch_or_batch: set_weight})


@pytest.mark.release
@in_every_step
def test_a_number_set_before_an_epoch_or_a_step_acts_in_it(steps):
    model = make(steps, one=1.0, other=2.0)
    by_epoch = set_in("on_epoch_begin", model.penalties[0], [3.0, 4.0, 0.5])
    x = np.ones((6, 4), "float32")
    fitted = model.fit(
        x,
        epochs=3,
        batch_size=3,
        verbose=0,
        callbacks=[by_epoch],
        validation_data=(x, None),
    ).history
    np.testing.assert_allclose(fitted["loss"], [5.0, 6.0, 2.5])
    np.testing.assert_allclose(fitted["val_loss"], [5.0, 6.0, 2.5])
    by_step = set_in("on_train_batch_begin", model.penalties[0], [1.0, 4.0])
    fitted = model.fit(x, batch_size=3, verbose=0, callbacks=[by_step]).history
    np.testing.assert_allclose(fitted["loss"], [2.0 + (1.0 + 4.0) / 2])
    model.penalties[1].weight = 10.0
    for step in (model.train_on_batch, model.test_on_batch):
        assert step(x, return_dict=True)["loss"] == pytest.approx(14.0)


@pytest.mark.release
@in_every_step
def test_a_weight_goes_to_zero_and_back(steps):
    model = make(steps, one=0.0, other=2.0)
    by_epoch = set_in("on_epoch_begin", model.penalties[0], [0.0, 1.0, 0.0])
    x = np.ones((6, 4), "float32")
    fitted = model.fit(x, epochs=3, verbose=0, callbacks=[by_epoch]).history
    np.testing.assert_allclose(fitted["loss"], [2.0, 3.0, 2.0])


def test_a_saved_model_has_the_weight_that_was_set(tmp_path):
    model = make({}, one=1.0)
    model.penalties[0].weight = 7.0
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.penalties[0].weight == 7.0
    x = np.ones((2, 4), "float32")
    logs = loaded.test_on_batch(x, return_dict=True)
    assert logs["loss"] == pytest.approx(7.0)


def test_a_changed_number_makes_no_new_graph():
    model = make(STEPS["graph"], one=1.0)
    traced = []
    call = model.student.call
    model.student.call = lambda *a, **k: traced.append(1) or call(*a, **k)
    x = np.ones((2, 4), "float32")
    model.train_on_batch(x)
    before = len(traced)
    model.penalties[0].weight = 2.0
    model.train_on_batch(x)
    assert BACKEND == "torch" or len(traced) == before


def test_the_weights_of_a_source_task_act_when_they_are_set():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    x = keras.layers.Dense(5, name="features")(inputs)
    student = keras.Model(inputs, keras.layers.Dense(1)(x))
    task = otreg.SourceTask(
        keras.layers.Dense(2),
        at="features",
        loss=Constant(),
        metrics=(),
        transport=Constant(),
        transport_weight=2.0,
    )
    model = otreg.TransferModel(student, source_task=task)
    model.compile(keras.optimizers.SGD(0.0), "mse")
    x = np.ones((2, 4), "float32")
    labels = keras.ops.convert_to_numpy(student(x))
    pair = (x, x), (labels, np.zeros((2, 2), "float32"))
    assert model.train_on_batch(*pair, return_dict=True)["loss"] == 3.0
    task.weight, task.transport_weight = 4.0, 5.0
    assert model.train_on_batch(*pair, return_dict=True)["loss"] == 9.0


@pytest.mark.parametrize("value", [-1.0, float("nan"), "1"])
def test_no_weight_is_set_that_the_constructor_would_refuse(value):
    penalty = otreg.Penalty(Constant(), at="features")
    with pytest.raises((ValueError, TypeError), match="`weight`"):
        penalty.weight = value


def test_an_adapter_that_is_not_trained_cannot_begin_to_act_in_an_epoch():
    inputs = keras.Input((4,))
    x = keras.layers.Dense(5, name="features")(inputs)
    student = keras.Model(inputs, keras.layers.Dense(1)(x))
    x = keras.layers.Dense(3, name="features")(inputs)
    teacher = keras.Model(inputs, x)
    penalty = otreg.Penalty(otreg.losses.Hint(), at="features", weight=0.0)
    model = otreg.TransferModel(student, teacher, [penalty])
    model.compile("sgd", "mse")
    data = np.ones((2, 4), "float32"), np.ones((2, 1), "float32")
    raise_it = set_in("on_epoch_begin", penalty, [0.0, 1.0])
    with pytest.raises(ValueError, match="above 0 from the start"):
        model.fit(*data, epochs=2, verbose=0, callbacks=[raise_it])
    penalty.weight = 1.0
    model.compile("sgd", "mse")
    before = model.adapters["hint"].get_weights()[0]
    model.fit(*data, verbose=0)
    assert np.abs(model.adapters["hint"].get_weights()[0] - before).max() > 0


@pytest.mark.slow
def test_weights_act_after_all_variables_were_set_back():
    model = make({"run_eagerly": True}, one=3.0)
    x = np.ones((4, 4), "float32")
    to_array = keras.ops.convert_to_numpy
    before = [np.array(to_array(v)) for v in model.variables]
    first = model.fit(x, verbose=0).history["loss"]
    for variable, value in zip(model.variables, before, strict=True):
        variable.assign(value)
    assert model.fit(x, verbose=0).history["loss"] == first == [3.0]
