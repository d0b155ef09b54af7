import dataclasses

import keras
import numpy as np
import pytest

from keras_otreg.benchmark import accuracy
from keras_otreg.benchmark.accuracy.comparison import SmallTask
from keras_otreg.benchmark.accuracy.problems import small_problem
from keras_otreg.data import few_shot
from keras_otreg.experiments.training import train
from keras_otreg.models import TransferModel

METHODS = {method.name: method for method in accuracy.read().methods}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("teachers")


@pytest.fixture
def problem(folder):
    return small_problem(SmallTask("toy", labels=1, steps=2), 0, folder)


def trained(name, problem):
    method, few = METHODS[name], few_shot(*problem.pool, 1)[0]
    strength = next(iter(method.strengths), None)
    made = method.learner(problem, strength, few, 1)
    keras.utils.set_random_seed(1)
    start = problem.start()
    train(made, start, few, problem.validation, problem.settings)
    return made, start


# Of the penalties one: the losses have tests of their own.
@pytest.mark.slow
@pytest.mark.parametrize(
    "name", {x.uses: x.name for x in METHODS.values()}.values()
)
def test_every_method_trains_a_student_and_leaves_the_teacher(name, problem):
    before = problem.teacher.get_weights()
    made, start = trained(name, problem)
    assert not np.array_equal(made.student.get_weights()[-2], start[-2])
    for old, new in zip(before, problem.teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert problem.teacher.trainable


def test_a_frozen_student_keeps_the_teachers_features(problem):
    made, start = trained("frozen", problem)
    for old, new in zip(start[:-2], made.student.get_weights(), strict=False):
        np.testing.assert_array_equal(old, new)


def test_a_narrow_student_starts_from_nothing_and_differs_by_seed(folder):
    task = SmallTask("toy", labels=1, steps=2, student="narrow")
    problem = small_problem(task, 0, folder)
    starts = []
    for seed in (0, 0, 1):
        keras.utils.set_random_seed(seed)
        starts.append(problem.start()[0])
    np.testing.assert_array_equal(starts[0], starts[1])
    assert not np.array_equal(starts[0], starts[2])


@pytest.mark.slow
def test_an_adapter_starts_alike_in_every_training(folder):
    task = SmallTask("toy", labels=1, steps=2, student="narrow")
    problem = small_problem(task, 0, folder)
    made, start = trained("Hint", problem)
    (adapter,) = made.model.adapters.values()
    moved = adapter.get_weights()[0]
    made.restart(start)
    assert not np.array_equal(adapter.get_weights()[0], moved)
    again, _ = trained("Hint", problem)
    (other,) = again.model.adapters.values()
    np.testing.assert_array_equal(other.get_weights()[0], moved)


def test_unlabelled_samples_reach_the_methods_that_can_use_them(folder):
    task = SmallTask("toy", labels=1, steps=2, unlabelled=7)
    problem = small_problem(task, 0, folder)
    few, others = few_shot(*problem.pool, 1)
    batches = problem.batches(few, others, 0, True)
    inputs, labels = next(iter(batches))
    assert sorted(len(x) for x in inputs.values()) == [7, 10]
    assert len(labels) == 10
    assert problem.batches(few, others, 0, False) is None


def test_classes_of_a_target_count_from_zero(folder):
    task = SmallTask("toy", labels=1, target_classes=(5, 9))
    problem = small_problem(task, 0, folder)
    for part in (problem.pool, problem.validation, problem.test):
        assert set(part.y) == set(range(5))


@pytest.mark.slow
def test_penalties_train_in_the_wrapper(problem):
    assert isinstance(trained("transport", problem)[0].model, TransferModel)


def test_a_method_without_a_place_is_refused(problem):
    nowhere = dataclasses.replace(problem, places={"penultimate": []})
    with pytest.raises(ValueError, match="'transport' to act at.*penultimate"):
        trained("transport", nowhere)


@pytest.mark.slow
def test_an_inherited_student_starts_with_neurons_of_its_teacher(folder):
    task = SmallTask("toy", labels=1, steps=2, student="thin", target="mnist5k")
    problem = small_problem(task, 0, folder)
    made, start = trained("inherit", problem)
    made.restart(start)
    found, known = (
        model.get_layer("stage1").get_weights()[0].reshape(9, -1)
        for model in (made.student, problem.teacher)
    )
    gaps = np.abs(found[:, :, None] - known[:, None]).max(axis=0)
    assert gaps.min(axis=1).max() < 0.01
