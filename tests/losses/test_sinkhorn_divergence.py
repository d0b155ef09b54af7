import keras
import numpy as np
import ot as pot
import pytest
from keras import ops

from keras_otreg import losses, ot
from keras_otreg.ot.costs import COSTS

Divergence = losses.SinkhornDivergence
WEIGHTS = np.array([2.0, 0.0, 1.0, 3.0, 0.0, 1.0, 1.0])


def entropic(a, b, C, epsilon):
    """`<P, C> + epsilon KL(P | a b^T)`, by POT."""
    P = pot.sinkhorn(a, b, C, epsilon, method="sinkhorn_log", stopThr=1e-13)
    log_ratio = np.log(np.maximum(P, 1e-300) / np.outer(a, b))
    return (P * C).sum() + epsilon * (P * log_ratio).sum()


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("cost", COSTS)
def test_equal_clouds_are_at_zero(pair, cost, weights):
    teacher, _ = pair()
    assert abs(Divergence(cost)(teacher, teacher, weights)) < 1e-6


def test_the_order_of_samples_does_not_matter(pair, rng, divergence):
    teacher, student = pair()
    loss = divergence()
    value = loss(teacher, student)
    np.testing.assert_allclose(
        loss(teacher[rng.permutation(7)], student), value, rtol=1e-6
    )
    assert abs(loss(teacher, teacher[::-1])) < 1e-6


def test_it_is_symmetric_and_not_negative(pair, divergence):
    teacher, student = pair()
    loss = divergence()
    np.testing.assert_allclose(
        loss(teacher, student), loss(student, teacher), rtol=1e-6
    )
    assert loss(teacher, student) > 0.0


@pytest.mark.parametrize("epsilon", [0.5, 10.0])
def test_a_translated_cloud_is_at_the_squared_shift(pair, divergence, epsilon):
    teacher, _ = pair(2)
    value = divergence(epsilon=epsilon)(teacher, teacher + [0.3, -0.4])
    np.testing.assert_allclose(value, 0.25, rtol=1e-5)


@pytest.mark.parametrize("weights", [None, WEIGHTS + 0.5])
@pytest.mark.parametrize("cost", COSTS)
def test_it_is_made_of_the_entropic_terms_of_pot(
    pair, divergence, cost, weights
):
    x, y = pair(3)
    a = np.ones(7) if weights is None else weights
    a = a / a.sum()
    between, within_x, within_y = (
        np.asarray(ot.costs.get(cost)(*clouds), "float64")
        for clouds in ((x, y), (x, x), (y, y))
    )
    epsilon = a @ between @ a
    expected = entropic(a, a, between, epsilon) - 0.5 * (
        entropic(a, a, within_x, epsilon) + entropic(a, a, within_y, epsilon)
    )
    value = divergence(cost)(x, y, weights)
    np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("cost", COSTS)
class TestWeights:
    def test_weight_zero_is_leaving_the_sample_out(
        self, pair, divergence, cost
    ):
        clouds, loss = pair(), divergence(cost)
        left = [x[WEIGHTS > 0] for x in clouds]
        np.testing.assert_allclose(
            loss(*clouds, (WEIGHTS > 0) * 2.0), loss(*left), rtol=1e-6
        )

    def test_a_whole_weight_is_repeating_the_sample(
        self, pair, divergence, cost
    ):
        clouds, loss = pair(), divergence(cost)
        repeated = [np.repeat(x, WEIGHTS.astype(int), 0) for x in clouds]
        np.testing.assert_allclose(
            loss(*clouds, WEIGHTS), loss(*repeated), rtol=1e-6
        )


def test_clouds_may_have_unequal_numbers_of_samples(pair, divergence, compiled):
    teacher, student = pair()
    loss = compiled(divergence())
    np.testing.assert_allclose(
        loss(np.repeat(teacher, 3, axis=0), student),
        loss(teacher, student),
        rtol=2e-4,
    )


def test_weights_of_zero_are_finite(pair, value_and_gradient):
    loss = Divergence(epsilon=1.0)
    run = value_and_gradient(lambda x, y: loss(x, y, np.zeros(7)))
    value, gradient = run(*pair())
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


def test_the_gradient_is_that_of_finite_differences(
    pair, rng, divergence, value_and_gradient
):
    teacher, student = pair(3)
    _, gradient = value_and_gradient(divergence())(teacher, student)
    # Epsilon is in units of the mean cost, which counts as a constant.
    squared = ot.costs.squared_euclidean
    epsilon = np.mean(squared(teacher, student))
    solver, step = divergence().solver, 1e-5 * rng.normal(size=student.shape)
    ahead, behind = (
        ot.sinkhorn_divergence(teacher, moved, squared, epsilon, solver)
        for moved in (student + step, student - step)
    )
    np.testing.assert_allclose(
        np.vdot(gradient, step), (ahead - behind) / 2, rtol=1e-5
    )


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("case", ["itself", "zeros", "one sample", "copies"])
def test_value_and_gradient_are_finite(pair, value_and_gradient, case, cost):
    x = pair()[0].astype("float32")
    teacher, student = {
        "itself": (x, x),
        "zeros": (0 * x, 0 * x),
        "one sample": (x[:1], x[:1] + 1),
        "copies": (x[[0, 0, 1]], x[[1, 1]]),
    }[case]
    run = value_and_gradient(Divergence(cost, 1.0))
    value, gradient = run(teacher, student)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize(
    ("dtype", "rtol"), [("float16", 5e-3), ("bfloat16", 5e-2), ("float64", 0)]
)
@pytest.mark.float64
def test_the_value_has_the_dtype_of_the_loss(pair, dtype, rtol, weights):
    teacher, student = pair()
    value = Divergence(epsilon=1.0, dtype=dtype)(teacher, student, weights)
    assert keras.backend.standardize_dtype(value.dtype) == dtype
    np.testing.assert_allclose(
        ops.cast(value, "float32"),
        Divergence(epsilon=1.0)(teacher, student, weights),
        rtol=rtol + 1e-4,
    )


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("jit_compile", [False, True])
def test_the_batch_size_may_be_unknown(pair, compiled, jit_compile):
    import tensorflow as tf

    loss = Divergence(epsilon=1.0)
    run = compiled(
        loss,
        jit_compile=jit_compile,
        input_signature=2 * [tf.TensorSpec((None, 5), "float64")],
    )
    for samples in (1, 7):
        clouds = pair(samples=samples)
        np.testing.assert_allclose(
            run(*clouds), loss(*clouds), rtol=1e-3, atol=1e-5
        )


def test_maps_are_pooled_or_kept(pair, divergence):
    maps = pair(3, inner=(2, 2))
    pooled = [x.mean(axis=(1, 2)) for x in maps]
    flat = [x.reshape(7, -1) for x in maps]
    np.testing.assert_allclose(
        divergence()(*maps), divergence()(*pooled), rtol=1e-6
    )
    np.testing.assert_allclose(
        divergence(spatial="keep")(*maps), divergence()(*flat), rtol=1e-6
    )


def test_unequal_widths_are_refused_with_a_hint(pair):
    with pytest.raises(ValueError, match="RepresentationTransport"):
        Divergence()(*pair(4, 5))


def test_weights_of_another_number_of_samples_are_refused(pair):
    with pytest.raises(ValueError, match="sample_weight"):
        Divergence(epsilon=1.0)(*pair(), np.ones(5))
