import dataclasses
import functools

import keras
import numpy as np
import pytest

from keras_otreg.data import few_shot
from keras_otreg.experiments import networks
from keras_otreg.experiments.methods import Method
from keras_otreg.experiments.problem import Problem, Settings
from keras_otreg.experiments.statistics import chosen, searched
from keras_otreg.experiments.training import Trainee, Trainings, train
from keras_otreg.losses import Hint, RepresentationTransport
from keras_otreg.models import Penalty, TransferModel

SMALL = Settings(per_class=1, steps=4, points=2, channels=(2, 4, 4), units=8)


@pytest.fixture
def problem(labelled):
    keras.utils.set_random_seed(1)
    return Problem(
        teacher=networks.wide(SMALL),
        student=functools.partial(networks.wide, SMALL),
        pretrained=True,
        pool=labelled(4),
        test=labelled(3),
        places=networks.places(networks.WIDE_STAGES),
        settings=SMALL,
    )


def wrapped(student):
    """A model whose penalties remember costs, and have a layer to train."""
    losses = [RepresentationTransport(), Hint()]
    teacher = networks.wide(SMALL)
    return TransferModel(
        student, teacher, penalties=[Penalty(x, "features") for x in losses]
    )


@pytest.mark.slow
def test_a_restarted_training_repeats_itself_exactly(problem):
    few, _ = few_shot(*problem.pool, 1)
    student = networks.narrow(SMALL)
    made = Trainee(wrapped(student), student, SMALL)
    start = [w + 0.01 for w in student.get_weights()]
    runs = []
    for _ in range(2):
        outcome = train(made, start, few, problem.test, SMALL)
        runs.append(student.get_weights())
        assert int(made.model.optimizer.iterations) == SMALL.steps
        assert outcome.curve.shape == (SMALL.points,)
    for first, second in zip(*runs, strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.slow
def test_one_learner_is_trained_on_all_draws_and_only_its_head_if_frozen(
    problem,
):
    method = Method("frozen", "frozen")
    trainings, made = Trainings(problem, warm=True), []
    for seed in (3, 4):
        found, outcome = trainings.train(method, None, seed, None)
        assert outcome.curve.shape == (SMALL.points,)
        made.append(found)
    assert made[0] is made[1]
    keras.utils.set_random_seed(4)
    start = problem.start()
    *features, kernel, bias = found.student.get_weights()
    for before, after in zip(start, features, strict=False):
        np.testing.assert_array_equal(before, after)
    assert not np.array_equal(kernel, start[-2])
    assert not np.array_equal(bias, start[-1])
    other = Method("another", "frozen")
    assert trainings.train(other, None, 4, problem.test)[0] is not found


def test_a_start_is_the_teacher_under_a_head_of_the_seed(problem):
    keras.utils.set_random_seed(3)
    first, again = problem.start(), problem.start()
    for before, after in zip(
        problem.teacher.get_weights()[:-2], first, strict=False
    ):
        np.testing.assert_array_equal(before, after)
    assert not np.array_equal(first[-2], again[-2])
    fresh = dataclasses.replace(problem, pretrained=False)
    keras.utils.set_random_seed(3)
    np.testing.assert_array_equal(fresh.start()[-2], first[-2])


@pytest.mark.slow
def test_a_solved_start_classifies_the_labelled_samples(problem):
    frozen = dataclasses.replace(SMALL, learning_rate=0.0, per_class=2)
    problem = dataclasses.replace(problem, solved=True, settings=frozen)
    few, _ = few_shot(*problem.pool, 2, 3)
    learner, _ = Trainings(problem).train(
        Method("plain", "plain"), None, 3, few
    )
    found = learner.student.predict_on_batch(few.x).argmax(axis=1)
    assert np.mean(found == few.y) > 0.5
    body = len(problem.teacher.get_weights()) - 2
    for own, known in zip(
        learner.student.get_weights()[:body],
        problem.teacher.get_weights(),
        strict=False,
    ):
        np.testing.assert_array_equal(own, known)


def test_a_student_is_a_quarter_as_wide():
    wide, narrow = networks.wide(SMALL), networks.narrow(SMALL)
    assert wide.get_layer("features").units == SMALL.units
    assert narrow.get_layer("features").units == SMALL.units // 4


def test_no_draw_is_used_both_to_choose_and_to_report():
    assert not set(SMALL.choosing_seeds) & set(SMALL.reported_seeds)
    assert SMALL.choosing_seeds


def test_of_equally_good_strengths_the_first_is_chosen():
    # As many right answers of 341 in two draws, each rounded to the file.
    right = {1.0: [200, 204], 10.0: [202, 202], 100.0: [201, 202]}

    def validation(seed, strength):
        return round(right[strength][seed] / 341, 5)

    assert chosen([*right], range(2), validation) == 1.0
    assert chosen([10.0], range(2), None) == 10.0
    assert chosen([], range(2), None) is None


AXES = (1e-3, 10.0), (1.0, 10.0)


def test_a_search_leaves_its_start_until_the_best_is_inside():
    asked = []

    def validation(values):
        asked.append(values)
        # Best at 1e-4 and 1000: far from the middle.
        distances = np.abs(np.log10(values) - [-4.0, 3.0])
        return 1.0 - 0.1 * distances.sum()

    found, inside = searched(AXES, validation, 20)
    assert found == (1e-4, 1e3)
    assert inside
    assert len(asked) == len(set(asked)) == 20
    found, inside = searched(AXES, validation, 5)
    assert not inside


def test_a_search_goes_between_its_steps_and_is_fair_to_one_value():
    def validation(values):
        return 1.0 - 0.1 * abs(np.log10(values[0]) + 3.5)

    found, inside = searched(AXES[:1], validation, 8)
    assert found == (3.2e-4,)
    assert inside
    assert searched(AXES, None, 1) == ((1e-3, 1.0), True)
