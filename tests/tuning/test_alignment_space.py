import pytest

from keras_otreg.losses import TransportAlignment
from keras_otreg.tuning import alignment_space, transport_space


def test_the_defaults_are_inside_their_ranges(hp):
    penalty = alignment_space(hp)
    assert isinstance(penalty.loss, TransportAlignment)
    assert (penalty.at, penalty.teacher_at) == ("avg_pool", "avg_pool")
    assert penalty.weight == pytest.approx(10.0)
    assert penalty.name == "alignment"
    spaces = {space.name: space for space in hp.space}
    for name in ("alignment/weight", "alignment/epsilon"):
        assert spaces[name].sampling == "log"


def test_one_value_is_not_searched(hp):
    penalty = alignment_space(
        hp, {"a": "b"}, weight=2, epsilon=0.7, name="near"
    )
    assert (penalty.at, penalty.teacher_at) == ("a", "b")
    assert (penalty.weight, penalty.loss.epsilon) == (2.0, 0.7)
    for space in hp.space:
        assert space.name.startswith("near/")
        assert len(set(getattr(space, "values", [space.default]))) == 1


def test_it_stands_beside_another_space(hp):
    hp.values = {"alignment/weight": 30.0, "transport/weight": 3.0}
    assert alignment_space(hp).weight == 30.0
    assert transport_space(hp).weight == 3.0


@pytest.mark.parametrize("name", ["weight", "epsilon"])
@pytest.mark.parametrize("wrong", [0, -1.0, (1.0,), (2.0, 1.0), "much"])
def test_ranges_are_of_positive_numbers(hp, name, wrong):
    with pytest.raises(ValueError, match=name):
        alignment_space(hp, **{name: wrong})


@pytest.mark.parametrize("at", [[], {}, 3, None, "", ["a", 3]])
def test_a_place_is_needed(hp, at):
    with pytest.raises(ValueError, match="`at`.*path of.*Received: at="):
        alignment_space(hp, at)
