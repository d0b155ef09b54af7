import numpy as np
import pytest
from scipy.spatial.distance import cdist

from keras_otreg import losses
from keras_otreg.losses.representation_transport import (
    CONTROLS,
    control_plan,
    staircase,
)

Transport = losses.RepresentationTransport
WIDTHS = [(4, 4), (4, 6), (6, 4), (5, 7), (1, 3), (3, 1), (64, 48)]


@pytest.mark.parametrize("widths", WIDTHS)
@pytest.mark.parametrize("name", ["uniform", "random"])
def test_every_neuron_has_the_same_mass(name, widths):
    plan = control_plan(name, *widths)
    assert plan.shape == widths
    assert plan.min() >= 0.0
    np.testing.assert_allclose(plan.sum(0), 1 / widths[1], rtol=1e-5)
    np.testing.assert_allclose(plan.sum(1), 1 / widths[0], rtol=1e-5)


def test_the_identity_pairs_a_neuron_with_itself():
    np.testing.assert_allclose(control_plan("identity", 5, 5), np.eye(5) / 5)


def test_the_identity_refuses_unequal_widths(pair):
    teacher, student = pair(4, 6)
    for call in (
        lambda loss: loss(teacher, student),
        lambda loss: loss.plan(teacher, student),
    ):
        with pytest.raises(ValueError, match=r"equal width.*4.*6"):
            call(Transport(plan="identity"))


@pytest.mark.parametrize("width", [3, 5, 8, 64])
def test_the_random_plan_is_a_matching_but_not_the_identity(width):
    plan = control_plan("random", width, width)
    assert ((plan > 1e-6).sum(axis=0) == 1).all()
    assert not np.allclose(plan, control_plan("identity", width, width))


def test_the_random_plan_stays_as_it_was_drawn(pair, rng):
    teacher, student = pair(6, 9)
    first = np.asarray(Transport(plan="random").plan(teacher, student))
    np.random.seed(7)  # noqa: NPY002
    for loss in (Transport(plan="random"), Transport("cosine", plan="random")):
        for features in ((teacher, student), pair(6, 9)):
            np.testing.assert_array_equal(loss.plan(*features), first)


def test_the_random_plan_leaves_the_generators_alone(pair):
    np.random.seed(3)  # noqa: NPY002
    expected = np.random.uniform()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    Transport(plan="random")(*pair())
    assert np.random.uniform() == expected  # noqa: NPY002


def test_a_staircase_has_few_steps():
    plan = staircase(6, 4)
    assert (plan > 1e-9).sum() <= 6 + 4 - 1


@pytest.mark.parametrize("spatial", ["pool", "keep"])
def test_the_value_of_a_control_is_its_mean_distance(pair, smooth, spatial):
    teacher, student = pair(5, 5, inner=(2, 3))
    if spatial == "pool":
        A, U = (x.mean(axis=(1, 2)) for x in (teacher, student))
    else:
        A, U = (x.reshape(-1, 5) for x in (teacher, student))
    C = cdist(A.T, U.T) / np.sqrt(len(A))
    for plan, expected in (
        ("uniform", C.mean()),
        ("identity", np.diag(C).mean()),
        ("random", (C * control_plan("random", 5, 5)).sum()),
    ):
        loss = smooth(plan=plan, spatial=spatial)
        np.testing.assert_allclose(loss(teacher, student), expected, rtol=1e-6)


@pytest.mark.parametrize("plan", ["transport", *CONTROLS])
def test_the_plan_in_use_is_the_plan_on_view(pair, smooth, plan):
    teacher, student = pair()
    loss = smooth(plan=plan)
    C = cdist(teacher.T, student.T) / np.sqrt(len(teacher))
    np.testing.assert_allclose(
        loss(teacher, student),
        (np.asarray(loss.plan(teacher, student)) * C).sum(),
        rtol=1e-6,
    )
