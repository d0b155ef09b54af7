"""Settings of the transport loss: dtypes, reductions and wrong arguments."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_otreg import losses, ot

Transport = losses.RepresentationTransport
LOW = {"float16": 2e-3, "bfloat16": 2e-2}


@pytest.mark.parametrize("dtype", LOW)
def test_a_low_dtype_can_count_every_sample_and_position(rng, dtype):
    # float16 ends at 65504: fewer than 32 maps of 56 by 56 have positions.
    teacher, student = (rng.normal(size=(32, 2100, 2)) for _ in range(2))
    settings = {"spatial": "keep", "plan": "uniform"}
    value = Transport(dtype=dtype, **settings)(teacher, student)
    np.testing.assert_allclose(
        ops.cast(value, "float32"),
        Transport(**settings)(teacher, student),
        rtol=LOW[dtype],
    )


@pytest.mark.float64
def test_float64_is_kept(pair):
    teacher, student = pair(5, 6)
    loss = Transport(epsilon=0.3, dtype="float64")
    for result in (loss(teacher, student), loss.plan(teacher, student)):
        assert keras.backend.standardize_dtype(result.dtype) == "float64"


@pytest.mark.parametrize("plan", ["transport", "identity"])
def test_unreduced_there_is_a_value_for_each_student_neuron(pair, plan):
    teacher, student = pair(6, 6)
    mean, total, each = (
        Transport(epsilon=0.3, plan=plan, reduction=reduction)(teacher, student)
        for reduction in ("sum_over_batch_size", "sum", "none")
    )
    assert each.shape == (6,)
    np.testing.assert_allclose(np.mean(each), mean, rtol=1e-6)
    np.testing.assert_allclose(np.sum(each), total, rtol=1e-6)


def test_unreduced_identity_is_the_distance_of_each_pair(pair):
    teacher, student = pair(6, 6)
    each = Transport(plan="identity", reduction="none")(teacher, student)
    expected = np.sqrt(((teacher - student) ** 2).mean(axis=0))
    np.testing.assert_allclose(each, expected, rtol=1e-5)


def test_a_function_can_be_the_cost(pair):
    teacher, student = pair(5, 6)
    loss = Transport(lambda x, y: 3.0 * ot.costs.euclidean(x, y), 0.3)
    np.testing.assert_allclose(
        loss(teacher, student),
        3.0 * np.asarray(Transport(epsilon=0.3)(teacher, student)),
        rtol=1e-5,
    )


def test_a_cost_without_a_registered_name_says_so_when_saved():
    loss = Transport(lambda x, y: ot.costs.euclidean(x, y))
    with pytest.raises(ValueError, match="register_keras_serializable"):
        loss.get_config()


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("cost", "l2"),
        ("cost", None),
        ("cost", ["euclidean"]),
        *(("epsilon", value) for value in (0.0, np.nan, "0.1")),
        ("plan", "ot"),
        ("plan", None),
        ("solver", ot.Sinkhorn),
        ("solver", "sinkhorn"),
        ("spatial", "flatten"),
        ("spatial", None),
    ],
)
@pytest.mark.parametrize(
    "loss", [Transport, losses.SinkhornDivergence], ids=lambda x: x.__name__
)
def test_a_wrong_argument_is_named_with_what_was_expected(
    loss, argument, value
):
    if argument == "plan" and loss is losses.SinkhornDivergence:
        pytest.skip("it has no such argument")
    with pytest.raises(ValueError, match=f"`{argument}`") as error:
        loss(**{argument: value})
    assert "Expected" in str(error.value)
    assert "Received" in str(error.value)


@pytest.mark.parametrize(
    "loss", [Transport, losses.SinkhornDivergence], ids=lambda x: x.__name__
)
def test_settings_after_the_second_are_named(loss):
    with pytest.raises(TypeError, match="positional"):
        loss("euclidean", 0.1, "transport")


@pytest.mark.parametrize(
    ("teacher", "student", "spatial"),
    [
        ((7, 5), (8, 5), "pool"),
        ((7,), (7,), "pool"),
        ((7, 5), (7,), "pool"),
        ((7, 4, 5), (7, 5), "keep"),
        ((7, 4, 4, 5), (7, 16, 5), "keep"),
    ],
)
def test_features_that_cannot_be_compared_are_refused(
    teacher, student, spatial
):
    loss = Transport(epsilon=0.3, spatial=spatial)
    with pytest.raises(ValueError, match="Expected") as error:
        loss(np.ones(teacher), np.ones(student))
    assert str(student) in str(error.value)


def test_features_of_unequal_rank_can_be_pooled(pair, smooth):
    (maps, _), (_, flat) = pair(4, 4, (2, 3)), pair(5, 5)
    loss = smooth()
    np.testing.assert_allclose(
        loss(maps, flat), loss(maps.mean(axis=(1, 2)), flat), rtol=1e-9
    )


@pytest.mark.slow
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("cost", ["euclidean", "cosine"])
@pytest.mark.parametrize(
    "loss", [Transport, losses.SinkhornDivergence], ids=lambda x: x.__name__
)
def test_features_that_are_not_finite_are_not_hidden(pair, loss, cost, value):
    teacher, student = pair()
    student[0, 0] = value
    assert not np.isfinite(loss(cost, 0.3)(teacher, student))
