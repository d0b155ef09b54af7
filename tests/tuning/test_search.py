import keras_tuner
import numpy as np
import pytest

import keras_otreg as otreg
from keras_otreg.tuning import objective, trials


@pytest.mark.slow
def test_a_search_that_was_interrupted_ends_with_the_same_table(
    search, make_hypermodel, compile_model
):
    def table(tuner):
        # After a restart KerasTuner may put equal scores in another order.
        return sorted(trials(tuner), key=lambda row: row["trial"])

    through = table(search(max_trials=4, project_name="through"))
    compiled = []

    def interrupted(hp, model):
        compiled.append(model)
        # The first is built for its hyperparameters alone.
        if len(compiled) == 4:
            raise KeyboardInterrupt
        compile_model(hp, model)

    with pytest.raises(KeyboardInterrupt):
        search(make_hypermodel(compile=interrupted), max_trials=4)
    resumed = search(make_hypermodel(compile=interrupted), max_trials=4)
    assert table(resumed) == through
    # Two trials were left to do: the one that was cut short, and the last.
    assert len(compiled) == 6


def test_a_trial_that_failed_is_a_row_without_a_score(
    make_hypermodel, data, tmp_path
):
    def build_student(hp):
        raise keras_tuner.errors.FailedTrialError("too large")

    hypermodel = make_hypermodel()
    tuner = keras_tuner.RandomSearch(
        hypermodel, objective(), max_trials=1, directory=tmp_path
    )
    hypermodel.build_student = build_student
    tuner.search(**data)
    (row,) = trials(tuner)
    assert (row["status"], row["score"]) == ("FAILED", None)


@pytest.mark.slow
def test_of_equal_scores_the_first_stays_the_best(
    make_hypermodel, data, tmp_path, monkeypatch
):
    class Disordered(keras_tuner.RandomSearch):
        """Finds its trials as a disk may give them."""

        def reload(self):
            super().reload()
            self.oracle.trials = dict(reversed(self.oracle.trials.items()))

        def run_trial(self, *arguments, **settings):
            super().run_trial(*arguments, **settings)
            return {"val_accuracy": 0.5}

    monkeypatch.setattr(keras_tuner, "RandomSearch", Disordered)
    folder = tmp_path / "search"
    first, best = [
        otreg.tuning.random_search(make_hypermodel(), folder, 2, **data)
        for _ in range(2)
    ]
    assert first[0] == best[0]
    for one, other in zip(
        first[1].get_weights(), best[1].get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_a_search_ends_however_many_trials_have_failed(
    make_hypermodel, data, tmp_path
):
    def build_student(hp):
        # The first is built for its hyperparameters alone.
        if built:
            raise keras_tuner.errors.FailedTrialError("too large")
        built.append(hp)
        return make_student(hp)

    built, hypermodel = [], make_hypermodel()
    make_student, hypermodel.build_student = (
        hypermodel.build_student,
        build_student,
    )
    rows, best = otreg.tuning.random_search(
        hypermodel, tmp_path / "search", 6, **data
    )
    assert [row["status"] for row in rows] == ["FAILED"] * 6
    assert best is None


@pytest.mark.slow
def test_a_damaged_search_is_named_with_a_way_out(
    make_hypermodel, data, tmp_path
):
    hypermodel = make_hypermodel()

    def search():
        otreg.tuning.random_search(hypermodel, tmp_path / "search", 1, **data)

    search()
    for pattern, damage in (
        ("trial_*/trial.json", '{"trial_id"'),
        ("oracle.json", '{"ongoing_trials": 3}'),
    ):
        (path,) = (tmp_path / "search").glob(pattern)
        content = path.read_text()
        path.write_text(damage)
        with pytest.raises(ValueError, match="search'.*Delete the folder"):
            search()
        path.write_text(content)
    path.unlink()
    with pytest.raises(ValueError, match="missing.*Delete the folder"):
        search()


def test_an_error_of_a_new_search_is_not_taken_for_damage(
    make_hypermodel, data, tmp_path
):
    hypermodel = make_hypermodel(penalties=lambda hp: hp["missing"])
    with pytest.raises(KeyError, match="missing"):
        otreg.tuning.random_search(hypermodel, tmp_path / "new", 1, **data)


@pytest.mark.slow
def test_rows_have_the_same_keys(make_hypermodel, data, tmp_path):
    def penalties(hp):
        return otreg.tuning.transport_space(
            hp,
            "norm",
            weight=1.0,
            epsilon=0.1,
            cost="euclidean",
            plan=["uniform", "transport"],
        )

    def compile_model(hp, model):
        model.compile("sgd", "sparse_categorical_crossentropy")

    tuner = keras_tuner.GridSearch(
        make_hypermodel(penalties=penalties, compile=compile_model),
        objective("val_transport"),
        directory=tmp_path,
    )
    tuner.search(**data)
    rows = trials(tuner)
    epsilons = {row["transport/plan"]: row["transport/epsilon"] for row in rows}
    assert epsilons == {"uniform": None, "transport": 0.1}
    # What is cheaper than the cheapest plan is no plan.
    assert rows[0]["transport/plan"] == "transport"
