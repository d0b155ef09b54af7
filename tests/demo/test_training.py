import keras
import numpy as np
import pytest

from keras_otreg.data import few_shot
from keras_otreg.demo import Settings, networks
from keras_otreg.demo.methods import all_methods
from keras_otreg.demo.training import train, trainee
from keras_otreg.losses import Hint, RepresentationTransport
from keras_otreg.models import Penalty, TransferModel


@pytest.fixture
def few(task):
    return few_shot(*task.pool, 1)[0]


def wrapped(student):
    """A model whose penalties remember costs, and have a layer to train."""
    teacher = networks.wide(Settings(channels=(2, 4, 4), units=8))
    losses = [RepresentationTransport(), Hint()]
    return TransferModel(
        student, teacher, penalties=[Penalty(x, "features") for x in losses]
    )


@pytest.mark.parametrize("wrap", [lambda student: student, wrapped])
def test_a_restarted_training_repeats_itself_exactly(task, few, settings, wrap):
    student = networks.narrow(settings)
    learner = trainee(wrap(student), student, settings)
    start = [w + 0.01 for w in student.get_weights()]
    runs = []
    for _ in range(2):
        train(learner, start, few, task.test, settings)
        runs.append(student.get_weights())
    for first, second in zip(*runs, strict=True):
        np.testing.assert_array_equal(first, second)


def test_training_takes_the_steps_it_was_asked_for(task, few, settings):
    model = networks.narrow(settings)
    learner = trainee(model, model, settings)
    outcome = train(learner, model.get_weights(), few, task.test, settings)
    assert int(model.optimizer.iterations) == settings.steps
    assert outcome.curve.shape == (settings.points,)


@pytest.fixture
def methods(settings):
    found = all_methods(networks.wide(settings), settings)
    return {(method.student, method.name): method for method in found}


def test_all_methods_of_a_student_start_with_the_same_new_head(methods):
    heads = []
    for (student, _), method in methods.items():
        if student == "same network":
            keras.utils.set_random_seed(3)
            heads.append(method.start()[-2])
    assert len(heads) == 7
    for head in heads:
        np.testing.assert_array_equal(head, heads[0])


def test_frozen_features_stay_and_the_head_learns(methods, task, few, settings):
    method = methods["same network", "frozen features"]
    learner, start = method.build(None), method.start()
    train(learner, start, few, task.test, settings)
    *features, kernel, bias = learner.student.get_weights()
    for before, after in zip(start, features, strict=False):
        np.testing.assert_array_equal(before, after)
    assert not np.array_equal(kernel, start[-2])
    assert not np.array_equal(bias, start[-1])


def test_a_student_is_a_quarter_as_wide(settings):
    wide, narrow = networks.wide(settings), networks.narrow(settings)
    assert wide.get_layer("features").units == settings.units
    assert narrow.get_layer("features").units == settings.units // 4
