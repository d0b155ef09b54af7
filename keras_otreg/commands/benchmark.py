"""The command `benchmark`."""

import dataclasses
from typing import Any

from keras_otreg.commands import options


def add(commands: Any) -> None:
    """Add the command to those of a parser."""
    benchmark = commands.add_parser(
        "benchmark",
        help="compare methods by one protocol",
        description="Compares methods of learning from few labels. "
        'Needs pip install "keras-otreg[benchmark]".',
    )
    kinds = benchmark.add_subparsers(required=True, metavar="kind")
    _add_accuracy(kinds)


def _add_accuracy(kinds):
    parser = options.command(
        kinds,
        "accuracy",
        _run,
        "compare methods of learning from few labels",
        "Trains networks by many methods on tasks with few labels and compares "
        "their accuracy. The same command resumes an interrupted run.",
    )
    text = "a YAML file of tasks and methods"
    options.add(parser, "--tasks", "FILE", text, shown="the packaged one")
    text = "the one task to run"
    options.add(parser, "--only", "TASK", text, str, shown="all")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="take less than five minutes: some of the tasks, 2 seeds, short "
        "trainings, and no choice of strengths",
    )
    options.add(
        *(parser, "--seeds", "N", "how many draws of labels to report"),
        kind=options.whole_number(1, 1000),
        shown="as in the file",
    )
    options.add(
        *(parser, "--data", "FOLDER"),
        "a folder with clothing-small/ and grocery/, each with "
        "train/<class>/, validation/<class>/ and test/<class>/; tasks on "
        "pictures that are not there are skipped",
        shown="",
    )
    text = "folder for the results"
    options.add(parser, "--out", "DIR", text, default="otreg-accuracy")
    text = "run nothing; write what is in --out into this Markdown page"
    options.add(parser, "--page", "FILE", text, shown="")
    options.add_common(
        parser, "the first draw of labels", seed=None, default="as in the file"
    )


def _run(given):
    from keras_otreg.benchmark import accuracy
    from keras_otreg.workflows.stages import output_folder

    if given.page is None:
        output_folder(given.out)
    try:
        comparison = _comparison(accuracy, given)
    except ValueError as error:
        reason = f"cannot use {given.tasks or 'the tasks'}: {error}"
        raise OSError(reason) from error
    except OSError as error:
        raise OSError(
            f"cannot read --tasks {given.tasks}: {error.strerror}. Expected "
            f"a YAML file, such as a copy of {accuracy.PACKAGED}"
        ) from error
    if given.page is not None:
        accuracy.write_page(comparison, given.out, given.page)
        return
    if given.data is not None and not given.data.is_dir():
        raise OSError(f"cannot read --data {given.data}: no folder")
    accuracy.run(comparison, given.out, given.data, options.screen(given))


def _comparison(accuracy, given):
    comparison = accuracy.read(given.tasks or accuracy.PACKAGED)
    if given.quick:
        comparison = accuracy.quick(comparison)
    if given.only is not None:
        comparison = accuracy.only(comparison, given.only)
    changed = {
        name: getattr(given, name)
        for name in ("seeds", "seed")
        if getattr(given, name) is not None
    }
    protocol = dataclasses.replace(comparison.protocol, **changed)
    return dataclasses.replace(comparison, protocol=protocol)
