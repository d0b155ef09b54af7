"""The kind `accuracy` of the command `benchmark`."""

import pathlib
from typing import Any

from keras_otreg.commands.options import (
    add_common,
    add_out,
    add_page,
    screen,
    whole_number,
)
from keras_otreg.commands.readiness import ready


def add(kinds: Any) -> None:
    """Adds the kind to those of a parser."""
    accuracy = kinds.add_parser(
        "accuracy",
        help="ways of learning from few labels, by one protocol for all",
        description="Trains networks by many methods on tasks with few labels "
        "and compares their accuracy. What is finished is not done again: "
        "start the same command once more after an interruption.",
    )
    accuracy.set_defaults(command=_run)
    _add_what(accuracy)
    _add_where(accuracy)


def _add_what(accuracy):
    accuracy.add_argument(
        "--tasks",
        metavar="FILE",
        type=pathlib.Path,
        help="a YAML file of tasks and methods (default: the packaged one)",
    )
    accuracy.add_argument(
        "--only", metavar="TASK", help="the one task to run (default: all)"
    )
    accuracy.add_argument(
        "--quick",
        action="store_true",
        help="take less than five minutes: some of the tasks, 2 seeds, short "
        "trainings, and nothing chosen",
    )
    accuracy.add_argument(
        "--seeds",
        metavar="N",
        type=whole_number(1, 1000),
        help="how many draws of labels to report (default: as in the file)",
    )


def _add_where(accuracy):
    accuracy.add_argument(
        "--data",
        metavar="FOLDER",
        type=pathlib.Path,
        help="pictures as train/<class>/, validation/<class>/, test/<class>/; "
        "without it, tasks on pictures are skipped",
    )
    add_out(accuracy, "otreg-accuracy", "the results")
    add_page(accuracy)
    add_common(accuracy, "the first draw", seed=None, default="as in the file")


def _run(options):
    if options.page is None:
        ready(options.out)
    from keras_otreg.benchmark import accuracy

    try:
        comparison = _comparison(accuracy, options)
    except ValueError as error:
        reason = f"cannot use {options.tasks or 'the tasks'}: {error}"
        raise OSError(reason) from error
    except OSError as error:
        raise OSError(
            f"cannot read --tasks {options.tasks}: {error.strerror}. Expected "
            f"a YAML file, such as a copy of {accuracy.PACKAGED}"
        ) from error
    if options.page is not None:
        accuracy.write_page(comparison, options.out, options.page)
        return
    _check_folders(options.data)
    accuracy.run(comparison, options.out, options.data, screen(options))


def _check_folders(data):
    from keras_otreg.benchmark.accuracy.pictures import PARTS

    for part in PARTS if data is not None else ():
        if not (data / part).is_dir():
            raise OSError(f"cannot read --data {data}: no folder {part}")


def _comparison(accuracy, options):
    import dataclasses

    comparison = accuracy.read(options.tasks or accuracy.PACKAGED)
    if options.quick:
        comparison = accuracy.quick(comparison)
    if options.only is not None:
        comparison = accuracy.only(comparison, options.only)
    given = {
        name: getattr(options, name)
        for name in ("seeds", "seed")
        if getattr(options, name) is not None
    }
    protocol = dataclasses.replace(comparison.protocol, **given)
    return dataclasses.replace(comparison, protocol=protocol)
