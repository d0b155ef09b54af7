"""Measurements for maintainers: `python tests/benchmarks speed --out DIR`."""

import argparse
import pathlib

import keras
import rich.console
from results import Results

from keras_otreg.files import written
from keras_otreg.plots.figure import colors, new_figure, tidy

GROWTH = pathlib.PurePosixPath("img/growth.png")
SPEED = """\
All times of a table were taken in turn in one run; compare them with each \
other, not with those of another machine. Errors are recomputed in float64 \
from the potentials that a solver returns; the gap is how far its dual value \
is from the best known. In the profile the gap is that of single costs, of a \
mean of 1, or of the value of the same plan."""


def speed_parts(options):
    """The solver beside other libraries, and a step beside a plain one."""
    import processes
    import speed
    import training
    from problems import cloud, noise

    def clouds():
        if quick:
            return {"noise 256": noise(256, 0.05)}
        # A late step of the run: the networks differ by then.
        x, y = (features.T for features in training.recorded()[35])
        return {
            "Lite0 1280": cloud(x, y, 0.05),
            "noise 1024": noise(1024, 0.05),
        }

    quick = options.quick
    few = 1 if quick else 3
    sizes = [2**k for k in range(8, 11 if quick else 14)]
    return {
        "start-up": lambda: processes.start_up(1 if quick else 5),
        "memory": lambda: processes.memory(*sizes[-2:]),
        "profile": lambda: speed.profile(
            *(([256], 3) if quick else ([1280, 2048, 4096], 15))
        ),
        "tolerance": lambda: speed.to_tolerance(clouds(), few),
        "warm-starts": lambda: training.warm_starts(training.recorded()),
        "growth": lambda: speed.growth(sizes, 3),
        "batch": lambda: speed.batch(3 if quick else 7),
        "step": lambda: training.step(*((8, 64, 3) if quick else (32, 128, 9))),
        # Last: POT changes for good how TensorFlow's tensors behave.
        "fixed-work": lambda: speed.fixed_work(
            *(([512], 3) if quick else ([512, 1024, 2048, 4096], 7))
        ),
    }


def scaling_parts(options):
    """Distributed training on 1 to 1024 replicas, simulated."""
    import scaling

    net = scaling.Network(options.gigabits / 8, options.microseconds)
    return {"replica": lambda: scaling.replica(options.quick, net)}


def soak_parts(options):
    """What memory, threads and files do in a long training."""
    import soak

    name = soak.name_of(options.plain, options.anew)
    return {
        name: lambda: soak.soak(options.plain, options.anew, options.minutes)
    }


def narrowing_parts(options):
    """Narrow networks beside Torch-Pruning's, and on photographs."""
    import narrowing

    parts = {"torch-pruning": lambda: narrowing.peer(options.quick)}
    if options.data is not None:
        parts["photographs"] = lambda: narrowing.photographs(
            options.data, options.quick
        )
    return parts


def joint_parts(options):
    """Ways to train beside source data of other classes."""
    import joint

    return joint.parts(options)


def labelling_parts(options):
    """Heads that learn from unlabelled pictures too."""
    import labelling

    folders = options.data or []
    return {
        "heads": lambda: labelling.measure(folders, options.out, options.quick)
    }


def write_page(kind, results, options):
    """Writes the section of a page, and what is drawn for it."""
    if kind == "scaling":
        import scaling

        net = scaling.Network(options.gigabits / 8, options.microseconds)
        about = [scaling.ABOUT.format(**net._asdict())]
    elif kind == "soak":
        import soak

        about = ["## Long trainings", soak.ABOUT]
    elif kind == "joint":
        import joint

        about = ["## Measured", joint.about()]
    elif kind == "narrowing":
        import narrowing

        about = ["## Measured"]
        if "torch-pruning" in results.parts:
            about.append(narrowing.ABOUT.format(seeds=narrowing.SEEDS))
        if "photographs" in results.parts:
            about.append(narrowing.PHOTOGRAPHS.format(seeds=narrowing.DRAWS))
    elif kind == "labelling":
        import labelling

        about = ["## Measured", labelling.about()]
    else:
        about = ["## Speed", SPEED, *drawn(results, options.page)]
    results.write_page(options.page, kind, about)


