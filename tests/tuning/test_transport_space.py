import pytest
from keras_tuner import HyperParameters

from keras_otreg.tuning import transport_space


def drawn(values):
    """The hyperparameters of a trial for which a tuner drew some values."""
    trial = HyperParameters()
    trial.values = dict(values)
    return trial


def test_the_defaults_are_inside_their_ranges(hp):
    penalty = transport_space(hp)
    assert (penalty.at, penalty.teacher_at) == ("avg_pool", "avg_pool")
    assert penalty.weight == pytest.approx(1.0)
    assert penalty.loss.epsilon == pytest.approx(0.05)
    assert penalty.loss.cost.__name__ == "euclidean"
    assert penalty.loss.plan_name == "transport"
    assert penalty.name == "transport"


def test_strengths_are_searched_on_a_logarithmic_scale(hp):
    transport_space(hp, "avg_pool", weight=(1e-2, 1e2))
    spaces = {space.name: space for space in hp.space}
    for name in ("transport/weight", "transport/epsilon"):
        assert spaces[name].sampling == "log"
    weight = spaces["transport/weight"]
    assert (weight.min_value, weight.max_value) == (1e-2, 1e2)
    assert weight.prob_to_value(0.5) == pytest.approx(1.0)


def test_a_penalty_is_what_the_trial_says():
    values = {
        "near/at": "b",
        "near/weight": 3.0,
        "near/cost": "euclidean",
        "near/epsilon": 0.02,
    }
    penalty = transport_space(
        drawn(values), ["a", "b"], cost=["cosine", "euclidean"], name="near"
    )
    assert (penalty.at, penalty.weight, penalty.name) == ("b", 3.0, "near")
    assert penalty.loss.cost.__name__ == "euclidean"
    assert penalty.loss.epsilon == 0.02


def test_one_value_is_not_searched(hp):
    penalty = transport_space(
        hp, "a", weight=2, epsilon=0.5, cost="cosine", plan="uniform"
    )
    assert (penalty.weight, penalty.loss.plan_name) == (2.0, "uniform")
    penalty = transport_space(HyperParameters(), "a", epsilon=0.5)
    assert penalty.loss.epsilon == 0.5
    for space in hp.space:
        assert len(set(getattr(space, "values", [space.default]))) == 1


def test_epsilon_is_searched_only_for_the_transport_plan(hp):
    plans = ["uniform", "transport"]
    transport_space(hp, "a", plan=plans)
    assert "transport/epsilon" not in hp.values
    trial = drawn({"transport/plan": "transport"})
    transport_space(trial, "a", plan=plans, epsilon=(0.1, 0.4))
    assert trial.values["transport/epsilon"] == pytest.approx(0.2)


def test_layers_of_the_teacher_may_have_other_paths(hp):
    at = {"pool": "backbone/pool", "stage3": "backbone/stage5"}
    first = transport_space(hp, at)
    assert (first.at, first.teacher_at) == ("pool", "backbone/pool")
    second = transport_space(drawn({"transport/at": "stage3"}), at)
    assert (second.at, second.teacher_at) == ("stage3", "backbone/stage5")


def test_two_spaces_in_one_search_have_names_of_their_own(hp):
    for name in ("low", "high"):
        transport_space(hp, f"{name}_stage", name=name)
    assert len({space.name for space in hp.space}) == len(hp.space) == 10
    assert hp.values["low/at"] == "low_stage"
    assert hp.values["high/at"] == "high_stage"


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (0.0, "above 0.*weight=0.0"),
        ((0.0, 1.0), r"above 0.*weight\[0\]=0.0"),
        ((2.0, 1.0), r"at least 2, the lower end.*weight\[1\]=1.0"),
        ((1.0, 2.0, 3.0), "lowest, highest"),
        ("strong", "weight='strong'"),
    ],
)
def test_a_wrong_range_is_refused(hp, weight, message):
    with pytest.raises(ValueError, match=message):
        transport_space(hp, "a", weight=weight)


@pytest.mark.parametrize("at", [[], {}, 3, None, "", ["a", 3]])
def test_a_place_is_needed(hp, at):
    with pytest.raises(ValueError, match="`at`.*path of.*Received: at="):
        transport_space(hp, at)
