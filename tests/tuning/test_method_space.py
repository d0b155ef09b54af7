import inspect

import keras_tuner
import pytest

from keras_otreg import add_starting_point
from keras_otreg.tuning import (
    alignment_space,
    hyperparameters,
    method_space,
    random_values,
    strength_space,
    transport_space,
)
from keras_otreg.tuning.spaces import LOSSES, PENALTIES
from keras_otreg.workflows.methods import Method
from keras_otreg.workflows.settings import DISTANCES, TITLES


@pytest.mark.parametrize("method", PENALTIES)
def test_defaults_are_the_middle_of_a_range(method):
    penalty = method_space(hyperparameters(), method, "features", "avg_pool")
    assert (penalty.name, penalty.at) == (method, "features")
    assert penalty.teacher_at == "avg_pool"
    if method in LOSSES:
        low, high = LOSSES[method][1]
        assert penalty.weight == pytest.approx((low * high) ** 0.5)


def test_transport_and_alignment_have_the_spaces_of_their_own():
    for method, space in (
        ("transport", transport_space),
        ("alignment", alignment_space),
    ):
        found = method_space(hyperparameters(), method, "features")
        own = space(keras_tuner.HyperParameters(), "features")
        assert found.weight == own.weight
        assert found.loss.get_config() == own.loss.get_config()


def test_a_weight_that_is_given_is_not_searched():
    hp = keras_tuner.HyperParameters()
    assert method_space(hp, "cka", "features", weight=3.0).weight == 3.0
    assert method_space(hp, "transport", "features", weight=4.0).weight == 4.0


def test_what_a_search_has_found_is_used():
    penalty = method_space(
        hyperparameters({"mmd/weight": 7.0}), "mmd", "features"
    )
    assert penalty.weight == 7.0


def test_the_strength_of_the_starting_point_is_its_default():
    default = inspect.signature(add_starting_point).parameters["strength"]
    assert strength_space(hyperparameters()) == pytest.approx(default.default)
    assert strength_space(hyperparameters(), 2.0) == 2.0


def test_an_unknown_method_is_named():
    with pytest.raises(ValueError, match="magic"):
        method_space(hyperparameters(), "magic", "features")


def test_commands_know_all_methods_by_name():
    assert set(TITLES) == {*PENALTIES, *DISTANCES}
    for name in DISTANCES:
        assert Method(name, {}, None).loss() is None


@pytest.mark.parametrize("method", ["cka", "transport", "alignment"])
def test_a_weight_of_zero_is_refused_not_searched(method):
    with pytest.raises(ValueError, match="weight"):
        method_space(hyperparameters(), method, "features", weight=0.0)
    with pytest.raises(ValueError, match="strength"):
        strength_space(hyperparameters(), 0.0)


def test_drawn_values_lie_in_their_ranges_and_repeat_with_the_seed():
    def space(hp):
        return method_space(hp, "transport", "features")

    draws = [random_values(space, seed) for seed in range(20)]
    assert draws[0] == random_values(space, 0)
    weights = [values["transport/weight"] for values in draws]
    assert len(set(weights)) == 20
    assert 0.01 <= min(weights) < 0.1 < 10.0 < max(weights) <= 100.0
    found = space(hyperparameters(draws[0]))
    assert found.weight == weights[0]
    assert found.loss.get_config()["cost"] == draws[0]["transport/cost"]
