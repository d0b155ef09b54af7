"""Transport plans and similarities of layers as pictures."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_otreg import checks
from keras_otreg.features.points import units_as_points
from keras_otreg.plots.figure import (
    colors,
    heat_colors,
    lightness,
    literal,
    new_figure,
    new_panels,
    some_values,
    tidy,
    whole_ticks,
)

# Names along one side of a heat map, and cells that have room for a number.
MOST_NAMES, MOST_NUMBERS = 60, 400
# Pictures of a neuron that are shown: those that it answers to most.
SHOWN = 3


def plan(
    plans: Any, *, aligned: Collection[str] = (), points: str = "neuron"
) -> Any:
    """Figure of where the neurons of a teacher go in a student.

    A row is a teacher neuron and its shares sum to 1, so that a dark cell is
    a neuron that goes to one place. Neurons are put in an order that shows
    the plan: a sharp one is a staircase, and what is blurred comes last.

    Args:
        plans: A plan of shape `(teacher neurons, student neurons)`, or one for
            the title of each panel, such as the `plans` of a
            `TransportMonitor`.
        aligned: Titles of panels whose student started as a copy of the
            teacher. Both sides are then in one order, so that a neuron that
            stayed in its place is on the diagonal.
        points: What the rows and columns are.

    Raises:
        ValueError: If a plan is no matrix of finite numbers of at least 0, or
            that of an aligned panel is not square.

    Example:
        ```python
        P = loss.plan(teacher_activations, student_activations)
        otreg.plots.plan({"after training": P}).savefig("plan.png")
        ```
    """
    if not isinstance(plans, Mapping):
        plans = {"": plans}
    some_values(plans, "plans", "panel")
    plans = {k: _checked(P, "plans") for k, P in plans.items()}
    for title in set(aligned).intersection(plans):
        checks.square(plans[title].shape, "plans")
    points = literal(points)
    figure = new_figure(1.0 + 4.0 * len(plans), 5.0)
    all_axes = figure.subplots(1, len(plans), squeeze=False)[0]
    for axes, (title, P) in zip(all_axes, plans.items(), strict=True):
        shares = row_shares(P)
        rows = np.argsort(-shares.max(axis=1), kind="stable")
        columns = rows
        if title not in aligned:
            columns = np.argsort(-shares.max(axis=0), kind="stable")
            # Of equal partners the last: what goes everywhere is at the end.
            partner = -shares[:, columns[::-1]].argmax(axis=1)
            rows = np.lexsort((-shares.max(axis=1), partner))
        image = _heat_map(axes, shares[np.ix_(rows, columns)], 0.0, 1.0)
        whole_ticks(axes.xaxis, axes.yaxis)
        axes.set_title(literal(title))
        axes.set_xlabel(f"student {points}, sharpest first")
        axes.set_ylabel(f"teacher {points}")
    label = f"share of the teacher {points}"
    figure.colorbar(image, ax=list(all_axes), label=label)
    return figure


def _checked(plan, name):
    plan = checks.cost_matrix(plan, name, "masses of a plan between two sets")
    return plan.astype("float64")


def check_class_names(names: Any, shape: Any) -> None:
    """Raise unless there is a name for each source and each target class."""
    if len(names) != 2 or tuple(map(len, names)) != tuple(shape):
        raise checks.invalid(
            "a pair of lists, of the names of the source classes and of the "
            f"target classes, of lengths {tuple(shape)}",
            f"lengths {tuple(map(len, names))}",
            argument="class_names",
        )


def row_shares(plan: Any) -> np.ndarray:
    """A plan of shape `(n, m)` with rows scaled to sum 1."""
    plan = np.asarray(plan, dtype="float64")
    total = plan.sum(axis=1, keepdims=True)
    return plan / np.where(total > 0.0, total, 1.0)


def class_plan(
    plan: Any, source_names: Sequence[str], target_names: Sequence[str]
) -> Any:
    """Figure of the plan between source classes and target classes.

    A row is a target class and its shares sum to 1. Source classes stand
    beside the target class that they go to most, strongest first.

    Args:
        plan: Non-negative, of shape `(source classes, target classes)`.
        source_names: Names of the source classes.
        target_names: Names of the target classes.

    Raises:
        ValueError: If the plan is no matrix of finite numbers of at least 0,
            with a name for each row and column.

    Example:
        ```python
        P = loss.plan(source_predictions, target_predictions)
        class_plan(np.mean(P, axis=0), letters, digits).savefig("classes.png")
        ```
    """
    plan = _checked(plan, "plan")
    check_class_names((source_names, target_names), plan.shape)
    shares = row_shares(plan.T)
    order = np.lexsort((-shares.max(axis=0), shares.argmax(axis=0)))
    image = _named_heat_map(
        shares[:, order],
        target_names,
        [source_names[k] for k in order],
        cell=(0.2, 0.3),
        # A plan that moves nothing has no share to set the scale by.
        limits=(0.0, shares.max() or 1.0),
        xlabel="source class",
        ylabel="target class",
        label="share of the target class",
    )
    return image.axes.figure


def layer_similarity(
    values: Any,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    pairs: Collection[tuple[str, str]] = (),
    title: str | None = None,
    label: str = "similarity",
    ylabel: str = "teacher layer",
    xlabel: str = "student layer",
) -> Any:
    """Figure of a value for each layer of one network and each of another.

    Args:
        values: Shape `(rows, columns)`, such as one minus the value of
            `CenteredKernelAlignment`. The colours go from 0 to 1, or as far as
            the finite values do; other cells are grey.
        rows: Names of the layers of one network, from input to output.
        columns: Names of the layers of the other.
        pairs: Pairs of names (row, column) to be framed.
        title: Title of the figure.
        label: What the values are.
        ylabel: What the rows are.
        xlabel: What the columns are.

    Raises:
        ValueError: If there are not as many names as values, no value is
            finite, or a pair is not among the names.

    Example:
        ```python
        values = [[0.9, 0.2], [0.3, 0.7]]
        rows, columns = ["stem", "features"], ["conv1", "conv2"]
        otreg.plots.layer_similarity(values, rows, columns, label="CKA")
        ```
    """
    values = np.asarray(values, dtype="float64")
    if values.shape != (len(rows), len(columns)) or 0 in values.shape:
        raise checks.invalid(
            "a value for each pair of names, of shape "
            f"{(len(rows), len(columns))}, and not empty",
            f"shape {values.shape}",
            argument="values",
        )
    finite = values[np.isfinite(values)]
    some_values(finite, "values", "pair of layers")
    image = _named_heat_map(
        values,
        rows,
        columns,
        cell=(0.5, 0.35),
        limits=(min(0.0, finite.min()), max(1.0, finite.max())),
        xlabel=xlabel,
        ylabel=ylabel,
        label=label,
    )
    axes = image.axes
    axes.set_title(literal(title or ""))
    for (i, j), value in np.ndenumerate(values):
        if values.size <= MOST_NUMBERS and np.isfinite(value):
            dark = lightness(image.cmap(image.norm(value))[:3]) < 0.5
            style = {"ha": "center", "va": "center", "size": 7}
            color = "white" if dark else "black"
            axes.text(j, i, f"{value:.2f}", color=color, **style)
    for row, column in pairs:
        checks.one_of(row, rows, "pairs")
        checks.one_of(column, columns, "pairs")
        x, y = columns.index(column), rows.index(row)
        left, right, low, high = x - 0.45, x + 0.45, y - 0.42, y + 0.42
        axes.plot(
            [left, right, right, left, left],
            [low, low, high, high, low],
            color=colors(axes.figure)[2],
            linewidth=2.0,
        )
    return axes.figure


def _heat_map(axes, values, low, high):
    """Draw a matrix from low to high values; returns the image."""
    scale = heat_colors(axes.figure)
    return axes.imshow(values, cmap=scale, vmin=low, vmax=high, aspect="auto")


def _named_heat_map(values, rows, columns, cell, limits, **labels):
    """A new figure of values that have names; cells are of a size in inches."""
    figure = new_figure(
        min(16.0, 2.0 + 0.08 * max(map(len, rows)) + cell[0] * len(columns)),
        min(14.0, 1.5 + 0.08 * max(map(len, columns)) + cell[1] * len(rows)),
    )
    axes = figure.subplots()
    image = _heat_map(axes, values, *limits)
    for axis, names in ((axes.xaxis, columns), (axes.yaxis, rows)):
        # Of very many, only some.
        step = max(1, math.ceil(len(names) / MOST_NAMES))
        shown = [literal(name) for name in names[::step]]
        axis.set_ticks(range(0, len(names), step), shown)
    axes.tick_params(axis="x", rotation=90 if max(map(len, columns)) > 2 else 0)
    labels = {key: literal(label) for key, label in labels.items()}
    figure.colorbar(image, ax=axes, label=labels.pop("label"))
    axes.set(**labels)
    return image


def matches(
    plan: Any,
    teacher: Any,
    student: Any,
    *,
    pictures: Any = None,
    count: int = 6,
) -> Any:
    """Figure of the activations of paired neurons of a teacher and a student.

    The pairs are those with the largest shares in the plan, each neuron at most
    once. A dot is a sample. With pictures, each pair has those to which its two
    neurons answer most, strongest first.

    Args:
        plan: Shape `(teacher neurons, student neurons)`.
        teacher: Activations of shape `(samples, ..., teacher neurons)`; maps
            are averaged over positions.
        student: Activations of shape `(samples, ..., student neurons)`.
        pictures: The samples, of shape `(samples, height, width)` or with
            channels behind: one for grey, three for colours, in any range.
        count: How many pairs, at most.

    Raises:
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
    shares = row_shares(_checked(plan, "plan"))
    if shares.shape != (len(x), len(y)):
        raise checks.invalid(
            f"a plan of shape {(len(x), len(y))}, for the teacher neurons and "
            "the student neurons of the activations",
            f"shape {shares.shape}",
            argument="plan",
        )
    count = checks.count(count, "count")
    # The largest shares, of which no two are in one row or one column.
    pairs: list[Any] = []
    left = shares.copy()
    while len(pairs) < count and left.max() > 0.0:
        i, j = np.unravel_index(left.argmax(), left.shape)
        pairs.append((i, j))
        left[i], left[:, j] = 0.0, 0.0
    some_values(pairs, "plan", "pair of neurons")
    if pictures is None:
        places = new_panels(len(pairs), 3, 7.0 / min(3, len(pairs)), 2.6)
    else:
        places = _between_pictures(pictures, x, y, pairs)
    figure = places[0].figure
    for axes, (i, j) in zip(places, pairs, strict=True):
        style = {"color": colors(figure)[1], "alpha": 0.7, "linewidths": 0}
        axes.scatter(x[i], y[j], s=6, **style)
        title = f"{shares[i, j]:.0%} of {i} goes to {j}"
        axes.set_title(title, fontsize="medium")
        axes.set(xlabel=f"teacher neuron {i}", ylabel=f"student neuron {j}")
        tidy(axes)
    return figure


def _between_pictures(pictures, x, y, pairs):
    """Draw the pictures of each pair; return the axes in their middle."""
    if len(pictures) != x.shape[1]:
        raise checks.invalid(
            f"a picture for each of the {x.shape[1]} samples",
            f"{len(pictures)} pictures",
            argument="pictures",
        )
    pictures = np.asarray(pictures, dtype="float64")
    low, high = pictures.min(), pictures.max()
    pictures = (pictures - low) / ((high - low) or 1.0)
    middle = []
    figure = new_figure(9.0, 0.2 + 1.9 * len(pairs))
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
