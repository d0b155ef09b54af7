import numpy as np
import ot as pot
import pytest

from keras_otreg import losses, ot
from keras_otreg.ot.costs import COSTS

Divergence = losses.SinkhornDivergence
WEIGHTS = np.array([2.0, 0.0, 1.0, 3.0, 0.0, 1.0, 1.0])


def entropic(a, b, C, epsilon):
    """`<P, C> + epsilon KL(P | a b^T)`, by POT."""
    P = pot.sinkhorn(a, b, C, epsilon, method="sinkhorn_log", stopThr=1e-13)
    log_ratio = np.log(np.maximum(P, 1e-300) / np.outer(a, b))
    return (P * C).sum() + epsilon * (P * log_ratio).sum()


@pytest.mark.repeats
@pytest.mark.parametrize("cost", COSTS)
def test_equal_clouds_are_at_zero(pair, cost):
    teacher, _ = pair()
    assert abs(Divergence(cost)(teacher, teacher, WEIGHTS)) < 1e-6


@pytest.mark.release
def test_it_is_symmetric_and_positive_and_knows_no_order(pair, rng, divergence):
    teacher, student = pair()
    loss = divergence()
    value = loss(teacher, student)
    shuffled = loss(teacher[rng.permutation(7)], student)
    np.testing.assert_allclose(shuffled, value, rtol=1e-6)
    np.testing.assert_allclose(loss(student, teacher), value, rtol=1e-6)
    assert value > 0.0


@pytest.mark.release
def test_a_translated_cloud_is_at_the_squared_shift(pair, divergence):
    teacher, _ = pair(2)
    value = divergence()(teacher, teacher + [0.3, -0.4])
    np.testing.assert_allclose(value, 0.25, rtol=1e-5)


@pytest.mark.release
@pytest.mark.parametrize(
    ("cost", "weights"),
    [("squared_euclidean", None), ("cosine", WEIGHTS + 0.5)],
)
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


@pytest.mark.release
def test_a_whole_weight_is_repeating_the_sample(pair, divergence):
    clouds, loss = pair(), divergence()
    repeated = [np.repeat(x, WEIGHTS.astype(int), 0) for x in clouds]
    np.testing.assert_allclose(
        loss(*clouds, WEIGHTS), loss(*repeated), rtol=1e-6
    )


@pytest.mark.release
def test_clouds_may_have_unequal_numbers_of_samples(pair, divergence):
    teacher, student = pair()
    loss = divergence()
    np.testing.assert_allclose(
        loss(np.repeat(teacher, 3, axis=0), student),
        loss(teacher, student),
        rtol=2e-4,
    )


@pytest.mark.release
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


@pytest.mark.release
@pytest.mark.parametrize("cost", ["euclidean", "cosine"])
@pytest.mark.parametrize("case", ["itself", "one sample", "copies"])
def test_value_and_gradient_are_finite(pair, value_and_gradient, case, cost):
    x = pair()[0].astype("float32")
    teacher, student = {
        "itself": (x, x),
        "one sample": (x[:1], x[:1] + 1),
        "copies": (x[[0, 0, 1]], x[[1, 1]]),
    }[case]
    run = value_and_gradient(Divergence(cost, solver=ot.Sinkhorn(10)))
    value, gradient = run(teacher, student)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


@pytest.mark.release
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


@pytest.mark.release
def test_maps_are_pooled_or_kept(pair):
    maps, few = pair(3, inner=(2, 2)), ot.Sinkhorn(3)
    for spatial, points in (
        ("pool", [x.mean(axis=(1, 2)) for x in maps]),
        ("keep", [x.reshape(7, -1) for x in maps]),
    ):
        loss = Divergence(spatial=spatial, solver=few, dtype="float64")
        np.testing.assert_allclose(loss(*maps), loss(*points), rtol=1e-6)


def test_unequal_widths_are_refused_with_a_hint(pair):
    with pytest.raises(ValueError, match="RepresentationTransport"):
        Divergence()(*pair(4, 5))
