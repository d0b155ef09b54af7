"""Ctrl-C while a command works."""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def heeded() -> Iterator[None]:
    """Let Ctrl-C end a block reliably, also during imports.

    Raises:
        KeyboardInterrupt: Also in place of an error that came after Ctrl-C:
            libraries that are half-way through an import lose the interrupt,
            and fail over what they have not got.
    """
    came = threading.Event()
    with _heard(came), _not_lost():
        try:
            yield
        except Exception as error:
            if came.is_set():
                raise KeyboardInterrupt from error
            raise
        finally:
            # Python remembers that code made of a string, such as that of a
            # dataclass, was interrupted, and kills itself at the end of a
            # `python -m` instead of giving the exit code. The next such code
            # that goes well lets it forget.
            exec("")


@contextlib.contextmanager
def _heard(came):
    """Record Ctrl-C, unless the process ignores it."""
    before = signal.getsignal(signal.SIGINT)
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or before is not signal.default_int_handler:
        yield
        return

    def hear(number, frame):
        came.set()
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, hear)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _not_lost():
    """Repeat an interrupt that Python would swallow."""
    before = sys.unraisablehook
    repeats = []

    def hook(unraisable):
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            before(unraisable)
            return
        # It would be lost in here too: once more, a moment later.
        again = threading.Timer(0.1, signal.raise_signal, [signal.SIGINT])
        again.daemon = True
        repeats.append(again)
        again.start()

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before
        # The work may have ended first: what comes after is not interrupted.
        for again in repeats:
            again.cancel()
            again.join()
