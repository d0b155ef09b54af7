"""The command line: `python -m keras_otreg demo`."""

import argparse
import logging
import pathlib
import sys
from collections.abc import Callable, Sequence

NAME = "keras-otreg"


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; wrong arguments exit with 2.

    Args:
        arguments: What follows the name of the program; `sys.argv` if not
            given.

    Returns:
        The exit code, as of `exit_code`.
    """
    options = _parser().parse_args(arguments)
    return exit_code(lambda: options.command(options))


def exit_code(work: Callable[[], None]) -> int:
    """Does some work, and says in one line what went wrong with it.

    Args:
        work: A function without arguments.

    Returns:
        0; 1 if a package or a file is the trouble; 130 if interrupted.
    """
    try:
        work()
    except KeyboardInterrupt:
        return _failed("interrupted", 130)
    except (ImportError, OSError) as error:
        return _failed(f"error: {error}", 1)
    return 0


def _parser():
    parser = _Parser(
        prog=NAME,
        description="Transfer learning in Keras, regularised by optimal "
        "transport.",
    )
    commands = parser.add_subparsers(
        required=True, metavar="command", title="commands"
    )
    demo = commands.add_parser(
        "demo",
        help="learn real digits from few labels, and compare methods",
        description="Trains a network on MNIST's digits and transfers it to "
        "those of another scanner, with two labels a class: with optimal "
        "transport, and with what one would do otherwise. Or, with --joint, "
        "learns MNIST's digits from five labels a class beside printed "
        'letters. Needs pip install "keras-otreg[demo]".',
    )
    demo.set_defaults(command=_demo)
    _add_demo_options(demo)
    return parser


def _add_demo_options(demo):
    demo.add_argument(
        "--joint",
        action="store_true",
        help="joint transfer from letters instead of fine-tuning",
    )
    demo.add_argument(
        "--quick",
        action="store_true",
        help="take less than a minute: 2 seeds (1 with --joint), less "
        "training of the source, default strengths instead of chosen ones",
    )
    demo.add_argument(
        "--seeds",
        metavar="N",
        type=_whole_number(1, 1000),
        default=argparse.SUPPRESS,
        help="how many draws of labels to train with (default: 8, or 5 "
        "with --joint)",
    )
    demo.add_argument(
        "--seed",
        metavar="S",
        type=_whole_number(0, 2**31),
        default=0,
        help="the first seed; the same gives the same numbers (default: 0)",
    )
    demo.add_argument(
        "--out",
        metavar="DIR",
        type=pathlib.Path,
        default=pathlib.Path("otreg-demo"),
        help="folder for the model, the table and the pictures (default: "
        "otreg-demo)",
    )


def _whole_number(least, most):
    def parse(text):
        number = int(text) if text.isascii() and text.isdigit() else -1
        if least <= number <= most:
            return number
        raise argparse.ArgumentTypeError(
            f"expected a whole number from {least} to {most}, not {text!r}"
        )

    return parse


def _demo(options):
    _ready(options.out)
    # Many small models are traced here, and TensorFlow would count them.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    import rich.console

    from keras_otreg import demo

    # Without --joint, then with it.
    seeds = ((8, 5), (2, 1))[options.quick][options.joint]
    settings = demo.Settings(
        seeds=getattr(options, "seeds", seeds), seed=options.seed
    )
    if options.joint:
        settings = demo.joint(settings)
    if options.quick:
        settings = demo.quick(settings)
    task = demo.letters_and_digits() if options.joint else demo.digits()
    run = demo.run_joint if options.joint else demo.run
    run(task, settings, options.out, rich.console.Console())


def _ready(folder):
    """Makes a folder, and finds out now whether it can be written to."""
    probe = folder / ".writable"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = f"cannot write to --out {folder}: {error.strerror}"
        raise OSError(reason) from error


def _failed(message, code):
    sys.stderr.write(f"{NAME}: {message}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
