"""Losses on several replicas are those of one device on all samples."""

import json
import pathlib

import pytest

from keras_otreg import engine, losses

SCRIPT = pathlib.Path(__file__).with_name("on_replicas.py")
APART = ("apart", "mmd apart")
# One of each way in which replicas find out about one another.
QUICK = ("hint", "mmd", "coral", "transport")
ALL = (
    *("hint", "shrinkage", "mmd", "coral", "cka", "divergence", "alignment"),
    *("transport", "cosine", "cityblock", "positions", "a cost of the user"),
    *("sum", "sum of mmd"),
)


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("count", "names"),
    [
        (2, (*QUICK, *APART)),
        pytest.param(4, ALL, marks=pytest.mark.release),
    ],
)
def test_values_and_gradients_are_those_of_one_device(run_script, count, names):
    found = json.loads(run_script(SCRIPT, count, *names))
    assert set(found) == set(names)
    for name, (value, gradient) in found.items():
        if name in APART:
            # Each has the value of its own samples, and not by accident.
            assert value > 1e-3, name
            continue
        assert value < 1e-5, name
        assert gradient < 1e-5, name


@pytest.mark.parametrize(
    "kind", ["RepresentationTransport", "TransportAlignment", "Coral"]
)
def test_whether_replicas_work_together_is_yes_or_no(kind):
    assert getattr(losses, kind)().across_replicas
    with pytest.raises(ValueError, match="across_replicas"):
        getattr(losses, kind)(across_replicas=2)


def test_alone_nothing_is_added_up_or_joined():
    values = [1.0, 2.0]
    assert engine.all_reduce_sum(values) is values
    assert engine.all_gather(values) is values
    assert engine.unscale_loss(values) is values
    assert not engine.is_replicated()
