import numpy as np
import pytest

from keras_otreg import plots

SERIES = {"stem": [0.0, 0.1, 0.2], "block": [0.1, 0.3, 0.4], "head": [1, 2, 3]}


def test_several_values_are_lines_over_the_epochs_in_the_order_of_depth():
    figure = plots.feature_drift(SERIES, label="1 - CKA")
    (axes,) = figure.axes
    for line, values in zip(axes.lines, SERIES.values(), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), values)
        np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
    assert axes.get_ylabel() == "1 - CKA"
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == list(SERIES)


def test_the_epochs_may_be_given():
    axes = plots.feature_drift(SERIES, epochs=[0, 5, 10]).axes[0]
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), [0, 5, 10])


def test_lines_can_be_told_apart_without_colours():
    lines = plots.feature_drift(SERIES).axes[0].lines
    assert len({line.get_marker() for line in lines}) == 3


def test_one_value_each_is_a_bar_from_input_to_output():
    axes = plots.feature_drift({"stem": 0.25, "head": 0.5}).axes[0]
    assert [bar.get_width() for bar in axes.patches] == [0.25, 0.5]
    assert [x.get_text() for x in axes.get_yticklabels()] == ["stem", "head"]
    assert axes.yaxis_inverted()
    assert [text.get_text().strip() for text in axes.texts] == ["0.25", "0.5"]


@pytest.mark.parametrize(
    "drift", [{}, {"a": [1.0], "b": [1.0, 2.0]}, {"a": 1.0, "b": [1.0]}]
)
def test_layers_of_unequal_values_are_refused(drift):
    with pytest.raises(ValueError, match="as many for each"):
        plots.feature_drift(drift)


@pytest.mark.parametrize("values", [1.0, [1.0, 2.0]])
def test_dollars_in_names_begin_no_formula(values):
    names = "$5_$10", "$x_$"
    drift = dict.fromkeys(names, values)
    plots.feature_drift(drift, label=r"a$\foo$").pixels()


def test_a_layer_that_begins_with_a_line_is_in_the_legend():
    figure = plots.feature_drift({"_stem": [0.0, 0.1], "head": [1.0, 2.0]})
    names = [text.get_text().strip() for text in figure.legends[0].get_texts()]
    assert names == ["_stem", "head"]
