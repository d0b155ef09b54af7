import pytest

from keras_otreg import plots

FOUND = {"good": (0.2, 0.1, 0.3), "bad": (-0.2, -0.3, -0.1), "so": (0, -1, 1)}


def test_every_task_is_a_panel_and_every_method_a_row():
    figure = plots.gains({"first": FOUND, "second": {"good": (0.1, 0, 0.2)}})
    first, second = figure.axes
    assert (first.get_title(), second.get_title()) == ("first", "second")
    assert [x.get_text() for x in first.get_yticklabels()] == list(FOUND)


def test_bars_are_the_intervals_and_their_colours_tell_the_sides_apart():
    (axes,) = plots.gains({"task": FOUND}).axes
    bars = [x for x in axes.lines if len(set(x.get_ydata())) == 1][::2]
    ends = [tuple(bar.get_xdata()) for bar in bars]
    assert ends == [x[1:] for x in FOUND.values()]
    assert len({bar.get_color() for bar in bars}) == 3


def test_dollars_in_names_begin_no_formula():
    name = r"a$\foo$"
    plots.gains({name: {name: FOUND["good"]}}, xlabel=name).pixels()


@pytest.mark.parametrize(("panels", "columns"), [({}, 3), ({"task": FOUND}, 0)])
def test_nothing_and_no_columns_cannot_be_drawn(panels, columns):
    with pytest.raises(ValueError, match="Expected.* Received"):
        plots.gains(panels, columns=columns)
