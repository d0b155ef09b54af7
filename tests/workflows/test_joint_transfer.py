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


def test_source_classes_that_give_most_come_first_with_their_target():
    plan = np.full((12, 2), 0.01)
    plan[7, 1], plan[2, 0], plan[5, 1] = 0.4, 0.3, 0.1
    names = [f"source {k}" for k in range(12)]
    found = near_classes(plan, names, ["cat", "dog"])
    assert len(found) == NAMED
    told = [(x["source"], x["target"]) for x in found[:3]]
    assert told == [
        ("source 7", "dog"),
        ("source 2", "cat"),
        ("source 5", "dog"),
    ]
    shares = [x["share"] for x in found]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == pytest.approx(0.41 / plan.sum())
