"""The command `tune`."""

import dataclasses
import pathlib
from typing import Any

from keras_otreg.commands.options import (
    PICTURES,
    add_common,
    add_out,
    add_shots,
    add_teacher,
    screen,
    whole_number,
)
from keras_otreg.commands.places import add_places
from keras_otreg.commands.readiness import ready
from keras_otreg.files import written


def add(commands: Any) -> None:
    """Adds the command to those of a parser."""
    tune = commands.add_parser(
        "tune",
        help="search where and how strongly transport should act",
        description="Fine-tunes a network on your pictures many times, with "
        "optimal transport towards what it was, and searches the layer, the "
        "weight, epsilon and the learning rate that are best on validation "
        "pictures. Started again, it goes on where it was stopped. "
        'The default teacher needs pip install "keras-otreg[pictures]".',
    )
    tune.set_defaults(command=_run)
    _add_what(tune)
    _add_how(tune)


def _add_what(tune):
    tune.add_argument(
        "--data",
        metavar="FOLDER",
        type=pathlib.Path,
        required=True,
        help=PICTURES,
    )
    add_teacher(tune)
    add_places(
        tune,
        "a layer where transport may act, may be repeated (default: the last "
        "before the head)",
    )
    tune.add_argument(
        "--everywhere",
        action="store_true",
        help="act at all layers of --at at once, not at one of them",
    )
    tune.add_argument(
        "--method",
        choices=("transport", "alignment"),
        default="transport",
        help="of neurons as they are, or up to their sign and scale (default: "
        "transport)",
    )
    add_shots(tune, size=128)
    add_out(tune, "otreg-tune", "the search and the best model")


def _add_how(tune):
    for name, value, most, text in (
        ("trials", 20, 10**4, "trainings with other settings"),
        ("epochs", 5, 10**4, "passes over the pictures in each"),
        ("batch-size", 32, 10**4, "pictures in a batch"),
    ):
        tune.add_argument(
            f"--{name}",
            metavar="N",
            type=whole_number(1, most),
            default=value,
            help=f"{text} (default: {value})",
        )
    add_common(tune, "the search and the first weights")


def _run(options):
    ready(options.out, options.data)
    from keras_otreg.workflows import tune
    from keras_otreg.workflows.run import write_table

    rows, best = tune.searched(
        tune.Wish(
            **{
                field.name: getattr(options, field.name)
                for field in dataclasses.fields(tune.Wish)
            }
        )
    )
    if best is None:
        raise OSError(f"no trial has succeeded; see {options.out / 'search'}")
    written(options.out / "model.keras", best.student.save)
    write_table(options.out / "trials.csv", rows)
    console = screen(options)
    console.print(_table(rows))
    console.print(f"The best model and all trials are in {options.out}.")


def _table(rows):
    import rich.table

    # Without the name of the space, which is the same for all.
    names = [name.rsplit("/", 1)[-1] for name in rows[0]]
    table = rich.table.Table(*names, title="Trials, the best first")
    for row in rows:
        table.add_row(
            *(
                f"{x:.4g}" if isinstance(x, float) else str(x)
                for x in row.values()
            )
        )
    return table
