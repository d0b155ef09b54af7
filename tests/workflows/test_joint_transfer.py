import numpy as np
import pytest

from keras_otreg import class_costs
from keras_otreg.data import PictureFiles
from keras_otreg.workflows.joint_transfer import (
    NAMED,
    drawn_by_shares,
    near_classes,
)


def test_pictures_are_drawn_by_how_near_their_class_is():
    labels = np.repeat([0, 1, 2], [600, 100, 300])
    files = PictureFiles([str(k) for k in range(1000)], labels, [*"abc"])
    costs = np.array([[1.0, 1.0], [0.0, 1.0], [1.0, 0.9]])
    drawn = drawn_by_shares(files, costs, seed=1)
    found = np.bincount(drawn.labels, minlength=3) / 1000
    np.testing.assert_allclose(found, class_costs.shares(costs), atol=0.07)
    assert [int(x) for x in drawn.paths] == sorted(map(int, drawn.paths))
    assert (labels[[int(x) for x in drawn.paths]] == drawn.labels).all()


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
