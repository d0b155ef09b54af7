import numpy as np
import pytest

from keras_otreg import plots

ROWS, COLUMNS = ["stem", "body", "head"], ["conv", "features"]
VALUES = np.array([[0.9, 0.1], [0.4, np.nan], [0.0, 0.75]])


@pytest.fixture
def figure():
    pairs = [("head", "features")]
    return plots.layer_similarity(
        VALUES, ROWS, COLUMNS, pairs=pairs, title="two nets", label="CKA"
    )


def test_every_layer_is_named(figure):
    axes, colorbar = figure.axes
    assert [x.get_text() for x in axes.get_yticklabels()] == ROWS
    assert [x.get_text() for x in axes.get_xticklabels()] == COLUMNS
    assert (axes.get_title(), colorbar.get_ylabel()) == ("two nets", "CKA")


def test_every_value_that_is_a_number_is_written(figure):
    written = {(t.get_position(), t.get_text()) for t in figure.axes[0].texts}
    assert written == {
        ((j, i), f"{VALUES[i, j]:.2f}")
        for i, j in np.ndindex(3, 2)
        if np.isfinite(VALUES[i, j])
    }


def test_a_pair_is_framed_in_its_cell(figure):
    (frame,) = figure.axes[0].lines
    assert 0.5 < frame.get_xdata().min() < 1.0 < frame.get_xdata().max() < 1.5
    assert 1.5 < frame.get_ydata().min() < 2.0 < frame.get_ydata().max() < 2.5


def test_colours_go_from_0_to_1_or_as_far_as_the_values():
    image = plots.layer_similarity([[0.3]], "a", "b").axes[0].images[0]
    assert image.get_clim() == (0.0, 1.0)
    image = plots.layer_similarity([[3.0, -1.0]], "a", "bc").axes[0].images[0]
    assert image.get_clim() == (-1.0, 3.0)


def test_a_number_can_be_read_on_its_cell(background):
    axes = plots.layer_similarity([[0.0, 1.0]], "a", "bc").axes[0]
    colors = [text.get_color() for text in axes.texts]
    expected = ["black", "white"]
    assert colors == expected[:: 1 if background == "default" else -1]


def test_hundreds_of_layers_are_drawn_without_numbers(rng):
    names = [f"layer{k}" for k in range(120)]
    figure = plots.layer_similarity(rng.random((120, 120)), names, names)
    assert not figure.axes[0].texts
    assert max(figure.get_size_inches()) <= 16.0


def test_names_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 1\).*shape \(1, 1\)"):
        plots.layer_similarity([[1.0]], "ab", "c")
    with pytest.raises(ValueError, match="pairs='x'"):
        plots.layer_similarity([[1.0]], "a", "c", pairs=[("x", "c")])


def test_dollars_in_names_begin_no_formula():
    names, other = ["$5_$10", "stem"], r"a$\foo$"
    figure = plots.layer_similarity(
        np.eye(2),
        names,
        names,
        title=other,
        label=other,
        ylabel=other,
        xlabel=other,
    )
    assert figure.pixels().shape[-1] == 4
