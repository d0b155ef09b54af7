import pytest

from keras_otreg.losses import RepresentationTransport, TransportAlignment
from keras_otreg.tuning import alignment_space, at_each


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


def test_layers_of_the_teacher_may_have_other_paths(hp):
    found = at_each(hp, {"pool": "backbone/pool", "low": "backbone/low"})
    pairs = [(penalty.at, penalty.teacher_at) for penalty in found]
    assert pairs == [("pool", "backbone/pool"), ("low", "backbone/low")]


@pytest.mark.parametrize("at", [[], {}, 3, None])
def test_some_layer_is_needed(hp, at):
    with pytest.raises(ValueError, match="`at`"):
        at_each(hp, at)
