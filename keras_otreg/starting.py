"""Start of the command line: the import of Keras, silent and interruptible."""

import importlib
import os
import signal
import sys
from typing import Any

LEVEL = "TF_CPP_MIN_LOG_LEVEL"
SCREEN = 2


def is_program(package: str) -> bool:
    """Whether this process runs the command line of the package."""
    # Options of Python, such as -u, may stand before.
    after = [*sys.orig_argv, "-m"].index("-m") + 1
    return sys.orig_argv[after : after + 1] == [package] or (
        os.path.basename(sys.argv[0]) == package.replace("_", "-")
    )


def import_keras() -> None:
    """Import Keras, during which Ctrl-C ends the process in one line.

    TensorFlow's start-up messages stay off the screen, unless someone has set
    a level for them: after its import it is too late, and some of them it
    writes before it looks at the level.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)
    if LEVEL in os.environ:
        importlib.import_module("keras")
        return
    os.environ[LEVEL] = "3"
    global SCREEN
    SCREEN, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        importlib.import_module("keras")
    finally:
        os.dup2(SCREEN, 2)
        os.close(nowhere)


def started() -> None:
    """Restore the `KeyboardInterrupt` of Ctrl-C."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(number: int, frame: Any) -> None:
    # Nothing is begun that would have to be cleaned up.
    os.write(SCREEN, b"keras-otreg: interrupted\n")
    os._exit(130)