def drawn(results, page):
    """Draws growth beside a page, if it was measured."""
    if "growth" not in results.parts:
        return []
    path = page.parent / GROWTH
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [x.values for x in results.rows("growth")]
    written(path, growth({int(x["on"]): x["time"] for x in rows}).savefig)
    return [f"![Time against the number of neurons]({GROWTH})"]


def growth(seconds):
    """Times over sizes, beside a line of time as the square of the size."""
    sizes = sorted(seconds)
    times = [1000.0 * seconds[size] for size in sizes]
    squares = [times[-1] * (size / sizes[-1]) ** 2 for size in sizes]
    figure = new_figure(4.5, 3.2)
    grey, color, *_ = colors(figure)
    axes = figure.add_subplot()
    axes.plot(sizes, squares, "--", color=grey, label="as size squared")
    axes.plot(sizes, times, color=color, marker="o", label="measured")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(sizes, map(str, sizes))
    axes.set(xlabel="neurons on each side", ylabel="time [ms]")
    axes.legend(frameon=False)
    tidy(axes)
    return figure


KINDS = {
    "speed": speed_parts,
    "scaling": scaling_parts,
    "soak": soak_parts,
    "narrowing": narrowing_parts,
    "joint": joint_parts,
    "labelling": labelling_parts,
}


# Keeps its results in a way of its own.
ACCURACY = "Methods of learning from few labels, on digits and photographs."


def parser():
    made = argparse.ArgumentParser(
        prog="python tests/benchmarks",
        description='Needs pip install -e ".[measurements]".',
    )
    kinds = made.add_subparsers(required=True, dest="kind")
    about = {name: parts.__doc__ for name, parts in KINDS.items()}
    for name, text in {"accuracy": ACCURACY, **about}.items():
        kind = kinds.add_parser(name, help=text)
        kind.add_argument("--out", type=pathlib.Path, default=f"otreg-{name}")
        kind.add_argument(
            "--page",
            type=pathlib.Path,
            help="run nothing; write what is in --out into this Markdown page",
        )
        kind.add_argument("--seed", type=int, default=0)
        kind.add_argument(
            "--quick",
            action="store_true",
            help="small problems and few repeats: a trial of the command",
        )
        kind.add_argument(
            "--only", action="append", metavar="PART", help="may be repeated"
        )
    for name in ("accuracy", "narrowing", "joint"):
        kinds.choices[name].add_argument(
            "--data", type=pathlib.Path, help="folder of pictures, in parts"
        )
    kinds.choices["accuracy"].add_argument(
        "--seeds", type=int, help="draws of labels; as in the file if not given"
    )
    kinds.choices["joint"].add_argument(
        "--unrelated",
        type=pathlib.Path,
        help="folder of other pictures, which join the source",
    )
    kinds.choices["labelling"].add_argument(
        "--data",
        action="append",
        metavar="FOLDER",
        help="of pictures in train, validation and test; may be repeated",
    )
    scaling, soak = kinds.choices["scaling"], kinds.choices["soak"]
    scaling.add_argument("--gigabits", type=float, default=100.0)
    scaling.add_argument("--microseconds", type=float, default=10.0)
    soak.add_argument("--minutes", type=float, default=20.0)
    soak.add_argument("--plain", action="store_true", help="without a wrapper")
    soak.add_argument(
        "--anew", action="store_true", help="train what is loaded"
    )
    return made


def main(arguments=None):
    options = parser().parse_args(arguments)
    if options.kind == "accuracy":
        import accuracy

        accuracy.run(options)
        return
    results = Results(options.out)
    if options.page is not None:
        write_page(options.kind, results, options)
        return
    options.out.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(options.seed)
    console = rich.console.Console(markup=False)
    parts = KINDS[options.kind](options)
    unknown = set(options.only or ()) - set(parts)
    if unknown:
        parser().error(f"unknown {sorted(unknown)}: expected {[*parts]}")
    for name in parts:
        if options.only is None or name in options.only:
            console.print(f"{name} ...")
            # After each part: what is measured stays if the next one fails.
            results.put(name, parts[name]())
    results.show(console)


if __name__ == "__main__":
    main()
