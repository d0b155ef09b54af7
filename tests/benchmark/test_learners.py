import dataclasses

import accuracy
import keras
import numpy as np
import pytest
from small_tasks import SmallTask

from keras_otreg.data import few_shot
from keras_otreg.experiments.training import Trainings, train
from keras_otreg.models import TransferModel

NARROW = {"student": "narrow", "start": "random", "steps": 2}
METHODS = {method.name: method for method in accuracy.comparison().methods}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("teachers")


@pytest.fixture
def problem(folder):
    return SmallTask("toy", labels=1, steps=2).problem(0, folder, None)


def trained(name, problem):
    method, few = METHODS[name], few_shot(*problem.pool, 1)[0]
    strength = next(iter(method.strengths), None)
    made = method.learner(problem, strength, few, 1)
    keras.utils.set_random_seed(1)
    start = problem.start()
    train(made, start, few, problem.validation, problem.settings)
    return made, start


# Of the penalties one: the losses have tests of their own.
@pytest.mark.release
@pytest.mark.parametrize(
    "name", {x.uses: x.name for x in METHODS.values()}.values()
)
def test_every_method_trains_a_student_and_leaves_the_teacher(name, problem):
    before = problem.teacher.get_weights()
    made, start = trained(name, problem)
    assert not np.array_equal(made.weights()[-2], start[-2])
    # What is trained in LoRA and norms is not the kernels, which stay.
    if METHODS[name].uses in ("lora", "norms"):
        np.testing.assert_array_equal(made.weights()[0], start[0])
    for old, new in zip(before, problem.teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert problem.teacher.trainable


def test_a_narrow_student_starts_from_nothing_and_differs_by_seed(folder):
    task = SmallTask("toy", labels=1, **NARROW)
    problem = task.problem(0, folder, None)
    starts = []
    for seed in (0, 0, 1):
        keras.utils.set_random_seed(seed)
        starts.append(problem.start()[0])
    np.testing.assert_array_equal(starts[0], starts[1])
    assert not np.array_equal(starts[0], starts[2])


@pytest.mark.release
def test_an_adapter_starts_alike_in_every_training(folder):
    task = SmallTask("toy", labels=1, **NARROW)
    problem = task.problem(0, folder, None)
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
    problem = task.problem(0, folder, None)
    few, others = few_shot(*problem.pool, 1)
    batches = problem.batches(few, others, 0, True)
    inputs, labels = next(iter(batches))
    assert sorted(len(x) for x in inputs.values()) == [7, 10]
    assert len(labels) == 10
    assert problem.batches(few, others, 0, False) is None


@pytest.mark.slow
def test_a_start_is_solved_and_ends_are_told_apart(problem):
    """Of one draw: at the start, after training, and the better of both."""
    trainings, found = Trainings(problem), {}
    for name in ("head only", "plain", "plain, interpolated"):
        made, outcome = trainings.train(
            METHODS[name], None, 3, problem.validation, 1e-2
        )
        found[name] = outcome.curve[-1], made.weights()
    few, _ = problem.draw(3)
    right = made.student.predict(few.x, verbose=0).argmax(axis=1) == few.y
    assert right.all()
    head, plain, both = found.values()
    assert both[0] >= max(head[0], plain[0])
    np.testing.assert_array_equal(head[1][0], problem.teacher.weights[0])
    assert not np.array_equal(head[1][0], plain[1][0])
    kept, _ = trainings.train(
        METHODS["as finetune"], None, 3, problem.validation, 1e-2
    )
    assert any(_same(kept.weights(), x) for x in (head[1], both[1]))
    labels = METHODS["as finetune, unlabelled"]
    made, _ = trainings.train(labels, None, 3, problem.validation, 0.0)
    assert _same(made.weights()[:-2], head[1][:-2])
    assert not _same(made.weights(), head[1])
    rates = METHODS["discriminative rates"]
    made, _ = trainings.train(rates, None, 3, problem.validation, 1e-2)
    inner = made.model.optimizer.optimizers
    assert sorted(float(x.learning_rate) for x in inner) == pytest.approx(
        [1e-3, 1e-2]
    )


@pytest.mark.slow
def test_the_strength_of_one_learner_is_set_for_each_training(problem):
    trainings, made = Trainings(problem), []
    for strength in (0.5, 2.0):
        learner, _ = trainings.train(
            METHODS["L2-SP"], strength, 1, problem.validation
        )
        made.append(learner)
        (penalty,) = learner.model.penalties
        assert penalty.weight == strength
    assert made[0] is made[1]


def test_unequal_classes_are_drawn_and_tested_alike(folder):
    task = SmallTask("toy", labels=2, steps=2, ratio=2.0)
    problem = task.problem(0, folder, None)
    few, _ = problem.draw(0)
    counts = np.bincount(few.y)
    assert (counts[0], counts[-1]) == (2, 1)
    assert sorted(counts, reverse=True) == [*counts]
    assert np.bincount(problem.test.y)[0] > np.bincount(problem.test.y)[-1]


def test_classes_of_a_target_count_from_zero(folder):
    task = SmallTask("toy", labels=1, target_classes=(5, 9))
    problem = task.problem(0, folder, None)
    for part in (problem.pool, problem.validation, problem.test):
        assert set(part.y) == set(range(5))


@pytest.mark.release
def test_penalties_train_in_the_wrapper(problem):
    assert isinstance(trained("transport", problem)[0].model, TransferModel)


def test_a_method_without_a_place_is_refused(problem):
    nowhere = dataclasses.replace(problem, places={"penultimate": []})
    with pytest.raises(ValueError, match="'transport' to act at.*penultimate"):
        trained("transport", nowhere)


@pytest.mark.release
def test_an_inherited_student_starts_with_neurons_of_its_teacher(folder):
    how = NARROW | {"student": "thin", "target": "mnist5k"}
    task = SmallTask("toy", labels=1, **how)
    problem = task.problem(0, folder, None)
    made, start = trained("inherit", problem)
    made.restart(start)
    found, known = (
        model.get_layer("stage1").get_weights()[0].reshape(9, -1)
        for model in (made.student, problem.teacher)
    )
    gaps = np.abs(found[:, :, None] - known[:, None]).max(axis=0)
    assert gaps.min(axis=1).max() < 0.01


def _same(first, second):
    return all(map(np.array_equal, first, second))
