import numpy as np
import pytest
from matplotlib import image, style
from matplotlib.colors import to_hex, to_rgb

from keras_otreg.plots import figure as figures

LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


def contrast(one, other):
    """Contrast of two colours as the accessibility guidelines have it."""
    lights = []
    for color in (one, other):
        linear = np.array(to_rgb(color))
        linear = np.where(
            linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055) ** 2.4
        )
        lights.append(float(linear @ LUMINANCE))
    return (max(lights) + 0.05) / (min(lights) + 0.05)


def test_every_line_can_be_seen_on_its_background(background):
    figure = figures.new_figure(2, 2)
    for color in figures.colors(figure):
        assert contrast(color, figure.get_facecolor()) >= 3.0


def test_lines_by_depth_can_be_seen_on_their_background(background):
    figure = figures.new_figure(2, 2)
    found = figures.depth_colors(figure, 6)
    lights = [figures.lightness(color[:3]) for color in found]
    assert np.all(np.diff(lights) < 0.0)
    shades = [contrast(c[:3], figure.get_facecolor()) for c in found]
    assert min(shades) >= 2.0


def test_nothing_is_the_background_and_all_is_its_opposite(background):
    figure = figures.new_figure(2, 2)
    scale = figures.heat_colors(figure)
    assert contrast(scale(0.0)[:3], figure.get_facecolor()) < 1.1
    assert contrast(scale(1.0)[:3], figure.get_facecolor()) > 10.0


def test_more_is_always_further_from_the_background(background):
    figure = figures.new_figure(2, 2)
    scale = figures.heat_colors(figure)
    steps = [figures.lightness(scale(k)[:3]) for k in np.linspace(0, 1, 20)]
    assert np.all(np.diff(steps) * (1 if background != "default" else -1) > 0)


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (3, 1), (4, 2), (7, 3)])
def test_panels_fill_rows(count, rows):
    found = figures.new_panels(count, 3, 1, 1)
    assert len(found) == count
    assert found[-1].get_subplotspec().rowspan.start == rows - 1


def test_a_figure_shows_itself_in_a_notebook_and_as_pixels():
    figure = figures.new_figure(2, 1)
    figure.subplots().plot([0, 1])
    assert figure._repr_png_().startswith(b"\x89PNG")
    pixels = figure.pixels()
    assert pixels.shape == (150, 300, 4)
    assert len(np.unique(pixels)) > 2


def test_a_figure_is_saved_on_its_own_background(tmp_path):
    shade = "#1e2129"
    with style.context(["dark_background", {"figure.facecolor": shade}]):
        figure = figures.new_figure(2, 1)
        figure.savefig(tmp_path / "inside.png")
    figure.savefig(tmp_path / "outside.png")
    for path in tmp_path.iterdir():
        assert to_hex(image.imread(path)[0, 0, :3]) == shade
    figure.savefig(tmp_path / "inside.png", transparent=True)
    assert image.imread(tmp_path / "inside.png")[0, 0, 3] == 0.0


@pytest.mark.parametrize("name", ["$5_$10", r"\$", r"a\\$b$", "$", "plain"])
def test_a_literal_name_is_drawn_letter_by_letter(name):
    figure = figures.new_figure(2, 1)
    written = figure.text(0.5, 0.5, figures.literal(name))
    expected = figure.text(0.5, 0.5, name, parse_math=False)
    assert written._preprocess_math(written.get_text()) == (name, False)
    boxes = [x.get_window_extent().width for x in (written, expected)]
    assert boxes[0] == boxes[1]
