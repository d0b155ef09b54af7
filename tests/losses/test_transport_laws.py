"""What the transport between two sets of neurons must satisfy."""

import numpy as np
import ot as pot
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from keras_otreg import losses, ot
from keras_otreg.ot.costs import COSTS

Transport = losses.RepresentationTransport


def distances(teacher, student):
    """Euclidean distances between neurons, for any number of samples."""
    return cdist(teacher.T, student.T) / np.sqrt(len(teacher))


def slack(C, epsilon):
    """What entropy of that strength may add to the exact transport."""
    return epsilon * C.mean() * np.log(max(C.shape))


@pytest.mark.slow
def test_equal_widths_are_an_assignment(pair, exact):
    teacher, student = pair(8, 8)
    C = distances(teacher, student)
    optimal = C[linear_sum_assignment(C)].mean()
    value = exact()(teacher, student)
    assert optimal - 1e-6 <= value <= optimal + slack(C, 0.005)


@pytest.mark.release
def test_a_whole_ratio_of_widths_is_an_assignment_of_copies(pair, exact):
    teacher, student = pair(6, 2)
    C = distances(teacher, np.repeat(student, 3, axis=1))
    optimal = C[linear_sum_assignment(C)].mean()
    value = exact()(teacher, student)
    assert optimal - 1e-6 <= value <= optimal + slack(C, 0.005)


@pytest.mark.release
@pytest.mark.parametrize("widths", [(5, 8), (4, 1)])
def test_unequal_widths_are_exact_transport(pair, exact, widths):
    teacher, student = pair(*widths)
    C = distances(teacher, student)
    optimal = pot.emd2([], [], C)
    value = exact()(teacher, student)
    assert optimal - 1e-6 <= value <= optimal + slack(C, 0.005)


@pytest.mark.release
@pytest.mark.parametrize("cost", ["euclidean", "cosine"])
def test_the_entropic_plan_is_that_of_pot(pair, smooth, cost):
    teacher, student = pair(6, 4)
    plan = smooth(cost, epsilon=0.1).plan(teacher, student)
    C = np.asarray(ot.costs.get(cost)(teacher.T, student.T))
    uniform = [np.full(n, 1 / n) for n in C.shape]
    expected = pot.sinkhorn(
        *uniform, C / C.mean(), 0.1, method="sinkhorn_log", stopThr=1e-12
    )
    np.testing.assert_allclose(plan, expected, atol=1e-6)


@pytest.mark.repeats
@pytest.mark.parametrize("cost", COSTS)
def test_transport_costs_no_more_than_the_uniform_plan(pair, smooth, cost):
    features = pair()
    uniform = smooth(cost, plan="uniform")(*features)
    assert smooth(cost, 0.2)(*features) <= uniform * (1 + 1e-6)


@pytest.mark.release
def test_exact_transport_costs_no_more_than_any_plan(pair, smooth, exact):
    features = pair(8)
    transport = exact()(*features)
    uniform = smooth(plan="uniform")(*features)
    assert transport <= uniform
    for plan in ("identity", "random"):
        control = smooth(plan=plan)(*features)
        assert transport <= control + 0.01 * uniform


def test_a_large_epsilon_gives_the_uniform_plan(pair, smooth):
    teacher, student = pair(4, 6)
    np.testing.assert_allclose(
        smooth(epsilon=1e4)(teacher, student),
        smooth(plan="uniform")(teacher, student),
        rtol=1e-3,
    )


@pytest.mark.release
@pytest.mark.parametrize("cost", ["euclidean", "cosine"])
def test_a_network_is_at_no_distance_from_itself(pair, smooth, exact, cost):
    teacher, _ = pair(8)
    mean = smooth(cost, plan="uniform")(teacher, teacher)
    assert exact(cost)(teacher, teacher) < 1e-4 * mean


@pytest.mark.release
def test_the_order_of_neurons_does_not_matter(pair, rng, exact):
    teacher, student = pair(5, 7, inner=(2, 3))
    loss = exact(spatial="keep")
    value = loss(teacher, student)
    for mixed in (
        (teacher[..., rng.permutation(5)], student),
        (teacher, student[..., rng.permutation(7)]),
    ):
        np.testing.assert_allclose(loss(*mixed), value, rtol=1e-6)


def test_the_order_of_neurons_matters_to_the_identity(pair, smooth):
    teacher, _ = pair(8)
    loss = smooth(plan="identity")
    assert loss(teacher, teacher) < 1e-6
    assert loss(teacher, teacher[:, ::-1]) > 0.1


@pytest.mark.release
@pytest.mark.parametrize("cost", ["euclidean", "cosine"])
def test_the_order_of_samples_does_not_matter(pair, rng, smooth, cost):
    teacher, student = pair(5, 6)
    order, loss = rng.permutation(7), smooth(cost)
    np.testing.assert_allclose(
        loss(teacher[order], student[order]),
        loss(teacher, student),
        rtol=1e-6,
    )


@pytest.mark.release
@pytest.mark.parametrize(
    ("cost", "spatial"), [("euclidean", "keep"), ("cosine", "pool")]
)
def test_the_value_does_not_depend_on_the_batch_size(
    pair, smooth, cost, spatial
):
    teacher, student = pair(4, 6, inner=(2, 3))
    loss = smooth(cost, spatial=spatial)
    once = loss(teacher, student)
    thrice = loss(*(np.tile(x, (3, 1, 1, 1)) for x in (teacher, student)))
    np.testing.assert_allclose(thrice, once, rtol=1e-6)


@pytest.mark.parametrize("power", [-4, 4])
@pytest.mark.parametrize("cost", ["euclidean", "cityblock"])
def test_the_value_scales_with_the_activations(pair, cost, power):
    teacher, student = pair(5, 6)
    run, scale = Transport(cost, 0.3), 10.0**power
    np.testing.assert_allclose(
        run(scale * teacher, scale * student),
        scale * run(teacher, student),
        rtol=1e-4,
    )


@pytest.mark.parametrize("widths", [(4, 7), (1, 3)])
@pytest.mark.parametrize("epsilon", [0.02, 1.0])
def test_every_neuron_has_the_same_mass_in_the_plan(pair, widths, epsilon):
    teacher, student = pair(*widths)
    plan = np.asarray(Transport(epsilon=epsilon).plan(teacher, student))
    assert plan.shape == widths
    assert plan.min() >= 0.0
    np.testing.assert_allclose(plan.sum(0), 1 / widths[1], atol=1e-3)
    np.testing.assert_allclose(plan.sum(1), 1 / widths[0], atol=1e-3)


def test_the_plan_of_a_permuted_copy_is_the_permutation(pair, rng, smooth):
    teacher, _ = pair(8)
    order = rng.permutation(8)
    plan = smooth(epsilon=0.02).plan(teacher, teacher[:, order])
    np.testing.assert_allclose(plan, np.eye(8)[:, order] / 8, atol=1e-4)


@pytest.mark.release
def test_any_solver_finds_the_same_transport(pair, compiled):
    features = pair(6, 9)
    values = [
        compiled(Transport(solver=solver))(*features)
        for solver in (ot.Sinkhorn(), ot.ProximalPoint())
    ]
    np.testing.assert_allclose(*values, rtol=5e-3)
