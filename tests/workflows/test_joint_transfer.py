import numpy as np
import pytest

from keras_otreg.workflows.joint_transfer import NAMED, near_classes


def test_the_nearest_source_classes_come_first_with_their_target():
    costs = np.ones((12, 2))
    costs[7, 1] = costs[2, 0] = 0.0
    costs[5, 1] = 0.8
    names = [f"source {k}" for k in range(12)]
    found = near_classes(costs, names, ["cat", "dog"])
    assert len(found) == NAMED
    assert {x["source"] for x in found[:2]} == {"source 2", "source 7"}
    targets = {x["source"]: x["target"] for x in found}
    assert targets["source 2"] == "cat"
    assert targets["source 7"] == "dog"
    assert found[2]["source"] == "source 5"
    shares = [x["share"] for x in found]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1.0, abs=0.05)
