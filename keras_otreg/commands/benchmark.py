"""Compare methods by one protocol.

Compares methods of learning from few labels on your pictures. Needs pip install
"keras-otreg[benchmark]".
"""

from keras_otreg.commands import options


def add(benchmark):
    kinds = benchmark.add_subparsers(required=True, metavar="kind")
    parser = kinds.add_parser(
        "accuracy",
        help="compare methods of learning from few labels",
        description="Trains EfficientNet-Lite0 by many methods on few of your "
        "pictures and compares the accuracies. The same command resumes an "
        "interrupted run.",
    )
    text = "a YAML file of tasks and methods"
    options.add(parser, "--tasks", "FILE", text, shown="the packaged one")
    text = "the one task to run"
    options.add(parser, "--only", "TASK", text, str, shown="all")
    options.flag(
        parser,
        "--quick",
        "take less than five minutes: some of the tasks, 2 seeds, short "
        "trainings, and no choice of strengths",
    )
    text, number = "how many draws of labels to report", options.SEEDS
    options.add(parser, "--seeds", "N", text, number, shown="as in the file")
    text = (
        "a folder of pictures with train/<class>/, validation/<class>/ and "
        "test/<class>/"
    )
    options.add(parser, "--data", "FOLDER", text, shown="")
    text = "folder for the results"
    options.add(parser, "--out", "DIR", text, default="otreg-accuracy")
    options.add_common(
        parser, "the first draw of labels", seed=None, default="as in the file"
    )


def run(given):
    from keras_otreg.benchmark import comparison, reading, runner
    from keras_otreg.workflows.stages import output_folder

    output_folder(given.out)
    if given.data is not None and not given.data.is_dir():
        raise OSError(f"cannot read --data {given.data}: no folder")
    try:
        found = reading.read(given.tasks or reading.PACKAGED)
        names = [] if given.only is None else [given.only]
        seeds = {"seeds": given.seeds, "seed": given.seed}
        found = comparison.restricted(found, given.quick, names, seeds)
    except ValueError as error:
        reason = f"cannot use {given.tasks or 'the tasks'}: {error}"
        raise OSError(reason) from error
    except OSError as error:
        raise OSError(
            f"cannot read --tasks {given.tasks}: {error.strerror}. Expected "
            f"a YAML file, such as a copy of {reading.PACKAGED}"
        ) from error
    runner.run(found, given.out, given.data, options.screen(given))
