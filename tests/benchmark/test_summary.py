import dataclasses

import numpy as np
import pytest

from keras_otreg.benchmark.accuracy.cells import Cell, Cells, write_cells
from keras_otreg.benchmark.accuracy.findings import findings
from keras_otreg.benchmark.accuracy.summary import (
    Summary,
    mean_ranks,
    summaries,
)
from keras_otreg.benchmark.accuracy.tables import (
    duels,
    rank_table,
    task_table,
)
from keras_otreg.experiments.intervals import interval

NOISE = np.array([0.01, -0.01, 0.0, 0.02, -0.02])


def summary(task, method, mean, gain=0.0, validation=0.5, strength=None):
    return Summary(
        task=task,
        method=method,
        strength=strength,
        validation=validation,
        tests=mean + NOISE,
        gain=interval(gain + NOISE),
        entropy=0.3 if method == "transport" else None,
        moved=None,
    )


@pytest.mark.parametrize(
    ("gain", "verdict"), [(0.1, "better"), (0.0, "level"), (-0.1, "worse")]
)
def test_an_interval_says_on_which_side_of_zero_it_is(gain, verdict):
    found = interval(gain + NOISE)
    assert found.verdict == verdict
    assert found.low < gain < found.high
    np.testing.assert_allclose(found.mean, gain, atol=1e-9)


def test_an_interval_of_the_bootstrap_has_the_width_of_its_theory():
    values = np.random.default_rng(0).normal(size=400)
    found = interval(values)
    width = 2 * 1.96 * values.std() / np.sqrt(len(values))
    np.testing.assert_allclose(found.high - found.low, width, rtol=0.05)


@pytest.mark.parametrize("seeds", [1, 2, 4])
def test_from_few_seeds_nothing_follows(seeds):
    found = interval(np.full(seeds, 0.3))
    assert found.verdict == "level"
    assert (found.mean, found.high) == (0.3, np.inf)


def test_equal_differences_have_an_interval_of_no_width():
    found = interval(np.full(5, 0.25))
    assert (found.low, found.high) == (0.25, 0.25)


FOUND = [
    summary("easy", "plain", 0.7, validation=0.6),
    summary("easy", "transport", 0.8, 0.1, validation=0.9),
    summary("easy", "hint", 0.75, 0.05, validation=0.7),
    summary("hard", "plain", 0.7, validation=0.8),
    summary("hard", "transport", 0.5, -0.2, validation=0.4),
]


def test_ranks_are_shares_of_the_methods_of_a_task():
    assert mean_ranks(FOUND, "validation") == {
        "hint": (0.5, 1),
        "plain": (0.5, 2),
        "transport": (0.5, 2),
    }


def test_ties_share_a_rank():
    tied = [summary("easy", name, 0.5) for name in "ab"]
    assert mean_ranks(tied, "validation") == {"a": (0.5, 1), "b": (0.5, 1)}


def test_two_methods_meet_on_the_tasks_of_both():
    assert [x.verdict for x in duels(FOUND, "transport", "hint")] == ["better"]
    assert len(list(duels(FOUND, "transport", "plain"))) == 2


def test_a_task_table_is_in_the_order_of_the_test_accuracy():
    rows = task_table(FOUND[:3], "plain").splitlines()[2:]
    names = [row.split(" | ")[0].strip("| ") for row in rows]
    assert names == ["transport", "hint", "plain"]
    assert "+0.100 [" in rows[0]
    assert "+0.000" not in rows[2]


def test_a_rank_table_has_every_method_once():
    assert len(rank_table(FOUND, "transport").splitlines()) == 2 + 3


@pytest.fixture
def comparison(toy):
    protocol = dataclasses.replace(toy.protocol, shown="transport")
    (edged,) = (x for x in toy.methods if x.name == "uniform plan")
    methods = [*toy.methods, dataclasses.replace(edged, name="transport")]
    return dataclasses.replace(toy, protocol=protocol, methods=methods)


