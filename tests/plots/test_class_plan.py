import numpy as np

from keras_otreg.plots import class_plan


def test_rows_are_target_classes_whose_shares_sum_to_one(rng):
    plan = rng.random((6, 3))
    axes, colorbar = class_plan(plan, list("ABCDEF"), list("012")).axes
    shares = axes.images[0].get_array()
    assert shares.shape == (3, 6)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    assert (axes.get_xlabel(), axes.get_ylabel()) == (
        "source class",
        "target class",
    )
    assert colorbar.get_ylabel() == "share of the target class"


def test_source_classes_stand_with_the_target_class_they_go_to():
    plan = np.eye(3)[[2, 0, 1]]
    axes = class_plan(plan, list("ABC"), list("012")).axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), np.eye(3))
    assert [x.get_text() for x in axes.get_xticklabels()] == list("BCA")


def test_a_target_class_without_mass_is_a_row_of_zeros():
    plan = np.array([[0.0, 1.0], [0.0, 2.0]])
    shares = class_plan(plan, "AB", "01").axes[0].images[0].get_array()
    assert np.isfinite(shares).all()
