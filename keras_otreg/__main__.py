"""The command line: `python -m keras_otreg demo`."""

import argparse
import sys
from collections.abc import Callable, Sequence

from keras_otreg.commands import benchmark, demo

NAME = "keras-otreg"
COMMANDS = (demo, benchmark)


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
    for command in COMMANDS:
        command.add(commands)
    return parser


def _failed(message, code):
    sys.stderr.write(f"{NAME}: {message}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
