"""The command `tune`."""

import functools
import pathlib
from typing import Any

from keras_otreg.commands.options import (
    add_common,
    add_out,
    ready,
    screen,
    whole_number,
)


def add(commands: Any) -> None:
    """Adds the command to those of a parser."""
    tune = commands.add_parser(
        "tune",
        help="search where and how strongly transport should act",
        description="Fine-tunes a network on your pictures many times, with "
        "optimal transport towards what it was, and searches the layer, the "
        "weight, epsilon and the learning rate that are best on validation "
        "pictures. Started again, it goes on where it was stopped.",
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
        help="pictures as train/<class>/ and validation/<class>/",
    )
    tune.add_argument(
        "--teacher",
        metavar="MODEL",
        default="efficientnet-lite0",
        help="efficientnet-lite0 or a .keras file (default: "
        "efficientnet-lite0)",
    )
    tune.add_argument(
        "--at",
        metavar="LAYER",
        action="append",
        help="a layer where transport may act, may be repeated (default: the "
        "last before the head)",
    )
    tune.add_argument(
        "--method",
        choices=("transport", "alignment"),
        default="transport",
        help="of neurons as they are, or up to their sign and scale (default: "
        "transport)",
    )
    tune.add_argument(
        "--shots",
        metavar="N",
        type=whole_number(1, 10**6),
        help="draw N pictures a class to train on (default: all)",
    )
    add_out(tune, "otreg-tune", "the search and the best model")


def _add_how(tune):
    for name, value, most, text in (
        ("trials", 20, 10**4, "trainings with other settings"),
        ("epochs", 5, 10**4, "passes over the pictures in each"),
        ("batch-size", 32, 10**4, "pictures in a batch"),
        ("image-size", 128, 4096, "of efficientnet-lite0, in pixels"),
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
    for part in ("train", "validation"):
        if not (options.data / part).is_dir():
            raise OSError(
                f"cannot read --data {options.data}: no folder {part}"
            )
    ready(options.out)
    from keras_otreg.workflows.run import write_table

    rows, best = _searched(options)
    if best is None:
        raise OSError(f"no trial has succeeded; see {options.out / 'search'}")
    best.student.save(options.out / "model.keras")
    write_table(options.out / "trials.csv", rows)
    console = screen(options)
    console.print(_table(rows))
    console.print(f"The best model and all trials are in {options.out}.")


def _searched(options):
    """The trials, and the best model."""
    from keras_otreg import tuning
    from keras_otreg.workflows.networks import (
        features_of,
        known_layers,
        teacher_named,
    )

    teacher = teacher_named(options.teacher, options.image_size)
    at = features_of(teacher)
    places = known_layers(teacher, options.at or [at])
    space = getattr(tuning, f"{options.method}_space")
    pictures, classes = _pictures(options, teacher.input_shape[1:3])
    hypermodel = tuning.TransferHyperModel(
        functools.partial(_student, teacher, at, classes, options.seed),
        teacher,
        lambda hp: [space(hp, places)],
        compile=_compile,
    )
    return tuning.random_search(
        hypermodel,
        options.out / "search",
        options.trials,
        seed=options.seed,
        epochs=options.epochs,
        verbose=0 if options.quiet else 2,
        **pictures,
    )


def _student(teacher, at, classes, seed, hp):
    from keras_otreg.workflows.networks import with_new_head

    return with_new_head(teacher, at, classes, seed)


def _compile(hp, model):
    import keras

    rate = hp.Float("learning_rate", 1e-4, 3e-3, sampling="log")
    model.compile(
        keras.optimizers.Adam(rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )


def _pictures(options, size):
    """What `fit` is given, and the number of classes."""
    from keras_otreg.data import few_shot, image_folder

    train, validation = (
        image_folder(
            options.data / part,
            size,
            options.batch_size,
            shuffle=part == "train" and options.shots is None,
            seed=options.seed,
        )
        for part in ("train", "validation")
    )
    names = train.class_names
    if names != validation.class_names:
        raise OSError(
            f"train has the classes {names}, validation has "
            f"{validation.class_names}: they must be the same"
        )
    fit = {"x": train, "validation_data": validation}
    if options.shots is not None:
        (x, y), _ = few_shot(train, options.shots, options.seed)
        fit.update(x=x, y=y, batch_size=options.batch_size)
    return fit, len(names)


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
