"""Draws the plots of the page `results`: `python docs/draw_results.py`.

They show the tables in `docs/results`, as the page does. Seconds.
"""

import json
import pathlib
import sys

from keras_otreg.benchmark.cells import CELLS, Cells
from keras_otreg.benchmark.report import summaries
from keras_otreg.files import written
from keras_otreg.plots.figure import colors, new_figure, tidy

DOCS = pathlib.Path(__file__).parent
sys.path.append(str(DOCS.parent / "tests" / "benchmarks"))
import accuracy  # noqa: E402

FOLDER = DOCS / "pages" / "img" / "results"
STEPS = {
    "plain": "plain fine-tuning",
    "wrapped": "TransferModel",
    "wrapped, cached": "TransferModel, cached teacher",
    "keras Distiller": "keras.distillation.Distiller",
}
SOLVERS = (
    "keras_otreg",
    "OTT-JAX, log",
    "OTT-JAX, kernel",
    "POT TensorFlow",
    "POT NumPy",
)
# Tasks of students a quarter as wide, and the methods that are shown.
THIN = {
    "thin": "the teacher's own digits, 10 labels a class",
    "thin-digits-2": "digits of another scanner, 2 labels a class",
}
STUDENTS = {
    "plain": "new weights",
    "alignment everywhere": "new weights, alignment",
    "KD": "new weights, KD",
    "inherit": "inherited weights",
}


def rows_of(name, part):
    """Rows of a table of measurements of speed."""
    text = (DOCS / "results" / name / "results.json").read_text("utf-8")
    return [row for _, row in json.loads(text)[part]["rows"]]


def cost():
    """Times of a training step."""
    times = {row["by"]: row["time"] for row in rows_of("speed", "step")}
    shown = {title: times[name] for name, title in STEPS.items()}
    figure = new_figure(6.0, 2.0)
    axes = figure.subplots()
    bars(axes, shown, own="TransferModel")
    axes.set(xlabel="seconds for a step of 32 pictures")
    return figure


def solvers():
    """Times of 100 iterations, by size."""
    rows = rows_of("speed", "fixed-work")
    figure = new_figure(6.0, 3.2)
    axes = figure.subplots()
    palette = colors(figure)
    styles = [(1, "-"), (2, "-"), (2, "--"), (3, "-"), (3, "--")]
    for name, (color, dash) in zip(SOLVERS, styles, strict=True):
        found = [(int(r["on"]), r["time"]) for r in rows if r["by"] == name]
        axes.loglog(
            *zip(*found, strict=True),
            dash,
            color=palette[color],
            marker="o",
            markersize=3,
            label=name,
        )
    sizes = sorted({int(row["on"]) for row in rows})
    axes.set_xticks(sizes, map(str, sizes))
    axes.minorticks_off()
    axes.set(xlabel="neurons on either side", ylabel="seconds")
    axes.legend(fontsize="small", frameon=False)
    tidy(axes)
    return figure


def small():
    """Accuracies of students a quarter as wide as their teacher."""
    cells = Cells(DOCS / "results" / "accuracy" / CELLS)
    found = summaries(accuracy.comparison(), cells)
    figure = new_figure(7.5, 2.0)
    for axes, (task, title) in zip(
        figure.subplots(1, len(THIN), sharey=True), THIN.items(), strict=True
    ):
        means = {x.method: x.test for x in found if x.task == task}
        shown = {title: means[name] for name, title in STUDENTS.items()}
        bars(axes, shown, own="inherited weights")
        axes.set_title(title, fontsize="small")
        axes.set(xlabel="test accuracy")
    return figure


def bars(axes, values, own):
    """A bar for each name, one of them coloured, with its value."""
    palette = colors(axes.figure)
    drawn = axes.barh(
        list(values),
        list(values.values()),
        color=[palette[name == own] for name in values],
    )
    axes.bar_label(drawn, fmt=" %.3f", fontsize="small")
    axes.set_xlim(0.0, 1.2 * max(values.values()))
    axes.invert_yaxis()
    tidy(axes)
    axes.grid(visible=False, axis="y")


def main(folder=FOLDER):
    """Write all plots."""
    folder.mkdir(parents=True, exist_ok=True)
    for draw in (cost, solvers, small):
        written(folder / f"{draw.__name__}.png", draw().savefig)


if __name__ == "__main__":
    sys.exit(main())
