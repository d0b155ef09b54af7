import numpy as np
import pytest

from keras_otreg.plots import plan as plot
from keras_otreg.plots.matrices import row_shares

NAME = r"a$\foo$"


def drawn(figure, panel=0):
    return np.asarray(figure.axes[panel].images[0].get_array())


@pytest.fixture
def groups(rng):
    """12 teacher neurons, of which 3 go to each of 4 student neurons."""
    return np.eye(4)[rng.permutation(np.repeat(np.arange(4), 3))] / 12.0


def test_every_panel_has_a_title_and_labelled_axes(groups):
    figure = plot({"before": groups, "after": groups})
    assert [x.get_title() for x in figure.axes[:2]] == ["before", "after"]
    for axes in figure.axes[:2]:
        assert axes.get_xlabel()
        assert axes.get_ylabel()
    assert figure.axes[2].get_ylabel() == "share of the teacher neuron"


def test_a_sharp_plan_is_a_staircase(groups):
    stairs = np.repeat(np.eye(4), 3, axis=0)
    np.testing.assert_array_equal(drawn(plot({"": groups})), stairs)


def test_what_is_blurred_comes_last(groups):
    plan = np.ones((14, 6))
    plan[2:] = 0.0
    plan[2:, 2:] = groups
    image = drawn(plot({"": plan}))
    np.testing.assert_allclose(image[:12].max(axis=1), 1.0)
    np.testing.assert_allclose(image[12:], 1.0 / 6.0)


def test_a_neuron_that_stayed_is_on_the_diagonal_of_an_aligned_panel(rng):
    plan = np.eye(6)
    plan[[1, 4]] = plan[[4, 1]]
    plan = plan * rng.uniform(0.5, 1.0, (6, 1))
    image = drawn(plot({"same": plan}, aligned=["same"]))
    assert np.diag(image).sum() == 4.0


def test_shares_of_a_teacher_neuron_sum_to_one(rng):
    plan = rng.random((5, 3))
    plan[2] = 0.0
    sums = row_shares(plan).sum(axis=1)
    np.testing.assert_allclose(sums, [1.0, 1.0, 0.0, 1.0, 1.0])


@pytest.mark.parametrize("shape", [(4, 3), (2, 3)])
def test_only_a_square_plan_can_be_aligned(shape):
    plans = {"other": np.ones(shape)}
    plot(plans)
    with pytest.raises(ValueError, match=r"`plans`\. Expected a square plan"):
        plot(plans, aligned=["other"])


@pytest.mark.parametrize(
    "plans",
    [
        [[0.5, np.nan]],
        [[0.5, -0.1]],
        [0.5, 0.5],
        np.ones((2, 2, 2)),
        np.zeros((0, 3)),
        [],
        {},
        {"good": np.eye(2), "bad": np.ones(3)},
    ],
    ids=str,
)
def test_what_is_no_plan_is_refused(plans):
    with pytest.raises(ValueError, match=r"`plans`\. Expected.* Received"):
        plot(plans)


def test_dollars_in_names_begin_no_formula():
    figure = plot({NAME: np.eye(2)}, aligned=[NAME], points=NAME)
    figure.pixels()
    assert figure.axes[0].title._preprocess_math(
        figure.axes[0].get_title()
    ) == (NAME, False)
