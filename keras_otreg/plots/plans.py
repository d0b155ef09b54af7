"""Transport plans as pictures."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_otreg import checks
from keras_otreg.features.points import units_as_points
from keras_otreg.plots.figure import (
    axes_in_rows,
    colors,
    heat_map,
    literal,
    name_ticks,
    named_figure,
    new_figure,
    some_values,
    tidy,
    whole_ticks,
)

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
        rows, columns = _orders(shares, title in aligned)
        image = heat_map(axes, shares[np.ix_(rows, columns)], 0.0, 1.0)
        whole_ticks(axes.xaxis, axes.yaxis)
        axes.set_title(literal(title))
        axes.set_xlabel(f"student {points}, sharpest first")
        axes.set_ylabel(f"teacher {points}")
    figure.colorbar(
        image, ax=list(all_axes), label=f"share of the teacher {points}"
    )
    return figure


def _checked(plan, name):
    found = checks.finite_array(np.asarray(plan), name, least_rank=1)
    if found.ndim != 2 or found.min() < 0:
        raise checks.invalid(
            "a plan between two sets: a matrix of finite numbers of at least 0",
            f"shape {found.shape}, smallest value {found.min():.3g}",
            argument=name,
        )
    return found.astype("float64")


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


def _orders(shares, is_aligned):
    """Orders of rows, each beside its main partner, and columns, or one."""
    if is_aligned:
        order = np.argsort(-shares.max(axis=1), kind="stable")
        return order, order
    columns = np.argsort(-shares.max(axis=0), kind="stable")
    # Of equal partners the last: what goes everywhere belongs to the end.
    partner = -shares[:, columns[::-1]].argmax(axis=1)
    rows = np.lexsort((-shares.max(axis=1), partner))
    return rows, columns


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
    figure = named_figure(target_names, source_names, 0.2, 0.3)
    axes = figure.subplots()
    # A plan that moves nothing has no share to set the scale by.
    image = heat_map(axes, shares[:, order], 0.0, shares.max() or 1.0)
    name_ticks(axes.xaxis, [source_names[k] for k in order])
    name_ticks(axes.yaxis, target_names)
    if max(map(len, source_names)) > 2:
        axes.tick_params(axis="x", rotation=90)
    axes.set(xlabel="source class", ylabel="target class")
    figure.colorbar(image, ax=axes, label="share of the target class")
    return figure


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
    pairs = _pairs(shares, checks.count(count, "count"))
    some_values(pairs, "plan", "pair of neurons")
    if pictures is None:
        figure = new_figure(7.5, 2.6 * -(-len(pairs) // 3))
        places = axes_in_rows(figure, len(pairs), 3)
    else:
        figure = new_figure(9.0, 0.2 + 1.9 * len(pairs))
        places = _between_pictures(figure, pictures, x, y, pairs)
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


def _between_pictures(figure, pictures, x, y, pairs):
    """Draws the pictures of each pair; returns the axes in their middle."""
    if len(pictures) != x.shape[1]:
        raise checks.invalid(
            f"a picture for each of the {x.shape[1]} samples",
            f"{len(pictures)} pictures",
            argument="pictures",
        )
    pictures = np.asarray(pictures, dtype="float64")
    low, high = pictures.min(), pictures.max()
    pictures = (pictures - low) / ((high - low) or 1.0)
    if pictures.shape[-1] == 1:
        pictures = pictures[..., 0]
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
