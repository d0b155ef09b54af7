"""Progress of the trainings of a command."""

import contextlib
from collections.abc import Iterator

import keras
import rich.console
import rich.progress
import rich.text


def console_for(quiet: bool = False) -> rich.console.Console:
    """Return the console of a command.

    Args:
        quiet: Whether it prints nothing. Keras then draws no bars either, such
            as that of a download.
    """
    if quiet:
        keras.config.disable_interactive_logging()
    # A path or a name of the user's is no markup, whatever is in it.
    return rich.console.Console(quiet=quiet, markup=False, emoji=False)


class Screen:
    """A progress bar for the stage that runs, and lines about those that ended.

    Args:
        bar: A `rich.progress.Progress`.
    """

    def __init__(self, bar: rich.progress.Progress):
        self._bar = bar

    def watch(self, title: str, epochs: int) -> keras.callbacks.Callback:
        """Return a callback that shows a training of at most some epochs."""
        return _Watch(self._bar, title, epochs)

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._bar.console.print(text, highlight=False)


@contextlib.contextmanager
def screen(console: rich.console.Console) -> Iterator[Screen]:
    """Show the bar of the current stage within the block."""
    columns = (
        rich.progress.TextColumn("{task.description}", markup=False),
        rich.progress.BarColumn(bar_width=20),
        rich.progress.TextColumn("epoch {task.completed}/{task.total}"),
        _Times(),
    )
    with rich.progress.Progress(
        *columns, console=console, transient=True
    ) as bar:
        yield Screen(bar)


class _Times(rich.progress.ProgressColumn):
    """Elapsed time, and the time that all epochs would take."""

    def render(self, task: rich.progress.Task) -> rich.text.Text:
        shown = f"elapsed {_clock(task.elapsed or 0.0)}"
        if task.fields.get("most"):
            shown += f", up to {_clock(task.fields['most'])}"
        return rich.text.Text(shown)


def _clock(seconds):
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"


class _Watch(keras.callbacks.Callback):
    """Callback that moves the bar of one training."""

    def __init__(self, bar, title, epochs):
        super().__init__()
        self._bar, self._title, self._epochs = bar, title, epochs
        self._task = None

    def on_train_begin(self, logs=None):
        self._task = self._bar.add_task(self._title, total=self._epochs)

    def on_epoch_end(self, epoch, logs=None):
        (task,) = (x for x in self._bar.tasks if x.id == self._task)
        accuracy = (logs or {}).get("val_accuracy")
        shown = "" if accuracy is None else f": validation {accuracy:.3f}"
        self._bar.update(
            self._task,
            advance=1,
            description=self._title + shown,
            most=(task.elapsed or 0.0) / (epoch + 1) * self._epochs,
        )

    def on_train_end(self, logs=None):
        self._bar.remove_task(self._task)
