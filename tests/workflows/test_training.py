import keras
import numpy as np
import pytest

from keras_otreg.workflows.project import CROSSENTROPY, BestEpoch, Project
from keras_otreg.workflows.settings import Settings
from keras_otreg.workflows.stages import Run, Trained


@pytest.fixture
def network():
    return keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(1, use_bias=False)]
    )


def ended(network, logs, patience=9):
    """The best epoch of a training with these logs, and its length."""
    model = keras.Sequential([network])
    best = BestEpoch(network, patience)
    best.set_model(model)
    model.stop_training = False
    for epoch, (accuracy, loss) in enumerate(logs):
        network.set_weights([np.full((1, 1), epoch + 1.0)])
        best.on_epoch_end(
            epoch, {"val_accuracy": accuracy, f"val_{CROSSENTROPY}": loss}
        )
        if model.stop_training:
            break
    best.on_train_end()
    return best.epoch, epoch + 1


def test_of_equal_accuracies_the_epoch_of_lower_cross_entropy_is_kept(network):
    logs = [(0.5, 0.9), (0.8, 0.7), (0.8, 0.4), (0.8, 0.5), (0.7, 0.1)]
    assert ended(network, logs) == (3, 5)
    np.testing.assert_array_equal(network.get_weights()[0], [[3.0]])


def test_a_training_ends_after_epochs_without_progress(network):
    logs = [(0.5, 0.9), (0.5, 0.9), (0.5, 0.95), (0.9, 0.1)]
    assert ended(network, logs, patience=2) == (1, 3)


@pytest.mark.parametrize("loss", [float("nan"), 0.9])
def test_the_first_epoch_is_kept_if_none_is_better(network, loss):
    assert ended(network, [(0.5, loss), (0.4, 0.1)])[0] == 1


SETTINGS = Settings(epochs=2, patience=3, batch_size=3, learning_rate=1e-3)


class Bar:
    def watch(self, title, epochs):
        return keras.callbacks.Callback()

    def say(self, text):
        pass


@pytest.fixture
def project(picture_files, tmp_path):
    parts = dict.fromkeys(("train", "validation", "test"), picture_files)
    return Project(Run(tmp_path, {}), parts, (4, 4, 3), SETTINGS, Bar())


@pytest.mark.slow
def test_what_is_returned_is_the_best_epoch_and_not_the_start(project, start):
    """Even where the start classifies as many validation pictures."""
    before = start.get_weights()
    found = project.train("plain", "title", start)
    assert found.best in (1, 2)
    assert len(found.history) == 2
    assert found.model is not start
    for one, other in zip(start.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.abs(found.model.get_weights()[0] - before[0]).max() > 0.0
    assert found.predictions["test"].shape == (3, 2)


@pytest.mark.slow
def test_the_head_is_solved_and_the_rest_stays(project, picture_files, start):
    before = start.get_weights()
    solved = project.solve_head(start)
    assert solved.is_start
    right = solved.predictions["test"].argmax(axis=1) == picture_files.labels
    assert right.all()
    for one, other in zip(start.get_weights()[:-2], before, strict=False):
        np.testing.assert_array_equal(one, other)
    # Half-way to a network that is always wrong it is still right.
    wrong = keras.models.clone_model(start)
    wrong.set_weights([*before[:-1], 50 * before[-1][::-1]])
    tuned = Trained(wrong, predictions=project.predictions(wrong))
    (found,) = project.interpolate(solved, {"wrong": tuned}).values()
    assert found.share < 1.0
    assert not found.is_start
