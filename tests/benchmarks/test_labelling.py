"""What the measurement of labels draws, and what the guide says of it."""

import pathlib
import re

import consistency
import labelling
import labelling_tasks
import labelling_ways
import numpy as np
import pytest
import upper_layers

DOCS = pathlib.Path(__file__).parents[2] / "docs"


@pytest.fixture
def data(rng):
    y = np.repeat(np.arange(4), 40)
    return {"train": (rng.normal(size=(160, 3)) + np.eye(4)[y][:, :3], y)}


@pytest.mark.parametrize("kind", ["equal", "random", "unequal"])
def test_no_labelled_sample_is_among_the_others(data, kind):
    draw = labelling_tasks.drawn(data, labelling_tasks.Task("toy", 3, kind), 0)
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
    draw = labelling_tasks.drawn(data, labelling_tasks.Task("toy", 3), 0)
    shares = labelling_ways.within_bounds(
        draw, rng.dirichlet(np.full(4, 0.3), 50)
    )
    assert shares.sum() == pytest.approx(1.0)
    assert (shares > 0.05).all()


def test_a_round_sees_the_validation_pictures_by_the_head_before_it(data):
    data |= {"validation": data["train"], "test": data["train"]}
    task, seen = labelling_tasks.Task("toy", 3), []

    def watch(draw, p, number):
        seen.append(draw.held)
        return labelling_ways.truth(draw, p, number)

    fewer = labelling_ways.of_fewer(watch, 2)
    labelling.accuracies(data, task, 0, 0.1, watch)
    labelling.accuracies(data, task, 0, 0.1, fewer)
    x, y = data["validation"]
    first = labelling_tasks.solved(labelling_tasks.drawn(data, task, 0), 0.1)
    expected = labelling_tasks.predicted(first, x)
    np.testing.assert_allclose(seen[0][0], expected)
    np.testing.assert_array_equal(seen[0][1], y)
    assert np.abs(seen[1][0] - expected).max() > 0.01
    assert [len(labels) for _, labels in seen[3:]] == [8, 8, 8]
    np.testing.assert_array_equal(seen[3][1], seen[5][1])


def test_views_count_as_much_as_the_plain_pictures_together(data, rng):
    x, y = data["train"]
    draw = labelling_tasks.drawn(data, labelling_tasks.Task("toy", 3), 0)
    # Of views that are the same, the head is that of the plain pictures.
    views = np.stack([x, x])
    both = draw.augmented(views)
    assert both.x.shape == (36, 3)
    np.testing.assert_array_equal(both.more[148:296], draw.more)
    assert draw.augmented(views, both=False).x.shape == (12, 3)
    labels, weight = np.eye(4)[draw.truth], rng.uniform(size=148)
    one, other = (
        labelling_tasks.solved(each, 0.1, labels, weight)
        for each in (draw, both)
    )
    np.testing.assert_allclose(other, one, atol=1e-4)


def test_flexmatch_asks_less_of_classes_that_are_learned_less():
    latest = np.array([0, 0, 0, 0, 1, 1, 2, -1])
    np.testing.assert_allclose(
        consistency.learned(latest, 4), [1.0, 1 / 3, 1 / 7, 0.0]
    )
    # As long as few are sure, it asks little of all.
    few = consistency.learned(np.array([0, -1, -1, -1, -1]), 2)
    np.testing.assert_allclose(few, [1 / 7, 0.0])


@pytest.mark.parametrize("method", ["FixMatch", "FlexMatch"])
def test_matched_heads_learn_from_views_above_the_threshold_alone(data, method):
    x, y = data["train"]
    draw = labelling_tasks.drawn(data, labelling_tasks.Task("toy", 3), 0)
    start = labelling_tasks.solved(draw, 0.1)

    def trained(threshold):
        setting = consistency.Setting(method, threshold, 0.03)
        views = x[None, draw.rest]
        return consistency.trained(draw, views, 0.1, start, setting, 0)

    # A solved head stays where no label counts.
    if method == "FixMatch":
        for found in trained(1.0):
            np.testing.assert_allclose(found, start, atol=1e-3)
    last, averaged = trained(0.3)
    assert np.abs(last - start).max() > 0.05
    assert np.abs(averaged - last).max() < np.abs(last - start).max()


def test_the_rate_is_the_best_in_validation_on_the_first_draws():
    task = labelling_tasks.Task("toy", 3)

    def best(*validation):
        cells = {
            (str(task), labelling.TRAINED.format(labelling.HEAD, rate), seed): [
                value,
                1.0 - value,
            ]
            for rate, values in zip(upper_layers.RATES, validation, strict=True)
            for seed, value in enumerate(values)
        }
        return labelling.best_rate(task, labelling.HEAD, cells)

    assert best((0.6, 0.5), (0.7, 0.6, 0.0), (0.5, 0.7, 0.9)) == 3e-4
    # Of equals the smallest.
    assert best((0.6, 0.5), (0.5, 0.6), (0.5, 0.5)) == 1e-4


@pytest.mark.release
def test_upper_layers_start_anew_and_end_in_their_best_round(rng, monkeypatch):
    monkeypatch.setattr(upper_layers, "STEPS", 5)
    kinds = rng.normal(size=(3, 1, 1, 320))

    def part(n):
        y = np.arange(n) % 3
        x = kinds[y] + rng.normal(size=(n, 4, 4, 320))
        return x.astype("float32"), y

    parts = {"train": part(60), "validation": part(30), "test": part(12)}
    x, y = parts["train"]
    data = {"train": (x[:, 0, 0], y)}
    draw = labelling_tasks.drawn(data, labelling_tasks.Task("toy", 3), 0)
    layers = upper_layers.UpperLayers(parts, 3)
    head = rng.normal(size=(1281, 3)) / 100.0

    x, y = parts["validation"]

    def trained(shares):
        layers.restart(head, 1e-3)
        first = layers.network.evaluate(x, np.eye(3)[y], verbose=0)[1]
        found, weights = layers.trained(draw, 0, shares)
        reached = labelling.scores(found, weights)
        assert reached[0] >= first - 1e-6
        assert np.abs(weights - head).max() > 1e-4
        return reached

    alone, known = trained(None), trained([1 / 3] * 3)
    assert alone != known
    np.testing.assert_allclose(trained(None), alone, atol=1e-3)


def test_the_numbers_of_the_guide_are_those_of_the_tables():
    guide, tables = (
        (DOCS / "pages" / f"{name}.md").read_text(encoding="utf-8")
        for name in ("unlabelled", "results_labels")
    )
    found = re.findall(r"[+-]?0\.\d{3}(?: \[.*?\])?", guide)
    assert len(found) > 40
    missing = [x for x in found if x not in tables]
    assert not missing
