"""Every tuner of KerasTuner, with the same hypermodel."""

import gc
import weakref

import keras
import keras_tuner
import numpy as np
import pytest

from keras_otreg import Penalty, TransferModel
from keras_otreg.tuning import objective, trials

TUNERS = {
    "RandomSearch": {"max_trials": 3},
    "BayesianOptimization": {"max_trials": 3, "num_initial_points": 2},
    "Hyperband": {"max_epochs": 2, "factor": 2},
    "GridSearch": {"max_trials": 3},
}


@pytest.fixture(params=TUNERS)
def make_tuner(request, tmp_path):
    def make(hypermodel, **settings):
        return getattr(keras_tuner, request.param)(
            hypermodel,
            objective("val_accuracy"),
            directory=tmp_path,
            **TUNERS[request.param],
            **settings,
        )

    return make


@pytest.mark.release
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_best_model_evaluates_to_the_score_that_won(
    make_tuner, make_hypermodel, data, evaluated, tmp_path
):
    tuner = make_tuner(make_hypermodel(), seed=1)
    tuner.search(**data, epochs=2)
    rows = trials(tuner)
    assert len(rows) >= 3
    scores = [row["score"] for row in rows]
    assert scores == sorted(scores, reverse=True)
    (best,) = tuner.get_best_models()
    found = evaluated(best)
    assert found["accuracy"] == scores[0]
    assert best.penalties[0].weight == rows[0]["weight"]
    best.save(tmp_path / "best.keras")
    loaded = keras.saving.load_model(tmp_path / "best.keras")
    assert evaluated(loaded) == found


@pytest.mark.release
def test_trials_share_one_teacher_and_leave_nothing_behind(
    make_network, make_hypermodel, data, tmp_path
):
    students, teachers = [], []

    def build_student(hp):
        student = make_network()
        students.append(weakref.ref(student))
        return student

    def teacher():
        teachers.append(make_network(10, "teacher"))
        return teachers[-1]

    tuner = keras_tuner.RandomSearch(
        make_hypermodel(build_student=build_student, teacher=teacher),
        objective("val_accuracy"),
        max_trials=3,
        directory=tmp_path,
    )
    tuner.search(**data)
    gc.collect()
    assert [student() for student in students] == [None] * 4
    first, second = tuner.get_best_models(2)
    assert first.teacher is second.teacher is teachers[0]
    assert len(teachers) == 1


@pytest.mark.release
def test_a_trial_that_hyperband_takes_up_again_goes_on(
    make_hypermodel, data, tmp_path
):
    started = []

    class Start(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            optimizer = self.model.optimizer
            moments = [np.abs(x).max() for x in optimizer.variables[2:]]
            started.append((int(optimizer.iterations), max(moments) > 0.0))

    tuner = keras_tuner.Hyperband(
        make_hypermodel(),
        objective("val_pull", "min"),
        max_epochs=2,
        factor=2,
        directory=tmp_path,
        seed=1,
    )
    tuner.search(**data, callbacks=[Start()])
    # One step an epoch: one trial goes on after its first.
    assert sorted(started) == [(0, False)] * 4 + [(1, True)]


@pytest.mark.release
def test_a_model_built_by_hand_comes_back_with_its_own_teacher(
    make_network, compile_model, data, evaluated, tmp_path
):
    def build(hp):
        # Another teacher each time: only the file knows which it was.
        loss = keras.losses.MeanSquaredError(name="pull")
        model = TransferModel(
            make_network(),
            make_network(10, "teacher"),
            [Penalty(loss, at="head", weight=hp.Float("weight", 0.1, 1.0))],
        )
        compile_model(hp, model)
        return model

    def tuner():
        return keras_tuner.RandomSearch(
            build,
            objective("val_loss", "min"),
            max_trials=2,
            directory=tmp_path,
            overwrite=False,
        )

    first = tuner()
    first.search(**data, epochs=2)
    score = trials(first)[0]["score"]
    for each in (first, tuner()):
        (best,) = each.get_best_models()
        assert evaluated(best)["loss"] == pytest.approx(score, rel=1e-6)
