import numpy as np
import pytest

from keras_otreg import class_costs


@pytest.fixture
def predicted(rng):
    labels = np.repeat([0, 1, 2], [4, 2, 6])
    return rng.dirichlet(np.ones(5), 12), labels


def test_columns_are_the_mean_predictions_of_each_class(predicted):
    p, labels = predicted
    R = class_costs.conditional(p, labels, smoothing=0.0)
    means = np.stack([p[labels == c].mean(axis=0) for c in range(3)], axis=1)
    np.testing.assert_allclose(R, means)


def test_smoothing_adds_samples_of_the_mean_class(predicted):
    p, labels = predicted
    R = class_costs.conditional(p, labels, smoothing=0.0)
    smoothed = class_costs.conditional(p, labels, smoothing=2.0)
    counts = np.array([4, 2, 6])
    mean = R.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(
        smoothed, (counts * R + 2.0 * mean) / (counts + 2.0)
    )


def test_permuted_classes_permute_the_relation(predicted):
    p, labels = predicted
    names = np.array(["c", "a", "b"])[labels]
    R = class_costs.conditional(p, labels)
    found = class_costs.conditional(p[:, ::-1], names)
    np.testing.assert_allclose(found, R[::-1, [1, 2, 0]])


def test_a_source_class_that_is_equally_frequent_prefers_no_target():
    R = np.array([[0.5, 0.5, 0.5], [0.4, 0.1, 0.2], [0.1, 0.4, 0.3]])
    C = class_costs.from_conditional(R)
    np.testing.assert_allclose(C[0], C[0, 0])
    assert C.min() == 0.0
    assert C[1].argmin() == 0
    assert C[2].argmin() == 1


def test_source_classes_of_no_mass_have_finite_costs():
    C = class_costs.from_conditional(np.array([[1.0, 1.0], [0.0, 0.0]]))
    assert np.isfinite(C).all()
