import keras
import pytest

import keras_otreg as otreg
from keras_otreg.losses import Coral, TransportAlignment


def network(width):
    return keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(width, activation="relu", name="stage"),
            keras.layers.Dense(width, name="features"),
        ]
    )


def test_each_place_has_a_penalty_of_the_same_weight():
    loss = TransportAlignment()
    found = otreg.Penalty.at_each(loss, ["a", "b/c#1"], weight=3.0)
    assert [x.at for x in found] == ["a", "b/c#1"]
    assert [x.teacher_at for x in found] == ["a", "b/c#1"]
    assert [x.weight for x in found] == [3.0, 3.0]
    names = [x.name for x in found]
    assert names == ["transport_alignment_a", "transport_alignment_b_c_1"]


def test_a_mapping_names_the_teachers_layers_and_a_path_is_a_place():
    loss = TransportAlignment()
    first, second = otreg.Penalty.at_each(loss, {"a": "x", "b": "y"}, name="p")
    assert (first.at, first.teacher_at, first.name) == ("a", "x", "p_a")
    assert (second.at, second.teacher_at, second.name) == ("b", "y", "p_b")
    (only,) = otreg.Penalty.at_each(loss, "avg_pool")
    assert only.at == "avg_pool"


@pytest.mark.release
def test_they_train_and_are_logged_side_by_side(rng):
    penalties = otreg.Penalty.at_each(
        TransportAlignment(), ["stage", "features"], name="near"
    )
    model = otreg.TransferModel(network(3), network(6), penalties)
    model.compile("sgd", "mse")
    x, y = rng.normal(size=(8, 4)), rng.normal(size=(8, 3))
    logs = model.fit(x, y, verbose=0).history
    assert {"near_stage", "near_features"} <= set(logs)


@pytest.mark.parametrize("at", [[""], [3], [None]])
def test_what_is_no_path_is_refused(at):
    with pytest.raises(ValueError, match="`at`"):
        otreg.Penalty.at_each(TransportAlignment(), at)


def test_what_is_no_loss_is_refused():
    with pytest.raises(ValueError, match="loss"):
        otreg.Penalty.at_each("alignment", ["a"])


def logged_names(penalties):
    model = otreg.TransferModel(network(3), network(3), penalties)
    names = {metric.name for metric in model.metrics}
    return names - {"loss", "incidents"}, model


@pytest.mark.release
def test_penalties_of_one_loss_are_told_apart_by_their_layers():
    penalties = [
        otreg.Penalty(Coral(), at="stage"),
        otreg.Penalty(Coral(), at="features"),
        otreg.Penalty(Coral(), at="features", name="own"),
    ]
    names, model = logged_names(penalties)
    assert names == {"coral_stage", "coral_features", "own"}
    # The caller's objects are those of the model, with the names they had.
    assert all(x is y for x, y in zip(penalties, model.penalties, strict=True))
    again = otreg.TransferModel.from_config(model.get_config())
    assert {m.name for m in again.metrics} == {m.name for m in model.metrics}


def test_a_single_penalty_has_the_name_of_its_loss():
    penalty = otreg.Penalty(Coral(), at="stage")
    assert logged_names([penalty])[0] == {"coral"}
    assert penalty.get_config()["name"] is None


def test_a_config_of_the_first_version_keeps_its_name():
    config = otreg.Penalty(Coral(), at="stage").get_config()
    old = otreg.Penalty.from_config({**config, "name": "coral"})
    new = otreg.Penalty(Coral(), at="features")
    names = {"coral", "coral_features"}
    assert logged_names([old, new])[0] == names
