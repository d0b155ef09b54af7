"""What the measurement of labels draws, and what the guide says of it."""

import pathlib
import re

import labelling
import numpy as np
import pytest

DOCS = pathlib.Path(__file__).parents[2] / "docs"


@pytest.fixture
def data(rng):
    y = np.repeat(np.arange(4), 40)
    return {"train": (rng.normal(size=(160, 3)) + np.eye(4)[y][:, :3], y)}


@pytest.mark.parametrize("kind", ["equal", "random", "unequal"])
def test_no_labelled_sample_is_among_the_others(data, kind):
    draw = labelling.drawn(data, labelling.Task("toy", 3, kind), 0)
    assert len(draw.x) == 12
    both = np.concatenate([draw.x, draw.more])
    assert len(np.unique(both, axis=0)) == len(both)
    counts = np.bincount(draw.truth)
    if kind == "unequal":
        assert sorted(counts) == [4, 8, 17, 37]
    else:
        assert counts.sum() == 148
    assert set(draw.y) == {0, 1, 2, 3}


def test_bounded_shares_sum_to_one_and_lie_within(data, rng):
    draw = labelling.drawn(data, labelling.Task("toy", 3), 0)
    shares = labelling.within_bounds(draw, rng.dirichlet(np.full(4, 0.3), 50))
    assert shares.sum() == pytest.approx(1.0)
    assert (shares > 0.05).all()


def test_the_numbers_of_the_guide_are_those_of_the_tables():
    guide, tables = (
        (DOCS / "pages" / f"{name}.md").read_text(encoding="utf-8")
        for name in ("unlabelled", "results_labels")
    )
    found = re.findall(r"[+-]?0\.\d{3}(?: \[.*?\])?", guide)
    assert len(found) > 40
    missing = [x for x in found if x not in tables]
    assert not missing
