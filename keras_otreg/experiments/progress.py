"""Progress of trainings in the terminal."""

import contextlib
from collections.abc import Iterator

import keras
import rich.console
import rich.progress


def console_for(quiet: bool = False) -> rich.console.Console:
    """Return a console; a quiet one prints nothing, and silences Keras."""
    if quiet:
        keras.config.disable_interactive_logging()
    # Paths and names of the user are not markup.
    return rich.console.Console(quiet=quiet, markup=False, emoji=False)


def say(console: rich.console.Console, text: str) -> None:
    """Print a line without colours or line breaks."""
    console.print(text, highlight=False, soft_wrap=True)


class Progress:
    """One bar over all trainings, or over the epochs of each of them."""

    def __init__(self, bar: rich.progress.Progress, total: int | None):
        self._bar, self.console = bar, bar.console
        self._task = None if total is None else bar.add_task("", total=total)

    def begin(self, name: str) -> None:
        """Show the name of the current training."""
        self._bar.update(self._task, description=name)

    def advance(self) -> None:
        """Move the bar."""
        self._bar.advance(self._task)

    def watch(self, title: str, epochs: int) -> keras.callbacks.Callback:
        """Return a callback that shows a training of at most some epochs."""
        task = self._bar.add_task(title, total=epochs)

        def show(epoch, logs):
            shown = f"{title}: validation {logs['val_accuracy']:.3f}"
            self._bar.update(task, advance=1, description=shown)

        return keras.callbacks.LambdaCallback(
            on_epoch_end=show,
            on_train_end=lambda logs=None: self._bar.remove_task(task),
        )

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        say(self.console, text)


@contextlib.contextmanager
def progress(
    console: rich.console.Console, total: int | None = None
) -> Iterator[Progress]:
    """Show a `Progress` over trainings; without a total, a bar for each."""
    with rich.progress.Progress(
        rich.progress.TextColumn("{task.description:<36}", markup=False),
        rich.progress.BarColumn(bar_width=20),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TimeElapsedColumn(),
        rich.progress.TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as bar:
        yield Progress(bar, total)
