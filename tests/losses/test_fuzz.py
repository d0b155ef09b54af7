"""Losses of whatever is finite are finite, and so are their gradients.

700 pairs of activations; see `tests/ot/test_fuzz.py`.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_otreg import losses, ot

# Out of iterations or not: no problem may be such that it ends in NaN.
FEW = ot.Sinkhorn(10, jit_compile=False)
STEPS = ot.ProximalPoint(max_iterations=10)
EQUAL_WIDTHS = {
    "feature map": losses.FeatureMap(),
    "hint": losses.Hint(),
    "distillation": losses.LogitsDistillation(),
    "shrinkage": losses.BatchSpectralShrinkage(2),
    "mmd": losses.MaximumMeanDiscrepancy(),
    "coral": losses.Coral(),
    "identity": losses.RepresentationTransport(plan="identity"),
    "divergence": losses.SinkhornDivergence(solver=FEW),
}
ANY_WIDTHS = {
    "cka": losses.CenteredKernelAlignment(),
    "attention": losses.AttentionTransfer(),
    "transport": losses.RepresentationTransport(solver=FEW),
    "cosine": losses.RepresentationTransport("cosine", 1e-3, solver=FEW),
    "proximal": losses.RepresentationTransport(solver=STEPS),
    "alignment": losses.TransportAlignment(solver=FEW),
}
LOSSES = {**EQUAL_WIDTHS, **ANY_WIDTHS}
SOLVED = ("divergence", "transport", "cosine", "proximal", "alignment")
# Powers of ten whose fourth powers are finite, in the given precision.
SCALES = {"float16": (-3, 1), "bfloat16": (-9, 9), "float32": (-9, 9)}


@st.composite
def activations(draw, name):
    """Activations of a teacher and a student, and weights of the samples."""
    batch, teacher, student = (draw(st.integers(1, n)) for n in (7, 5, 5))
    student = teacher if name in EQUAL_WIDTHS else student
    inner = draw(st.lists(st.integers(1, 3), max_size=2))
    inner = inner or [2] * (name == "attention")
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    x, y = (rng.normal(size=(batch, *inner, k)) for k in (teacher, student))
    kind = draw(st.sampled_from(["any", "same", "dead", "ties", "one", "far"]))
    if kind == "same" and teacher == student:
        y = x.copy()
    elif kind == "dead":
        x, y = x * draw(st.booleans()), y * draw(st.booleans())
    elif kind == "ties":
        x, y = np.round(x), np.round(y)
    elif kind == "one":
        x[:], y[:] = x[:1], y[:1]
    elif kind == "far":
        y = y + 1e3
    dtype = draw(st.sampled_from(sorted(SCALES)))
    scale = 10.0 ** draw(st.integers(*SCALES[dtype]))
    tensors = [tf.cast(tf.constant(z * scale), dtype) for z in (x, y)]
    weights = (rng.uniform(size=batch) < 0.6) * 10.0 ** draw(st.integers(-6, 6))
    weights = weights.astype("float32") if draw(st.booleans()) else None
    return *tensors, weights


@pytest.mark.tensorflow
@pytest.mark.release
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_and_its_gradient_are_finite(name):
    loss = LOSSES[name]

    @settings(
        max_examples=25 if name in SOLVED else 60,
        deadline=None,
        derandomize=True,
    )
    @given(activations(name))
    def check(drawn):
        teacher, student, weights = drawn
        with tf.GradientTape() as tape:
            tape.watch(student)
            value = loss(teacher, student, weights)
        slope = tape.gradient(value, student)
        assert np.isfinite(value)
        assert np.isfinite(keras.ops.convert_to_numpy(slope)).all()
        assert value >= -1e-5

    check()


@pytest.mark.release
@pytest.mark.parametrize("name", ["cka", "attention", "alignment"])
def test_what_does_not_depend_on_size_does_not_at_any_size(name, rng):
    x, y = rng.normal(size=(2, 5, 2, 3)).astype("float32")
    loss = LOSSES[name]
    expected = loss(x, y)
    for scale in np.float32([1e-15, 1e15]):
        np.testing.assert_allclose(loss(x * scale, y), expected, rtol=1e-4)


@st.composite
def predictions(draw):
    """Probabilities of two networks, some of them zero or one."""
    batch, source, target = (draw(st.integers(2, 6)) for _ in range(3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    spread = 10.0 ** draw(st.integers(-2, 3))
    logits = [rng.normal(size=(batch, k)) * spread for k in (source, target)]
    C = rng.uniform(size=(source, target)) * 10.0 ** draw(st.integers(-6, 6))
    C = C * draw(st.booleans())
    epsilon = 10.0 ** draw(st.floats(-3.0, 3.0))
    rho = draw(st.sampled_from([None, 0.1 * C.max() or None]))
    return logits, C, epsilon, rho


@pytest.mark.release
@pytest.mark.tensorflow
def test_transport_between_classes_is_finite():
    @settings(max_examples=25, deadline=None, derandomize=True)
    @given(predictions(), st.booleans())
    def check(drawn, are_logits):
        logits, C, epsilon, rho = drawn
        tensors = [tf.constant(z, "float32") for z in logits]
        if not are_logits:
            tensors = [tf.nn.softmax(z) for z in tensors]
        loss = losses.ClassTransport(
            C, epsilon, rho=rho, from_logits=are_logits, solver=FEW
        )
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            value = loss(*tensors)
        assert np.isfinite(value)
        for slope in tape.gradient(value, tensors):
            assert np.isfinite(slope).all()

    check()
