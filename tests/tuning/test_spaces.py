import keras_tuner
import pytest
from keras_tuner import HyperParameters

from keras_otreg.losses import RepresentationTransport, TransportAlignment
from keras_otreg.ot import costs
from keras_otreg.tuning import alignment_space, at_each, transport_space

BOTH = pytest.mark.parametrize("space", [transport_space, alignment_space])


def drawn(values):
    """The hyperparameters of a trial for which a tuner drew some values."""
    trial = HyperParameters()
    trial.values = dict(values)
    return trial


@pytest.mark.parametrize(
    ("space", "kind", "name", "weight", "epsilon"),
    [
        (transport_space, RepresentationTransport, "transport", 1.0, 0.05),
        (alignment_space, TransportAlignment, "alignment", 10.0, 0.2**0.5),
    ],
)
def test_the_defaults_are_the_middles_of_logarithmic_ranges(
    hp, space, kind, name, weight, epsilon
):
    penalty = space(hp)
    assert isinstance(penalty.loss, kind)
    assert (penalty.at, penalty.teacher_at) == ("avg_pool", "avg_pool")
    assert penalty.weight == pytest.approx(weight)
    assert penalty.loss.epsilon == pytest.approx(epsilon)
    assert penalty.name == name
    spaces = {space.name: space for space in hp.space}
    for searched in ("weight", "epsilon"):
        assert spaces[f"{name}/{searched}"].sampling == "log"


def test_the_ends_of_a_range_are_as_they_were_given(hp):
    transport_space(hp, "avg_pool", weight=(1e-2, 1e2))
    (weight,) = [x for x in hp.space if x.name == "transport/weight"]
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
    assert penalty.loss.cost == costs.euclidean
    assert penalty.loss.epsilon == 0.02


@BOTH
def test_one_value_is_not_searched(hp, space):
    penalty = space(hp, {"a": "b"}, weight=2, epsilon=0.7, name="near")
    assert (penalty.at, penalty.teacher_at) == ("a", "b")
    assert (penalty.weight, penalty.loss.epsilon) == (2.0, 0.7)
    searched = {
        each.name
        for each in hp.space
        if len(set(getattr(each, "values", [each.default]))) > 1
    }
    assert searched == ({"near/cost"} if space is transport_space else set())


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
    pairs = [(penalty.at, penalty.teacher_at) for penalty in at_each(hp, at)]
    assert pairs == list(at.items())


def test_spaces_in_one_search_have_names_of_their_own(hp):
    for name in ("low", "high"):
        transport_space(hp, f"{name}_stage", name=name)
    alignment_space(hp)
    assert len({space.name for space in hp.space}) == len(hp.space) == 13
    assert hp.values["low/at"] == "low_stage"
    assert hp.values["high/at"] == "high_stage"


def test_one_strength_acts_at_all_layers(hp):
    hp.values = {"alignment/weight": 30.0, "alignment/epsilon": 0.3}
    low, high = at_each(hp, ["low", "stage/high"], alignment_space)
    assert (low.at, high.at) == ("low", "stage/high")
    assert (low.teacher_at, high.teacher_at) == ("low", "stage/high")
    assert low.name == "alignment_low"
    assert high.name == "alignment_stage_high"
    assert hp.values["alignment/at"] == "low + stage/high"
    for penalty in (low, high):
        assert penalty.weight == 30.0
        assert isinstance(penalty.loss, TransportAlignment)
        assert penalty.loss.epsilon == 0.3


def test_transport_is_the_space_if_none_is_given(hp):
    (penalty,) = at_each(hp, "pool", weight=2.0, name="near")
    assert isinstance(penalty.loss, RepresentationTransport)
    assert (penalty.at, penalty.weight) == ("pool", 2.0)
    assert all(space.name.startswith("near/") for space in hp.space)


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
@BOTH
def test_a_wrong_range_is_refused(hp, space, weight, message):
    with pytest.raises(ValueError, match=message):
        space(hp, "a", weight=weight)
    with pytest.raises(ValueError, match=message.replace("weight", "epsilon")):
        space(keras_tuner.HyperParameters(), "a", epsilon=weight)


@pytest.mark.parametrize("space", [transport_space, alignment_space, at_each])
@pytest.mark.parametrize("at", [[], {}, 3, None, "", ["a", 3]])
def test_a_place_is_needed(hp, space, at):
    with pytest.raises(ValueError, match="`at`.*path of.*Received: at="):
        space(hp, at)
