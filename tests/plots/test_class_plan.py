import warnings

import numpy as np
import pytest

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


@pytest.mark.slow
def test_source_classes_stand_with_the_target_class_they_go_to():
    plan = np.eye(3)[[2, 0, 1]]
    axes = class_plan(plan, list("ABC"), list("012")).axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), np.eye(3))
    assert [x.get_text() for x in axes.get_xticklabels()] == list("BCA")


def test_a_target_class_without_mass_is_a_row_of_zeros():
    plan = np.array([[0.0, 1.0], [0.0, 2.0]])
    shares = class_plan(plan, "AB", "01").axes[0].images[0].get_array()
    assert np.isfinite(shares).all()


@pytest.mark.parametrize(
    ("shape", "names"), [((3, 2), ("AB", "01")), ((1, 2), ("A", "0"))]
)
def test_there_is_a_name_for_each_class_of_a_matrix(shape, names):
    with pytest.raises(ValueError, match="names"):
        class_plan(np.ones(shape), *names)


@pytest.mark.parametrize(
    "plan", [[[np.nan, 1.0]], [[-1.0, 1.0]], [1.0, 2.0], np.ones((1, 2, 1)), []]
)
def test_a_plan_is_a_matrix_without_negative_numbers(plan):
    with pytest.raises(ValueError, match=r"`plan`\. Expected.* Received"):
        class_plan(plan, "A", "01")


def test_few_classes_with_long_names_find_room():
    names = [f"a rather long name of class {k}" for k in range(3)]
    figure = class_plan(np.eye(3), names, names)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.draw_without_rendering()
    height, width = figure.pixels().shape[:2]
    for axis in (figure.axes[0].xaxis, figure.axes[0].yaxis):
        for label in axis.get_ticklabels():
            box = label.get_window_extent()
            assert box.x0 >= 0
            assert box.y0 >= 0
    box = figure.axes[0].get_window_extent()
    assert min(box.width / width, box.height / height) > 0.2


def test_dollars_in_names_begin_no_formula():
    names = ["$5_$10", "$x"], [r"\$\frac$", "$$"]
    figure = class_plan(np.eye(2), *names)
    assert figure.pixels().shape[-1] == 4
