"""Pairs of neurons that a plan brings together, side by side."""

from typing import Any

import numpy as np
from keras import ops

from keras_otreg import checks
from keras_otreg.features.points import units_as_points
from keras_otreg.plots.figure import axes_in_rows, colors, new_figure, tidy
from keras_otreg.plots.plan import row_shares

# Pictures of a neuron that are shown: those that it answers to most.
SHOWN = 3


def matches(
    plan: Any,
    teacher: Any,
    student: Any,
    *,
    pictures: Any = None,
    count: int = 6,
) -> Any:
    """Draws what paired neurons of a teacher and a student answer to.

    The pairs are those of the plan to which the largest shares of a teacher
    neuron go, each neuron at most once. A dot is a sample. With pictures, each
    pair has those to which its two neurons answer most, strongest first.

    Args:
        plan: Shape `(teacher neurons, student neurons)`.
        teacher: Activations of shape `(samples, ..., teacher neurons)`; maps
            are averaged over positions.
        student: Activations of shape `(samples, ..., student neurons)`.
        pictures: The samples, of shape `(samples, height, width)` or with
            channels behind: one for grey, three for colours, in any range.
        count: How many pairs, at most.

    Returns:
        A `matplotlib.figure.Figure`; `figure.savefig(path)` writes it.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If the shapes do not belong together, or the plan is no
            matrix of finite numbers of at least 0, of which some are above.

    Example:
        ```python
        P = loss.plan(teacher_activations, student_activations)
        otreg.plots.matches(
            P, teacher_activations, student_activations, pictures=x
        )
        ```
    """
    x, y = (
        ops.convert_to_numpy(units_as_points(ops.convert_to_tensor(layer)))
        for layer in (teacher, student)
    )
    checks.same_samples(x.T.shape, y.T.shape)
    shares = row_shares(checks.plan(plan, shape=(len(x), len(y))))
    pairs = _pairs(shares, checks.count(count, "count"))
    checks.some_values(pairs, "plan", "pair of neurons")
    if pictures is None:
        figure = new_figure(7.5, 2.6 * -(-len(pairs) // 3))
        places = axes_in_rows(figure, len(pairs), 3)
    else:
        figure = new_figure(9.0, 0.2 + 1.9 * len(pairs))
        places = _between_pictures(figure, _as_pictures(pictures), x, y, pairs)
    color = colors(figure)[1]
    for axes, (i, j) in zip(places, pairs, strict=True):
        axes.scatter(x[i], y[j], s=6, color=color, alpha=0.7, linewidths=0)
        title = f"{shares[i, j]:.0%} of {i} goes to {j}"
        axes.set_title(title, fontsize="medium")
        axes.set(xlabel=f"teacher neuron {i}", ylabel=f"student neuron {j}")
        tidy(axes)
    return figure


def _pairs(shares, count):
    """The largest shares, of which no two are in one row or one column."""
    pairs = []
    for place in np.argsort(-shares, axis=None, kind="stable"):
        i, j = (int(k) for k in np.unravel_index(place, shares.shape))
        if shares[i, j] <= 0.0 or len(pairs) == count:
            break
        if all(i != row and j != column for row, column in pairs):
            pairs.append((i, j))
    return pairs


def _as_pictures(pictures):
    pictures = np.asarray(pictures, dtype="float64")
    low, high = pictures.min(), pictures.max()
    pictures = (pictures - low) / ((high - low) or 1.0)
    return pictures[..., 0] if pictures.shape[-1] == 1 else pictures


def _between_pictures(figure, pictures, x, y, pairs):
    """Draws the pictures of each pair; returns the axes in their middle."""
    checks.equal_lengths(
        {"samples": x.shape[1], "pictures": len(pictures)}, "pictures"
    )
    middle = []
    widths = [1.0] * SHOWN + [2.4] + [1.0] * SHOWN
    grid = figure.add_gridspec(len(pairs), len(widths), width_ratios=widths)
    for row, (i, j) in enumerate(pairs):
        middle.append(figure.add_subplot(grid[row, SHOWN]))
        for side, values, start in (
            (f"teacher neuron {i}", x[i], 0),
            (f"student neuron {j}", y[j], SHOWN + 1),
        ):
            for column, sample in enumerate(np.argsort(-values)[:SHOWN]):
                axes = figure.add_subplot(grid[row, start + column])
                axes.imshow(pictures[sample], cmap="gray", vmin=0.0, vmax=1.0)
                axes.set(xticks=[], yticks=[])
                if column == SHOWN // 2:
                    axes.set_title(side, fontsize="medium")
    return middle
