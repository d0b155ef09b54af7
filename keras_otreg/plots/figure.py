"""Figures that touch no global state, in colours that everyone can tell.

They take their background and the colour of their text from matplotlib's
current style: `plt.style.use("dark_background")` makes them dark.
"""

import html
import io
import math
import re
from collections.abc import Collection
from typing import Any

import numpy as np

from keras_otreg import checks

# Colours that all can tell, of different lightness: Okabe and Ito's, the
# lighter ones for a dark background. Each has a dash besides.
ON_LIGHT = ("#777777", "#0072B2", "#D55E00", "#009E73")
ON_DARK = ("#999999", "#56B4E9", "#E69F00", "#00C090")
DASHES = ("--", "-", "-.", ":")
MARKERS = "os^Dv<>P"


def new_figure(width: float, height: float) -> Any:
    """An empty `matplotlib.figure.Figure` of a size in inches."""
    checks.installed("matplotlib.figure", "plots", "Pictures")
    from keras_otreg.plots.picture import Picture

    return Picture(figsize=(width, height), dpi=150, layout="constrained")


def colors(figure: Any) -> tuple[str, ...]:
    """Grey and three colours, which can be seen on a figure's background."""
    return ON_DARK if is_dark(figure) else ON_LIGHT


def heat_colors(figure: Any) -> Any:
    """A colour map from a figure's background to its opposite in lightness."""
    from matplotlib.colors import LinearSegmentedColormap, to_hex

    ground = to_hex(figure.get_facecolor())
    steps = ["#f7fbff", "#9ecae1", "#3182bd", "#08306b"]
    if is_dark(figure):
        steps = [ground, "#225588", "#56B4E9", "#f7fbff"]
    scale = LinearSegmentedColormap.from_list("shares", steps)
    return scale.with_extremes(bad=colors(figure)[0])


def depth_colors(figure: Any, count: int) -> list[Any]:
    """Colours of an ordered set of lines, from first to last."""
    import matplotlib

    # The ends of the map vanish into a white or a black background.
    ends = (1.0, 0.4) if is_dark(figure) else (0.75, 0.0)
    return list(matplotlib.colormaps["viridis"](np.linspace(*ends, count)))


def is_dark(figure: Any) -> bool:
    """Whether a figure has a dark background."""
    return lightness(figure.get_facecolor()) < 0.5


def lightness(color: Any) -> float:
    """Perceived lightness of a colour, from 0 to 1."""
    from matplotlib.colors import to_rgb

    return float(np.dot(to_rgb(color), (0.299, 0.587, 0.114)))


def new_panels(count, columns, width, height):
    """Axes of a new figure, each of a size in inches, in rows."""
    columns = min(checks.count(columns, "columns"), count)
    rows = math.ceil(count / columns)
    figure = new_figure(0.5 + width * columns, rows * height)
    return [figure.add_subplot(rows, columns, k + 1) for k in range(count)]


def some_values(names: Collection[Any], name: str, of: str = "epoch") -> None:
    """Raise if there is nothing to draw."""
    if len(names) == 0:
        expected = f"values of at least one {of}"
        raise checks.invalid(expected, "none", argument=name)


def tidy(axes: Any, grid: str = "both") -> None:
    """A thin grid, and no frame where there is no axis."""
    axes.grid(axis=grid, alpha=0.3, linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)


def whole_ticks(*axes: Any) -> None:
    """Place ticks at whole numbers only, on each of some axes."""
    for axis in axes:
        # With the default of 2, a range with one whole number has fractions.
        axis.get_major_locator().set_params(integer=True, min_n_ticks=1)


def literal(name: str) -> str:
    """A name that matplotlib shows literally, without formulas."""
    return name.replace("$", r"\$")


def legend_name(name: str) -> str:
    """A name for a legend, which leaves out what begins with a `_`."""
    return literal(f" {name}" if name.startswith("_") else name)


def inline_svg(figure: Any, label: str) -> str:
    """A figure as an `<svg>` element, which grows and shrinks with its page.

    Black becomes `currentColor`, and the colours of curves become variables of
    the page, `--curve-0` to `--curve-3`, if it has them: a dark page has a
    dark figure. Images in it have the class `picture`.

    Args:
        figure: A `matplotlib.figure.Figure`.
        label: What is to be seen, for those who cannot.

    Example:
        ```python
        figure = gains({"my task": {"transport": (0.04, 0.02, 0.06)}})
        page = f"<figure>{inline_svg(figure, 'what is gained')}</figure>"
        ```
    """
    matplotlib = checks.installed("matplotlib", "plots", "Pictures")
    buffer = io.StringIO()
    # Letters stay letters, in the font of the page.
    style = {"svg.fonttype": "none", "svg.hashsalt": label}
    with matplotlib.rc_context(style):
        figure.savefig(
            buffer, format="svg", transparent=True, metadata={"Date": None}
        )
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    for side in ("width", "height"):
        text = re.sub(rf'(<svg[^>]*?) {side}="[^"]*"', r"\1", text, count=1)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = text.replace("<image ", '<image class="picture" ')
    # Text has no colour of its own, and would be black.
    spoken = f'role="img" aria-label="{html.escape(label)}"'
    text = text.replace("<svg ", f'<svg fill="currentColor" {spoken} ', 1)
    text = text.replace("#000000", "currentColor")
    for number, color in enumerate(ON_LIGHT):
        variable = f"var(--curve-{number}, {color})"
        text = re.sub(color, variable, text, flags=re.IGNORECASE)
    return text
