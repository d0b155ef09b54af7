import warnings

import keras
import keras_tuner
import numpy as np
import pytest

import keras_otreg as otreg
from keras_otreg.tuning import objective, trials


def test_trials_start_alike_if_the_student_says_so(
    make_hypermodel, same_weights, hp
):
    hypermodel = make_hypermodel()
    first, second = hypermodel.build(hp), hypermodel.build(hp)
    assert first.student is not second.student
    assert same_weights(first.student, second.student)


@pytest.mark.release
def test_a_student_from_a_file_starts_alike_in_every_trial(
    make_network, make_hypermodel, same_weights, hp, tmp_path
):
    start = make_network()
    start.save(tmp_path / "start.keras")
    hypermodel = make_hypermodel(
        build_student=lambda hp: keras.saving.load_model(
            tmp_path / "start.keras"
        )
    )
    for _ in range(2):
        assert same_weights(hypermodel.build(hp).student, start)


@pytest.mark.release
def test_the_teacher_comes_from_a_file_a_function_or_the_student(
    make_network, make_hypermodel, same_weights, hp, tmp_path
):
    known = make_network(10)
    known.save(tmp_path / "teacher.keras")
    for teacher in (known, lambda: known, str(tmp_path / "teacher.keras")):
        hypermodel = make_hypermodel(teacher=teacher)
        assert same_weights(hypermodel.teacher, known)
        assert hypermodel.build(hp).teacher is hypermodel.teacher
    model = make_hypermodel(teacher=None).build(hp)
    assert model.teacher is not model.student
    assert same_weights(model.teacher, model.student)


def test_what_is_no_teacher_is_refused(make_hypermodel, hp):
    for teacher in (3, lambda: None, lambda: 3):
        hypermodel = make_hypermodel(
            teacher=teacher, penalties=lambda hp: ["no penalty"]
        )
        with pytest.raises(ValueError, match=r"teacher|penalties"):
            hypermodel.build(hp)
    with pytest.raises(
        ValueError, match=r"`build_student\(hp\)` to be a built"
    ):
        make_hypermodel(
            build_student=lambda hp: keras.Sequential([keras.layers.Dense(1)])
        ).build(hp)


def test_weights_that_another_trial_trained_stop_the_search(
    make_network, make_hypermodel, hp
):
    backbone = make_network()

    def build_student(hp):
        inputs = keras.Input((8,))
        outputs = keras.layers.Dense(3, name="head")(backbone(inputs))
        return keras.Model(inputs, outputs)

    hypermodel = make_hypermodel(build_student=build_student)
    first = hypermodel.build(hp)
    # Any other error is that of one trial.
    with pytest.raises(
        keras_tuner.errors.FatalValueError,
        match=r"shares 6 trainable.*hidden/kernel",
    ):
        hypermodel.build(hp)
    backbone.trainable = False
    assert hypermodel.build(hp).student is not first.student


@pytest.mark.release
def test_a_search_for_the_smallest_total_warns(search):
    with pytest.warns(UserWarning, match="contains the penalties"):
        search(goal=[objective("val_pull", "min"), "val_loss"], max_trials=1)


@pytest.mark.release
@pytest.mark.filterwarnings("ignore:.*contains the penalties")
def test_the_smallest_total_is_that_of_the_smallest_weight(
    make_hypermodel, compile_model, data, tmp_path
):
    """Why there is a warning."""

    def penalties(hp):
        loss = keras.losses.MeanSquaredError(name="pull")
        weight = hp.Choice("weight", [10.0, 0.0, 1.0])
        return [otreg.Penalty(loss, at="head", weight=weight)]

    tuner = keras_tuner.GridSearch(
        make_hypermodel(
            penalties=penalties,
            compile=lambda hp, model: model.compile(
                "sgd", "sparse_categorical_crossentropy", run_eagerly=True
            ),
        ),
        objective("val_loss"),
        directory=tmp_path,
    )
    tuner.search(**data)
    assert [row["weight"] for row in trials(tuner)] == [0.0, 1.0, 10.0]


@pytest.mark.release
def test_no_search_for_another_objective_warns(search, make_hypermodel):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        search(max_trials=1).get_best_models()
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        nothing = make_hypermodel(penalties=lambda hp: ())
        search(nothing, "val_loss", max_trials=1, project_name="plain")


@pytest.mark.release
def test_the_tuner_may_override_the_optimizer(search, evaluated, tmp_path):
    tuner = search(optimizer="sgd")
    (best,) = tuner.get_best_models()
    assert isinstance(best.optimizer, keras.optimizers.SGD)
    found = evaluated(best)
    assert set(found) == {"loss", "accuracy", "pull"}
    assert found["accuracy"] == trials(tuner)[0]["score"]
    best.save(tmp_path / "best.keras")
    assert evaluated(keras.saving.load_model(tmp_path / "best.keras")) == found


def test_whoever_compiles_the_best_model_anew_is_obeyed(make_hypermodel, hp):
    model = make_hypermodel().build(hp)
    model.compile("sgd", "mse", metrics=["mae"], steps_per_execution=2)
    assert isinstance(model.optimizer, keras.optimizers.SGD)
    assert (model.loss, model.steps_per_execution) == ("mse", 2)
    assert model.get_compile_config()["metrics"] == ["mae"]


def test_a_trial_is_compiled_as_its_student_if_not_told_otherwise(
    make_network, make_hypermodel, hp
):
    def build_student(hp):
        student = make_network()
        student.compile(
            keras.optimizers.SGD(0.5, momentum=0.5),
            "sparse_categorical_crossentropy",
            metrics=["accuracy"],
            run_eagerly=True,
        )
        return student

    hypermodel = make_hypermodel(build_student=build_student, compile=None)
    model = hypermodel.build(hp)
    assert model.optimizer is not model.student.optimizer
    assert model.optimizer.get_config() == model.student.optimizer.get_config()
    assert model.run_eagerly
    with pytest.raises(ValueError, match="Expected `compile=`.*'student'"):
        make_hypermodel(compile=None).build(hp)


@pytest.mark.release
def test_a_source_task_belongs_to_its_trial(make_hypermodel, hp, rng):
    def source_task(hp):
        return otreg.SourceTask(
            keras.layers.Dense(4, activation="softmax"),
            at="norm",
            loss="sparse_categorical_crossentropy",
            weight=hp.Float("source_weight", 0.1, 1.0),
        )

    hypermodel = make_hypermodel(source_task=source_task)
    first, second = hypermodel.build(hp), hypermodel.build(hp)
    assert first.source_task.head is not second.source_task.head
    assert first.source_task.weight == hp.values["source_weight"]
    x = rng.normal(size=(8, 8)).astype("float32")
    pairs = (x, x), (np.zeros(8, int), np.zeros(8, int))
    logs = first.fit(*pairs, verbose=0).history
    assert {"pull", "source_loss", "source_accuracy"} <= set(logs)
