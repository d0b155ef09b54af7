import io

import rich.console

from keras_otreg.workflows.screen import screen


def test_a_bar_says_how_long_a_stage_took_and_can_take():
    shown = io.StringIO()
    console = rich.console.Console(
        file=shown, force_terminal=True, width=120, color_system=None
    )
    with screen(console) as stages:
        watch = stages.watch("plain fine-tuning", 20)
        watch.on_train_begin()
        watch.on_epoch_end(0, {"val_accuracy": 0.5})
        stages._bar.refresh()
        stages.say("a line above")
        watch.on_train_end()
    lines = shown.getvalue()
    assert "plain fine-tuning: validation 0.500" in lines
    assert "epoch 1/20 elapsed 0:00, up to 0:0" in lines
    assert "a line above" in lines
