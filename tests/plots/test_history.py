import keras
import numpy as np
import pytest

from keras_otreg import plots

LOGS = {"loss": [1.0, 0.5], "val_loss": [1.5, 1.0], "entropy": [0.9, 0.3]}


def panels(figure):
    return {axes.get_ylabel(): axes for axes in figure.axes}


def test_each_metric_is_a_panel_with_both_curves_over_epochs_from_one():
    figure = plots.history(LOGS)
    assert list(panels(figure)) == ["loss", "entropy"]
    training, validation = panels(figure)["loss"].lines
    np.testing.assert_array_equal(training.get_xdata(), [1, 2])
    np.testing.assert_array_equal(training.get_ydata(), LOGS["loss"])
    np.testing.assert_array_equal(validation.get_ydata(), LOGS["val_loss"])
    assert training.get_linestyle() != validation.get_linestyle()
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["training", "validation"]


def test_the_legend_names_what_is_in_any_panel():
    figure = plots.history(LOGS, metrics=["entropy", "loss"])
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["training", "validation"]


def test_only_what_is_asked_for_is_drawn():
    figure = plots.history(LOGS, metrics=["entropy"])
    assert list(panels(figure)) == ["entropy"]
    with pytest.raises(ValueError, match="'entropy', 'loss'.*'accuracy'"):
        plots.history(LOGS, metrics=["accuracy"])


def test_a_history_and_the_file_of_a_logger_give_the_same(tmp_path, rng):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    path = tmp_path / "log.csv"
    logs = model.fit(
        rng.normal(size=(8, 3)),
        np.ones(8),
        epochs=3,
        initial_epoch=1,
        callbacks=[keras.callbacks.CSVLogger(path)],
        verbose=0,
    )
    figures = plots.history(logs), plots.history(path), plots.history(str(path))
    for figure in figures:
        (axes,) = figure.axes
        np.testing.assert_array_equal(axes.lines[0].get_xdata(), [2, 3])
        np.testing.assert_allclose(
            axes.lines[0].get_ydata(), logs.history["loss"], rtol=1e-6
        )
        # The columns for validation that the logger adds are empty.
        assert len(axes.lines) == 1


def test_nothing_cannot_be_drawn(tmp_path):
    with pytest.raises(ValueError, match="at least one epoch"):
        plots.history({})
    (tmp_path / "log.csv").write_text("epoch,loss\n")
    with pytest.raises(ValueError, match="at least one epoch"):
        plots.history(tmp_path / "log.csv")
    with pytest.raises(ValueError, match="a History, a mapping or a path"):
        plots.history(3)
    with pytest.raises(ValueError, match="`columns`"):
        plots.history(LOGS, columns=0)


@pytest.mark.parametrize("gap", ["NA", "", None])
def test_a_value_that_was_not_logged_in_an_epoch_is_a_gap(gap):
    figure = plots.history({"accuracy": [0.1, gap, 0.3]})
    values = figure.axes[0].lines[0].get_ydata()
    np.testing.assert_array_equal(np.isnan(values), [False, True, False])


def test_values_of_some_epochs_alone_are_refused():
    with pytest.raises(ValueError, match=r"`logs`.*'loss': 2, 'val_loss': 1"):
        plots.history({"loss": [1, 2], "val_loss": [1]})


def test_dollars_in_names_begin_no_formula():
    plots.history({"$5_$10": [1, 2]}).pixels()
