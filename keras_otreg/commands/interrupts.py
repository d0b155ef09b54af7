"""Ctrl-C while a command works."""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def heeded() -> Iterator[None]:
    """Let Ctrl-C end a block reliably, also during imports.

    Libraries that are half-way through an import lose the interrupt, and fail
    over what they have not got: that is a `KeyboardInterrupt` too.
    """
    came, repeats = threading.Event(), []
    handler, report = signal.getsignal(signal.SIGINT), sys.unraisablehook

    def hear(number, frame):
        came.set()
        signal.default_int_handler(number, frame)

    def repeat(unraisable):
        """Repeat an interrupt that Python would swallow."""
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            report(unraisable)
            return
        # It would be lost in here too: once more, a moment later.
        again = threading.Timer(0.1, signal.raise_signal, [signal.SIGINT])
        again.daemon = True
        repeats.append(again)
        again.start()

    def end_repeats():
        # The work may have ended first: what comes after is not interrupted.
        sys.unraisablehook = report
        for again in repeats:
            again.cancel()
            again.join()

    in_main = threading.current_thread() is threading.main_thread()
    with contextlib.ExitStack() as stack:
        # A process in the background may ignore Ctrl-C.
        if in_main and handler is signal.default_int_handler:
            stack.callback(signal.signal, signal.SIGINT, handler)
            signal.signal(signal.SIGINT, hear)
        stack.callback(end_repeats)
        sys.unraisablehook = repeat
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
