import keras
import numpy as np
import pytest

import keras_otreg as otreg


@pytest.fixture
def conditional(rng):
    """Probabilities of 6 source classes, given each of 4 target classes."""
    return rng.dirichlet(np.ones(6), 4).T


@pytest.fixture
def predictions(rng):
    return rng.dirichlet(np.ones(6), 5), rng.dirichlet(np.ones(4), 5)


def make_loss(conditional, **kwargs):
    kwargs = {"dtype": "float64", "reduction": "none", **kwargs}
    return otreg.losses.ClassConditional(conditional, **kwargs)


def numbers(tensor):
    return keras.ops.convert_to_numpy(tensor)


def test_value_is_the_divergence_of_the_expected_mixture(
    conditional, predictions
):
    s, t = predictions
    mixture = t @ conditional.T
    expected = (mixture * np.log(mixture / s)).sum(axis=1)
    found = numbers(make_loss(conditional)(s, t))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    least = numbers(make_loss(conditional)(mixture, t))
    np.testing.assert_allclose(least, 0.0, atol=1e-6)


def test_for_one_hot_labels_it_is_co_tuning_but_for_a_constant(
    conditional, predictions
):
    s, labels = predictions[0], np.array([0, 3, 1, 1, 2])
    given = conditional.T[labels]
    co_tuning = -(given * np.log(s)).sum(axis=1)
    entropy = -(given * np.log(given)).sum(axis=1)
    found = numbers(make_loss(conditional)(s, np.eye(4)[labels]))
    np.testing.assert_allclose(found, co_tuning - entropy, rtol=1e-6)


def test_its_plan_is_the_limit_of_plans_with_a_free_source_marginal(
    conditional, predictions
):
    s, t = (x[0] for x in predictions)
    # The optimum over the reference s t^T is the conditional where free.
    C = -np.log(conditional / s[:, None])
    problem = otreg.ot.TransportProblem(C - C.min(), s, t, 1.0, (1e-6, None))
    solver = otreg.ot.Sinkhorn(tolerance=1e-9)
    limit = otreg.ot.transport_plan(problem, solver(problem))
    found = make_loss(conditional).plan(s[None], t[None])[0]
    np.testing.assert_allclose(numbers(limit), numbers(found), atol=1e-5)
    np.testing.assert_allclose(numbers(found).sum(axis=0), t, rtol=1e-6)


def test_logits_are_the_logarithms_of_probabilities(conditional, predictions):
    logits = [np.log(x) + 3.0 for x in predictions]
    loss = make_loss(conditional, from_logits=True)
    expected = numbers(make_loss(conditional)(*predictions))
    np.testing.assert_allclose(numbers(loss(*logits)), expected, rtol=1e-6)


@pytest.mark.parametrize("wrong", [np.ones((3, 2)), [[1.5, 0.5], [-0.5, 0.5]]])
def test_columns_that_are_no_distributions_are_refused(wrong):
    with pytest.raises(ValueError, match="columns sum to one"):
        otreg.losses.ClassConditional(np.asarray(wrong, float))


def test_other_numbers_of_classes_are_refused(conditional, predictions):
    with pytest.raises(ValueError, match="source classes, target classes"):
        make_loss(conditional)(*predictions[::-1])
