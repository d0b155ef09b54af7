"""What holds for every loss between two layers, whatever it measures."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_otreg as otreg
from keras_otreg import losses, ot

SAMPLES, SIZE, CHANNELS = 7, 3, 4
WEIGHTS = np.array([2.0, 0.0, 1.0, 3.0, 0.0, 1.0, 1.0])
KEPT = WEIGHTS > 0
# Hardly a law needs a solver that has converged.
FEW = ot.Sinkhorn(3, accelerated=False)
LOSSES = {
    "feature map": losses.FeatureMap,
    "delta": lambda **k: losses.FeatureMap([0.4, 0.3, 0.2, 0.1], **k),
    "attention": losses.AttentionTransfer,
    "hint": losses.Hint,
    "distillation": losses.LogitsDistillation,
    "shrinkage": losses.BatchSpectralShrinkage,
    "shrinkage of 2": lambda **k: losses.BatchSpectralShrinkage(2, **k),
    "mmd": losses.MaximumMeanDiscrepancy,
    "unbiased mmd": lambda **k: losses.MaximumMeanDiscrepancy(True, **k),
    "coral": losses.Coral,
    "cka": losses.CenteredKernelAlignment,
    "transport": lambda **k: losses.RepresentationTransport(solver=FEW, **k),
    "divergence": lambda **k: losses.SinkhornDivergence(solver=FEW, **k),
    "alignment": lambda **k: losses.TransportAlignment(**{"solver": FEW, **k}),
}
SOLVED = ("transport", "divergence", "alignment")
SHRINKAGE = ("shrinkage", "shrinkage of 2")
EACH = ("feature map", "delta", "attention", "hint", "distillation")
every_loss = pytest.mark.parametrize("name", LOSSES)
# Those that solve a problem are slow to compile, and have tests of their own.
QUICK = [x for x in LOSSES if x not in SOLVED]
# One of each class.
some_losses = pytest.mark.parametrize(
    "name", sorted({*QUICK} - {"delta", "shrinkage of 2", "unbiased mmd"})
)


@pytest.fixture
def maps(rng):
    """Teacher and student activations with positions."""
    return rng.normal(size=(2, SAMPLES, SIZE, SIZE, CHANNELS))


def make(name, dtype="float64", **kwargs):
    return LOSSES[name](dtype=dtype, **kwargs)


BETWEEN_CLASSES = {
    "class transport": losses.ClassTransport(
        1.0 - np.eye(CHANNELS), from_logits=True
    ),
    "class conditional": losses.ClassConditional(
        np.eye(CHANNELS), from_logits=True
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", [*BETWEEN_CLASSES, *LOSSES])
def test_lists_and_one_weight_for_all_are_taken(name, maps):
    layers = np.abs(maps[:, :3]) if name == "attention" else maps[:, :3, 0, 0]
    loss = BETWEEN_CLASSES.get(name) or make(name, None)
    expected = loss(*layers, np.ones(3))
    for weights in (1.0, [1.0, 1.0, 1.0]):
        value = loss(*(x.tolist() for x in layers), sample_weight=weights)
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.release
@every_loss
def test_weights_count_samples(name, maps, rng):
    loss = make(name)
    left = [x[KEPT] for x in maps]
    weighted, alone = loss(*maps, WEIGHTS), loss(*left)
    positions = rng.uniform(size=(SAMPLES, SIZE, SIZE))
    for value, expected in (
        # Weight zero is leaving the sample out.
        (loss(*left, WEIGHTS[KEPT]), weighted),
        # Only the ratio counts, also of whole numbers.
        (loss(*maps, (5.0 * WEIGHTS).astype("int64")), weighted),
        (loss(*left, np.full(KEPT.sum(), 0.3)), alone),
        # Weights of positions are averaged over them.
        (loss(*maps, positions), loss(*maps, positions.mean((1, 2)))),
    ):
        np.testing.assert_allclose(value, expected, rtol=1e-6)
    assert abs(float(weighted) - float(alone)) > 1e-9
    with pytest.raises(ValueError, match="sample_weight"):
        loss(*maps, np.ones(SAMPLES + 1))


@pytest.mark.slow
@every_loss
def test_weights_of_zero_give_zero_and_no_gradient(
    name, maps, value_and_gradient
):
    loss = make(name)
    run = value_and_gradient(lambda x, y: loss(x, y, np.zeros(SAMPLES)))
    value, gradient = run(*maps)
    np.testing.assert_array_equal(value, 0.0)
    np.testing.assert_array_equal(gradient, np.zeros_like(maps[0]))


@pytest.mark.slow
@every_loss
def test_equal_activations_are_at_zero_with_a_finite_gradient(
    name, maps, value_and_gradient
):
    teacher = maps[0].astype("float32")
    converged = {"solver": ot.Sinkhorn()} if name == "alignment" else {}
    loss = make(name, None, **converged)
    value, gradient = value_and_gradient(loss)(teacher, teacher)
    assert np.isfinite(gradient).all()
    # Within blur (transport), the sample's own share, and without a teacher.
    if name not in ("transport", "unbiased mmd", *SHRINKAGE):
        np.testing.assert_allclose(value, 0.0, atol=1e-6)
        np.testing.assert_allclose(gradient, 0.0, atol=1e-5)


@pytest.mark.slow
@every_loss
def test_activations_without_variance_are_finite(name, value_and_gradient):
    ones = np.ones((SAMPLES, SIZE, SIZE, CHANNELS), "float32")
    run = value_and_gradient(make(name, None))
    for teacher, student in ((0 * ones, 0 * ones), (ones, 0 * ones)):
        value, gradient = run(teacher, student)
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("name", [x for x in QUICK if "mmd" not in x])
@pytest.mark.float64
def test_the_gradient_equals_central_differences(
    name, maps, value_and_gradient, rng
):
    # That of the discrepancy is in its own file: its bandwidth is held.
    loss = make(name)
    move = rng.normal(size=maps[1].shape)
    _, gradient = value_and_gradient(loss)(*maps)
    step = 1e-5
    ends = [float(loss(maps[0], maps[1] + s * step * move)) for s in (1, -1)]
    expected = (ends[0] - ends[1]) / (2 * step)
    np.testing.assert_allclose(
        (np.asarray(gradient) * move).sum(), expected, rtol=1e-5
    )


@pytest.mark.release
@pytest.mark.tensorflow
@some_losses
def test_eager_graph_and_xla_agree_at_an_unknown_batch_size(
    name, maps, compiled
):
    import tensorflow as tf

    loss = make(name, None)
    maps = maps.astype("float32")
    shape = (None, SIZE, SIZE, CHANNELS)
    for jit_compile in (False, True):
        run = compiled(
            loss,
            jit_compile=jit_compile,
            input_signature=[
                *[tf.TensorSpec(shape, "float32")] * 2,
                tf.TensorSpec((None,), "float32"),
            ],
        )
        for size in (SAMPLES, 2):
            inputs = [x[:size] for x in (*maps, WEIGHTS.astype("float32"))]
            np.testing.assert_allclose(
                run(*inputs), loss(*inputs), rtol=1e-3, atol=1e-6
            )


@pytest.mark.release
@every_loss
def test_low_precision_is_computed_in_float32(name, maps, value_and_gradient):
    low = [ops.cast(x, "bfloat16") for x in maps]
    loss = make(name, None)
    value, gradient = value_and_gradient(loss)(*low)
    assert keras.backend.standardize_dtype(value.dtype) == "float32"
    exactly = [ops.cast(x, "float32") for x in low]
    np.testing.assert_allclose(value, loss(*exactly), rtol=1e-5)
    assert keras.backend.standardize_dtype(gradient.dtype) == "bfloat16"
    assert np.isfinite(ops.cast(gradient, "float32")).all()
    half = make(name, "float16")(*maps)
    assert keras.backend.standardize_dtype(half.dtype) == "float16"
    np.testing.assert_allclose(half, make(name)(*maps), rtol=2e-2, atol=1e-3)


@pytest.mark.parametrize("name", EACH)
def test_unreduced_there_is_a_value_for_each_sample(name, maps):
    each = np.asarray(make(name, reduction="none")(*maps))
    assert each.shape == (SAMPLES,)
    alone = [make(name)(*(x[k : k + 1] for x in maps)) for k in range(SAMPLES)]
    np.testing.assert_allclose(each, alone)
    np.testing.assert_allclose(make(name)(*maps), each.mean())
    np.testing.assert_allclose(make(name, reduction="sum")(*maps), each.sum())


@pytest.mark.slow
@pytest.mark.parametrize("name", [x for x in LOSSES if x not in EACH])
def test_the_value_of_a_batch_reduces_to_itself(name, maps):
    values = [
        make(name, reduction=reduction)(*maps)
        for reduction in ("sum", "sum_over_batch_size")
    ]
    if name != "transport":
        # On PyTorch Keras divides in float32.
        np.testing.assert_allclose(*values, rtol=1e-6)
        assert make(name, reduction="none")(*maps).shape == (1,)


@pytest.mark.parametrize("name", [*EACH, "cka"])
def test_another_batch_size_or_no_units_are_refused(name, maps):
    with pytest.raises(ValueError, match="same samples"):
        make(name)(maps[0], maps[1][:3])
    with pytest.raises(ValueError, match=r"units\).*Received: shape"):
        make(name)(*maps[:, :, 0, 0, 0])


@pytest.mark.slow
@every_loss
def test_a_mask_of_positions_does_not_stand_in_the_way(name, maps):
    student = ops.convert_to_tensor(maps[1])
    expected = make(name)(*maps)
    student._keras_mask = ops.ones((SAMPLES, SIZE, SIZE), "bool")
    np.testing.assert_allclose(make(name)(maps[0], student), expected)


@pytest.mark.release
@some_losses
def test_it_is_a_penalty(name, rng):
    inputs = keras.Input((6, 6, 2))
    x = keras.layers.Conv2D(CHANNELS, 3, name="maps")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    student = keras.Model(inputs, keras.layers.Dense(2)(x))
    teacher = keras.models.clone_model(student)
    loss = LOSSES[name]()
    penalty = otreg.Penalty(loss, at="maps", weight=0.1)
    model = otreg.TransferModel(student, teacher, [penalty])
    model.compile("adam", "mse")
    x, y = rng.normal(size=(8, 6, 6, 2)), rng.normal(size=(8, 2))
    weights = np.arange(8.0)
    logs = model.evaluate(x, y, 8, 0, weights, return_dict=True)
    known, found = (
        m.get_layer("maps")(x.astype("float32")) for m in (teacher, student)
    )
    expected = loss(known, found, weights)
    np.testing.assert_allclose(logs[loss.name], expected, rtol=1e-3, atol=1e-6)
    history = model.fit(x, y, 4, 1, 0, sample_weight=weights).history
    assert np.isfinite(history["loss"]).all()
