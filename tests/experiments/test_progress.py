import io

import rich.console

from keras_otreg.experiments.progress import progress


def console(file):
    return rich.console.Console(
        file=file, force_terminal=True, width=120, color_system=None
    )


def test_a_bar_shows_the_epochs_of_each_training():
    shown = io.StringIO()
    with progress(console(shown)) as bar:
        watch = bar.watch("plain fine-tuning", 20)
        watch.on_train_begin()
        watch.on_epoch_end(0, {"val_accuracy": 0.5})
        bar._bar.refresh()
        bar.say("a line above")
        watch.on_train_end()
    lines = shown.getvalue()
    assert "plain fine-tuning: validation 0.500" in lines
    assert "1/20 0:00:0" in lines
    assert "a line above" in lines


def test_a_bar_counts_trainings_and_names_the_current_one():
    shown = io.StringIO()
    with progress(console(shown), 3) as bar:
        bar.begin("the second [one]")
        bar.advance()
        bar.advance()
        bar._bar.refresh()
    assert "the second [one]" in shown.getvalue()
    assert "2/3 0:00:0" in shown.getvalue()
