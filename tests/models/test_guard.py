"""Penalties that are not finite, in every kind of step."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_otreg as otreg
from keras_otreg import engine

TORCH = keras.backend.backend() == "torch"
GRAPH = {"run_eagerly": False}
STEPS = {"graph": GRAPH, "eager": {"run_eagerly": True}}
if not TORCH:
    # PyTorch's compiler takes minutes, and Keras refuses it the other.
    STEPS["xla"] = {"jit_compile": True}
    STEPS["three-at-once"] = {"steps_per_execution": 3}
in_every_step = pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS)
# What makes a faulty layer fail, and in which of the batches.
SIGNAL, BATCH, BAD = 100.0, 4, 3
JAX = keras.backend.backend() == "jax"
TASK = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@keras.saving.register_keras_serializable(package="tests")
class Faulty(keras.layers.Layer):
    """Adds `fault` to a batch if the signal is in it."""

    def __init__(self, fault=0.0, **kwargs):
        super().__init__(**kwargs)
        self.fault = float(fault)

    def call(self, pair):
        x, inputs = pair
        is_on = ops.any(inputs > SIGNAL / 2)
        return x + ops.where(is_on, self.fault, 0.0)

    def get_config(self):
        return {**super().get_config(), "fault": self.fault}


@keras.saving.register_keras_serializable(package="tests")
class Mended(keras.layers.Layer):
    """Hides what is not finite from the rest of the network."""

    def call(self, x):
        return ops.where(ops.isfinite(x), x, 0.0)


def network(name, fault=0.0):
    inputs = keras.Input((3,))
    x = keras.layers.Dense(4, "tanh", name="hidden")(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = Faulty(fault, name="features")([x, inputs])
    x = keras.layers.Dense(2, name="head")(Mended()(x))
    return keras.Model(inputs, x, name=name)


@pytest.fixture
def data(rng):
    x = rng.normal(size=(6 * BATCH, 3)).astype("float32")
    x[BAD * BATCH, 0] = SIGNAL
    return x, rng.integers(0, 2, len(x))


def make(steps=None, teacher=0.0, student=0.0, loss=None, **kwargs):
    keras.utils.set_random_seed(3)
    loss = loss or otreg.losses.FeatureMap(name="maps")
    penalty = otreg.Penalty(loss, at="features")
    model = otreg.TransferModel(
        network("student", student),
        network("teacher", teacher),
        kwargs.pop("penalties", [penalty]),
        **kwargs,
    )
    model.compile(keras.optimizers.Adam(0.01), TASK, **(steps or {}))
    return model


def train(model, data, **kwargs):
    kwargs = {"batch_size": BATCH, "shuffle": False, "verbose": 0, **kwargs}
    return model.fit(*data, **kwargs).history


def state(model):
    # The weights of the loss are settings, and no state.
    settings = {id(v) for v in model.loss_weights.variables}
    kept = [v for v in model.variables if id(v) not in settings]
    kept += model.optimizer.variables
    return [ops.convert_to_numpy(v).copy() for v in kept]


def assert_same_state(left, right, **kwargs):
    for one, other in zip(left, right, strict=True):
        np.testing.assert_allclose(one, other, **kwargs)


@pytest.mark.repeats
@pytest.mark.slow
@in_every_step
@pytest.mark.parametrize("culprit", ["teacher", "student"])
def test_rolling_back_keeps_all_that_was_trained_before_and_nothing_else(
    steps, culprit, data
):
    broken = make(steps, on_nonfinite="rollback", **{culprit: np.nan})
    with pytest.raises(FloatingPointError) as caught:
        train(broken, data)
    message = str(caught.value)
    assert "'maps' is not finite" in message
    assert f"step {BAD + 1} of the optimizer, batch {BAD + 1} " in message
    assert f"NaN or infinity in the {culprit}'s activations at 'f" in message
    assert "on_nonfinite='skip'" in message
    # Another program might round otherwise.
    good = make(steps, on_nonfinite="rollback")
    train(good, [array[: BAD * BATCH] for array in data])
    # XLA compiles the two networks apart, and rounds them apart.
    is_compiled = JAX or "jit_compile" in steps
    rounding = {"rtol": 1e-5, "atol": 1e-7} if is_compiled else {"rtol": 0}
    assert_same_state(state(good), state(broken), **rounding)
    # It goes on where it was.
    rest = [array[(BAD + 1) * BATCH :] for array in data]
    for model in (good, broken):
        train(model, rest)
    assert_same_state(state(good), state(broken), **rounding)


@pytest.mark.slow
@pytest.mark.parametrize("steps", [GRAPH, {"jit_compile": not TORCH}])
def test_raising_keeps_what_was_trained_unless_the_step_was_compiled(
    steps, data
):
    model, good = make(steps, student=np.nan), make(steps)
    with pytest.raises(FloatingPointError) as caught:
        train(model, data)
    is_compiled = JAX or steps.get("jit_compile", False)
    message = str(caught.value)
    assert f"step {BAD + 1} of the optimizer, batch {BAD + 1} " in message
    assert ("on_nonfinite='rollback'" in message) == is_compiled
    made = int(model.optimizer.iterations)
    if is_compiled:
        # The logs are read in another thread, while steps go on.
        assert BAD < made <= len(data[0]) // BATCH
    else:
        assert made == BAD
        train(good, [array[: BAD * BATCH] for array in data])
        assert_same_state(state(good), state(model), rtol=0)


@pytest.mark.repeats
@pytest.mark.slow
@in_every_step
def test_evaluating_raises_too(steps, data):
    model = make(steps, teacher=np.inf)
    with pytest.raises(FloatingPointError, match=f"at batch {BAD + 1}: NaN"):
        model.evaluate(*data, batch_size=BATCH, verbose=0)
    fine = [array[:BATCH] for array in data]
    assert np.isfinite(model.evaluate(*fine, verbose=0)).all()
    with pytest.raises(FloatingPointError, match=f"at batch {BAD + 1}: NaN"):
        train(model, fine, validation_data=data, validation_batch_size=BATCH)


@pytest.mark.slow
def test_single_steps_raise_too(data):
    model = make(teacher=np.nan, on_nonfinite="rollback")
    bad = [array[BAD * BATCH :] for array in data]
    with pytest.raises(FloatingPointError, match="step 1 of the optimizer"):
        model.train_on_batch(*bad)
    with pytest.raises(FloatingPointError, match="at batch 1: NaN"):
        model.test_on_batch(*bad)
    assert int(model.optimizer.iterations) == 0
    assert np.isfinite(model.train_on_batch(*(x[:BATCH] for x in data))).all()


@pytest.mark.slow
def test_a_value_that_overflows_is_told_from_activations_that_do(data):
    model = make(teacher=1e30)
    with pytest.raises(FloatingPointError, match="its value alone"):
        train(model, data)


@pytest.mark.slow
def test_inputs_are_named_though_the_network_may_hide_them(data):
    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(4, "relu", name="features")(inputs)
    student = keras.Model(inputs, keras.layers.Dense(2, name="head")(hidden))
    penalty = otreg.Penalty(otreg.losses.FeatureMap(), at="head")
    model = otreg.TransferModel(
        student, penalties=[penalty], on_nonfinite="rollback"
    )
    model.compile("sgd", TASK)
    data[0][BAD * BATCH, 1] = np.nan
    with pytest.raises(FloatingPointError):
        train(model, data)
    assert all(np.isfinite(x).all() for x in state(model))


@pytest.mark.slow
def test_a_name_is_that_of_the_penalty_that_failed(data):
    penalties = [
        otreg.Penalty(otreg.losses.FeatureMap(), at="hidden", name="fine"),
        otreg.Penalty(otreg.losses.FeatureMap(), at="features", name="ill"),
    ]
    model = make(teacher=np.nan, penalties=penalties)
    with pytest.raises(FloatingPointError, match="'ill' is not finite"):
        train(model, data)


@pytest.mark.slow
@pytest.mark.parametrize(
    "steps",
    [
        {},
        pytest.param(
            {"jit_compile": True},
            marks=[
                pytest.mark.slow,
                pytest.mark.skipif(TORCH, reason="takes minutes"),
            ],
        ),
    ],
)
def test_a_penalty_of_weight_zero_stops_nothing(steps, data):
    loss = otreg.losses.FeatureMap(name="maps")
    penalties = [otreg.Penalty(loss, at="features", weight=0.0)]
    model = make(steps, teacher=np.nan, penalties=penalties)
    history = train(model, data)
    assert np.isnan(history["maps"][0])
    good = make(steps, penalties=penalties)
    assert train(good, data)["loss"] == history["loss"]
    assert_same_state(state(good), state(model), rtol=0)


def test_a_model_without_penalties_has_nothing_to_watch(data):
    model = otreg.TransferModel(network("student"))
    model.compile("sgd", TASK)
    assert set(train(model, data)) == {"loss"}


class AllBut(keras.optimizers.schedules.LearningRateSchedule):
    """A weight of one, and of zero in the bad step."""

    def __call__(self, step):
        return ops.where(ops.equal(step, BAD), 0.0, 1.0)


@pytest.mark.repeats
@pytest.mark.slow
@pytest.mark.parametrize(
    ("steps", "fault"),
    [*((x, np.nan) for x in STEPS.values()), ({}, np.inf), ({}, 1e30)],
)
def test_skipping_is_a_step_without_the_penalty(steps, fault, data):
    skipping = make(steps, teacher=fault, on_nonfinite="skip")
    history = train(skipping, data)
    assert history["maps_skipped"] == [1.0]
    assert np.isfinite(history["maps"] + history["loss"]).all()
    found = state(skipping)
    if keras.backend.backend() == "jax":
        assert all(np.isfinite(x).all() for x in found)
        return
    loss = otreg.losses.FeatureMap(name="maps")
    without = make(
        steps, penalties=[otreg.Penalty(loss, at="features", weight=AllBut())]
    )
    train(without, data)
    assert_same_state(found, state(without), atol=1e-6)


@pytest.mark.slow
@pytest.mark.compiled
def test_raising_leaves_memories_as_they_were(data):
    # With running costs, the potentials are solved once more from them.
    loss = otreg.losses.RepresentationTransport(momentum=0.0)
    model = make(teacher=np.nan, loss=loss, on_nonfinite="rollback")
    train(model, [array[: BAD * BATCH] for array in data])
    before = state(model)
    with pytest.raises(FloatingPointError, match="_transport' is not finite"):
        model.train_on_batch(*(array[BAD * BATCH :] for array in data))
    assert_same_state(before, state(model), rtol=0)


@pytest.mark.slow
@pytest.mark.compiled
def test_skipping_leaves_memories_and_adapters_finite(data):
    losses = [
        otreg.losses.RepresentationTransport(momentum=0.5),
        otreg.losses.Hint(),
    ]
    for culprit in ("teacher", "student"):
        for loss in losses:
            model = make(loss=loss, on_nonfinite="skip", **{culprit: np.nan})
            history = train(model, data)
            assert history[f"{loss.name}_skipped"] == [1.0]
            held = [*model.adapters.values(), *model.memories.values()]
            for layer in held:
                for variable in layer.variables:
                    value = ops.convert_to_numpy(variable)
                    assert np.isfinite(value).all(), variable.path


@pytest.mark.slow
def test_skipped_steps_are_counted_in_evaluation_too(data):
    model = make(teacher=np.nan, on_nonfinite="skip")
    logs = model.evaluate(*data, batch_size=BATCH, verbose=0, return_dict=True)
    assert logs["maps_skipped"] == 1.0
    bad = range(BAD * BATCH, (BAD + 1) * BATCH)
    rest = [np.delete(array, bad, axis=0) for array in data]
    fine = model.evaluate(*rest, batch_size=BATCH, verbose=0, return_dict=True)
    # The mean is over the samples that had a penalty.
    np.testing.assert_allclose(logs["maps"], fine["maps"], rtol=1e-5)


@pytest.mark.slow
def test_propagating_passes_it_on(data):
    history = train(make(teacher=np.nan, on_nonfinite="propagate"), data)
    assert set(history) == {"loss", "maps"}
    assert np.isnan(history["maps"][0])


@pytest.mark.slow
def test_the_answer_is_saved(data, tmp_path):
    model = make(on_nonfinite="skip")
    train(model, data)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.on_nonfinite == "skip"
    assert "maps_skipped" in loaded.evaluate(*data, verbose=0, return_dict=True)
    with pytest.raises(
        ValueError, match="'propagate', 'raise', 'rollback', 'skip'"
    ):
        make(on_nonfinite="ignore")


@pytest.mark.slow
@pytest.mark.skipif(
    keras.backend.backend() == "jax", reason="JAX takes them for no class"
)
@pytest.mark.parametrize("steps", [STEPS["graph"], STEPS["eager"]])
def test_labels_out_of_range_are_told_of(steps, data):
    model = make(steps, on_nonfinite="rollback")
    good = [array[: BAD * BATCH] for array in data]
    message = "label value of|out of bounds|total loss is not finite at step 1"
    with pytest.raises(Exception, match=message):
        train(model, (good[0], good[1] + 2))
    assert all(np.isfinite(x).all() for x in state(model))


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
@pytest.mark.skipif(TORCH, reason="Keras hands the data to PyTorch first")
def test_data_without_batches_are_told_of(data):
    model = make()
    empty = [array[:0] for array in data]
    for call in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match="at least one batch"):
            call(*empty, verbose=0)
    assert model.fit(*data, epochs=0, verbose=0).history == {}


def test_the_losses_of_a_source_task_are_watched(data):
    task = otreg.SourceTask(
        keras.layers.Dense(2, "softmax"),
        at="hidden",
        loss="sparse_categorical_crossentropy",
    )
    model = otreg.TransferModel(network("student"), source_task=task)
    model.compile("sgd", TASK)
    task.head.kernel.assign(np.full(task.head.kernel.shape, np.nan))
    x, y = (array[:BATCH] for array in data)
    with pytest.raises(FloatingPointError, match="'source_loss' is not finite"):
        model.train_on_batch((x, x), (y, y))


def test_a_switch_stops_what_where_lets_through():
    def value(x, threshold):
        x, on = engine.gate_gradient(x, ops.zeros(()))
        # The slope at zero is infinite.
        loss = ops.sum(ops.sqrt(x))
        return ops.where(loss > threshold, loss + on, 0.0)

    for threshold, slope in ((1.0, 0.0), (-1.0, np.inf)):
        assert gradient(value, threshold) == slope


def gradient(function, *arguments):
    """The derivative of a function of one tensor, at zero."""
    if keras.backend.backend() == "jax":
        import jax

        return float(jax.grad(function)(ops.zeros(()), *arguments))
    if TORCH:
        x = ops.zeros(()).requires_grad_()
        function(x, *arguments).backward()
        return float(x.grad)
    import tensorflow as tf

    x = tf.Variable(0.0)
    with tf.GradientTape() as tape:
        found = function(x, *arguments)
    return float(tape.gradient(found, x))


def test_what_is_done_cannot_be_changed_later():
    model = make()
    with pytest.raises(AttributeError, match="on_nonfinite"):
        model.on_nonfinite = "skip"


def test_only_penalties_are_counted_as_skipped():
    head = keras.layers.Dense(2)
    task = otreg.SourceTask(head, "hidden", "mse", metrics=[])
    model = make(source_task=task, on_nonfinite="skip")
    names = [metric.name for metric in model.metrics]
    assert {"maps", "source_loss"} <= set(names)
    assert [x for x in names if x.endswith("_skipped")] == ["maps_skipped"]
