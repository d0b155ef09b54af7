import numpy as np
import pytest

from keras_otreg.plots import learning_curves

STEPS = [10, 20, 30]


@pytest.fixture
def panels(rng):
    curves = {name: rng.random((4, 3)) for name in ("plain", "transport")}
    return {f"panel {k}": curves for k in range(2)}


def test_every_panel_has_a_title_labelled_axes_and_a_legend(panels):
    figure = learning_curves(panels, STEPS, ylabel="recall")
    assert [axes.get_title() for axes in figure.axes] == list(panels)
    for axes in figure.axes:
        assert axes.get_xlabel() == "steps of training"
        assert axes.get_ylabel() == "recall"
        names = [text.get_text() for text in axes.get_legend().get_texts()]
        assert names == ["plain", "transport"]


def test_a_line_is_the_mean_and_a_band_one_deviation_wide(panels):
    axes = learning_curves(panels, STEPS).axes[0]
    values = panels["panel 0"]["plain"]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), values.mean(axis=0))
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), STEPS)
    band = axes.collections[0].get_paths()[0].vertices
    top = values.mean(axis=0) + values.std(axis=0)
    np.testing.assert_allclose(band[:, 1].max(), top.max())


def test_two_curves_differ_in_more_than_colour(panels):
    first, second = learning_curves(panels, STEPS).axes[0].lines
    assert first.get_linestyle() != second.get_linestyle()


def test_all_panels_have_one_scale(panels):
    panels["panel 1"] = {"far": 9.0 + np.zeros((2, 3))}
    figure = learning_curves(panels, STEPS)
    assert len({axes.get_ylim() for axes in figure.axes}) == 1


def test_dollars_in_names_begin_no_formula(panels):
    name = r"a$\foo$"
    panels = {name: {name: panels["panel 0"]["plain"]}}
    learning_curves(panels, STEPS, xlabel=name, ylabel=name).pixels()


def test_a_name_that_begins_with_a_line_is_in_the_legend(panels):
    panels = {"panel": {"_plain": panels["panel 0"]["plain"]}}
    (text,) = learning_curves(panels, STEPS).axes[0].get_legend().get_texts()
    assert text.get_text().strip() == "_plain"


def test_nothing_and_no_columns_cannot_be_drawn(panels):
    for found, columns in (({}, 3), (panels, 0)):
        with pytest.raises(ValueError, match="Expected.* Received"):
            learning_curves(found, STEPS, columns=columns)
