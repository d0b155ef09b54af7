import numpy as np
import pytest

from keras_otreg.plots import growth

SECONDS = {1024: 0.016, 256: 0.002, 512: 0.004}


@pytest.fixture
def axes():
    return growth(SECONDS).axes[0]


def test_times_are_drawn_in_order_of_size_in_milliseconds(axes):
    measured = axes.lines[1]
    np.testing.assert_array_equal(measured.get_xdata(), [256, 512, 1024])
    np.testing.assert_allclose(measured.get_ydata(), [2.0, 4.0, 16.0])


def test_the_other_line_is_the_square_of_the_size(axes):
    squares = axes.lines[0]
    np.testing.assert_allclose(squares.get_ydata(), [1.0, 4.0, 16.0])


def test_axes_are_labelled_and_lines_can_be_told_apart(axes):
    assert axes.get_xlabel() == "neurons on each side"
    assert axes.get_ylabel() == "time [ms]"
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["as size squared", "measured"]
    first, second = axes.lines
    assert first.get_linestyle() != second.get_linestyle()