def test_losses_are_said_as_plainly_as_wins(comparison):
    text = " ".join(
        findings(comparison, [x for x in FOUND if x.method != "hint"])
    )
    assert "above zero on 1 of 2 tasks: easy" in text
    assert "below zero on 1 of 2 tasks: hard" in text
    assert "easy: transport has the highest mean of all" in text
    assert "hard: plain has the highest mean" in text
    assert "it is behind" in text
    assert "entropy of its plan is 0.30" in text


def test_more_methods_can_be_counted_in_words(comparison):
    found = [
        dataclasses.replace(x, method=x.method.replace("hint", "uniform plan"))
        for x in FOUND
    ]
    sentence = "The interval of uniform plan minus plain"
    assert sentence not in " ".join(findings(comparison, found))
    protocol = dataclasses.replace(comparison.protocol, also=("uniform plan",))
    comparison = dataclasses.replace(comparison, protocol=protocol)
    assert sentence in " ".join(findings(comparison, found))


def test_a_strength_at_the_edge_of_its_grid_is_named(comparison):
    inside = summary("toy", "plain", 0.5)
    edge = summary("toy", "transport", 0.5, strength=10.0)
    text = " ".join(findings(comparison, [inside, edge]))
    assert "1 of 1 chosen strengths" in text
    assert "transport 1" in text


def test_forms_of_one_loss_are_ranked_where_all_of_them_were_tried(comparison):
    found = [
        summary("toy", "transport", 0.5, validation=0.6),
        summary("toy", "uniform plan", 0.9, validation=0.5),
        summary("toy", "plain", 0.9, validation=0.9),
        summary("other", "transport", 0.5),
    ]
    text = " ".join(findings(comparison, found))
    assert "over toy: transport 0.00, uniform plan 1.00." in text


def test_forms_are_ranked_anew_where_more_of_them_were_tried(comparison):
    methods = [
        dataclasses.replace(x, loss="RepresentationTransport", needs=())
        for x in comparison.methods
    ]
    comparison = dataclasses.replace(comparison, methods=tuple(methods))
    names = [x.name for x in methods][:3]
    # The last of three methods was not tried on the first of two tasks.
    found = [
        summary(task, name, 0.5, validation=0.9 - 0.1 * place)
        for task, few in (("first", 2), ("second", 3))
        for place, name in enumerate(names[:few])
    ]
    text = " ".join(findings(comparison, found))
    one, two, three = names
    assert f"over first, second: {one} 0.00, {two} 1.00." in text
    assert f"over second: {one} 0.00, {two} 0.50, {three} 1.00." in text


def test_the_best_of_the_others_is_held_against_what_is_looked_at(comparison):
    found = [
        summary(f"task {k}", name, mean)
        for k in range(5)
        for name, mean in (("plain", 0.5), ("transport", 0.6), ("frozen", 0.7))
    ]
    text = " ".join(findings(comparison, found[:-1]))
    # Not tried on all of them, frozen features are no rival.
    assert "tried on all of them is plain" in text
    assert "of transport minus its own is -0.600 [" in text
    assert "less is better: it is ahead." in text


def test_a_choice_that_is_not_finished_counts_for_nothing(toy, tmp_path):
    (method,) = (x for x in toy.methods if x.name == "uniform plan")
    (plain,) = (x for x in toy.methods if x.name == "plain")
    task = toy.tasks[0]

    def cells(method, phase, seeds, strengths):
        return [
            Cell(
                task.name,
                method.name,
                phase,
                seed,
                strength,
                toy.key(task, method),
                0.5,
                0.5,
            )
            for seed in seeds
            for strength in strengths
        ]

    seeds, first = toy.reported_seeds(task), method.strengths[:1]
    done = [
        *cells(plain, "report", seeds, [None]),
        *cells(method, "report", seeds, first),
    ]
    path = tmp_path / "cells.csv"
    for strengths, counted in ((first, 1), (method.strengths, 2)):
        tried = cells(method, "trial", toy.choosing_seeds(task), strengths)
        write_cells([*done, *tried], path)
        assert len(summaries(toy, Cells(path))) == counted
