"""The command line: `keras-otreg` or `python -m keras_otreg`."""

import argparse
import contextlib
import importlib
import inspect
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence

import keras_otreg
from keras_otreg import starting
from keras_otreg.commands import interrupts

NAME = "keras-otreg"
# Modules of `commands`, in the order of the help.
COMMANDS = (
    *("finetune", "compress", "joint", "tune", "predict", "evaluate", "export"),
    *("inspect", "compare", "demo", "benchmark"),
)
# They register classes with Keras that a file may hold.
REGISTERED = ("layers", "losses", "models", "ot", "regularizers")
# What is wrong with the input or the machine, rather than with this program.
TROUBLE = (ImportError, OSError, ValueError, FloatingPointError)
ABOUT = """Transfer learning in Keras, regularised by optimal transport.

Fine-tune or compress a network so that its neurons stay close, as a set, to
those of the network that it learns from."""
CODES = """exit codes:
  0    done
  1    a file, a folder, a model or a package is the trouble
  2    wrong arguments
  3    a mistake of this program
  130  interrupted; what is finished stays

Each command has a --help of its own, and --seed, --quiet and --debug."""


class _Parser(argparse.ArgumentParser):
    """Parser that reports an error in one line."""

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; wrong arguments exit with 2."""
    arguments = sys.argv[1:] if arguments is None else [*arguments]
    options = _parser(*arguments[:1]).parse_args(arguments)
    if not options.quiet and "keras" not in sys.modules:
        _say("loading Keras and TensorFlow ...")
    starting.import_keras()
    for name in REGISTERED:
        importlib.import_module(f"keras_otreg.{name}")
    starting.started()
    return exit_code(lambda: options.command(options), options.debug)


def exit_code(work: Callable[[], None], debug: bool = False) -> int:
    """Run a function, print an error in one line, and return an exit code."""
    try:
        with _warnings_in_one_line(), interrupts.heeded():
            work()
            sys.stdout.flush()
    except KeyboardInterrupt:
        return _failed("interrupted", 130)
    except BrokenPipeError:
        # The reader has seen enough; there is no one to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if debug:
            traceback.print_exc()
        if isinstance(error, TROUBLE):
            return _failed(f"error: {error}", 1)
        kind = type(error).__name__
        place = "" if debug else " (--debug shows where)"
        return _failed(f"unexpected {kind}{place}: {error}", 3)
    return 0


def _parser(command=None):
    """The parser of one command, which is faster to build, or of all."""
    parser = _Parser(
        prog=NAME,
        description=ABOUT,
        epilog=CODES,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(
            prog, max_help_position=20
        ),
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"{NAME} {keras_otreg.__version__}",
    )
    commands = parser.add_subparsers(
        required=True, metavar="command", title="commands"
    )
    for name in [command] if command in COMMANDS else COMMANDS:
        module = importlib.import_module(f"keras_otreg.commands.{name}")
        title, _, text = (inspect.getdoc(module) or name).partition("\n\n")
        own = commands.add_parser(
            name, help=title.rstrip("."), description=text or title
        )
        own.set_defaults(command=module.run, refuse=own.error)
        module.add(own)
    return parser


@contextlib.contextmanager
def _warnings_in_one_line() -> Iterator[None]:
    def show(message, category, *place, **others):
        del place, others
        # What will change in a library is of no use to those who only run us.
        if not issubclass(category, DeprecationWarning):
            _say(f"warning: {message}")

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def _failed(message, code):
    _say(message)
    return code


def _say(message):
    line = " ".join(str(message).split())
    sys.stderr.write(f"{NAME}: {line}\n")


if __name__ == "__main__":
    sys.exit(main())
