"""Time against the size of a problem."""

from collections.abc import Mapping
from typing import Any

from keras_otreg import checks
from keras_otreg.plots.figure import DASHES, colors, new_figure


def growth(seconds: Mapping[int, float]) -> Any:
    """Draws times over sizes, beside a line of time as the square of size.

    Args:
        seconds: Time in seconds for each size.

    Returns:
        A `matplotlib.figure.Figure`; `figure.savefig(path)` writes it.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If there are no sizes.

    Example:
        ```python
        growth({256: 0.001, 512: 0.004, 1024: 0.015}).savefig("growth.png")
        ```
    """
    checks.some_values(seconds, "seconds", "size")
    sizes = sorted(seconds)
    times = [1000.0 * seconds[size] for size in sizes]
    largest = sizes[-1]
    squares = [times[-1] * (size / largest) ** 2 for size in sizes]
    figure = new_figure(4.5, 3.2)
    palette = colors(figure)
    axes = figure.add_subplot()
    axes.plot(
        sizes, squares, DASHES[0], color=palette[0], label="as size squared"
    )
    axes.plot(
        sizes, times, DASHES[1], color=palette[1], marker="o", label="measured"
    )
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.set_xlabel("neurons on each side")
    axes.set_ylabel("time [ms]")
    axes.legend(frameon=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure
