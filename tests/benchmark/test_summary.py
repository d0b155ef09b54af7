import numpy as np
import pytest

from keras_otreg.benchmark.cells import Cell, Cells, write_cells
from keras_otreg.benchmark.comparison import Choice
from keras_otreg.benchmark.report import (
    Summary,
    as_markdown,
    differences,
    mean_ranks,
    summaries,
)
from keras_otreg.experiments.statistics import interval

NOISE = np.array([0.01, -0.01, 0.0, 0.02, -0.02])


def summary(task, method, mean, validation=0.5, strength=None):
    noise = NOISE if method == "plain" else NOISE[::-1]
    choice = Choice(strength, None, strength != 10.0)
    return Summary(task, method, choice, validation, mean + noise)


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


def test_few_seeds_have_no_interval_and_equal_ones_one_of_no_width():
    found = interval(np.full(4, 0.3))
    assert (found.verdict, found.mean, found.high) == ("level", 0.3, np.inf)
    assert str(found) == "+0.300"
    found = interval(np.full(5, 0.25))
    assert str(found) == "+0.250 [+0.250, +0.250]"


FOUND = [
    summary("toy", "plain", 0.7, validation=0.6),
    summary("toy", "uniform plan", 0.8, 0.9, strength=10.0),
    summary("toy", "identity plan", 0.75, 0.7, strength=1.0),
    summary("narrow", "plain", 0.7, validation=0.8),
    summary("narrow", "uniform plan", 0.5, 0.4, strength=0.1),
]


def test_ranks_are_shares_of_the_methods_of_a_task_and_ties_share_one():
    assert mean_ranks(FOUND, "validation") == {
        "identity plan": (0.5, 1),
        "plain": (0.5, 2),
        "uniform plan": (0.5, 2),
    }
    tied = [summary("toy", name, 0.5) for name in "ab"]
    assert mean_ranks(tied, "validation") == {"a": (0.5, 1), "b": (0.5, 1)}


def test_two_methods_meet_on_the_tasks_of_both():
    found = differences(FOUND, "identity plan")
    assert [*found] == [("toy", "plain"), ("toy", "uniform plan")]
    assert len(differences(FOUND, "plain")) == 3


def test_the_tables_say_what_is_better_and_what_worse(toy):
    parts = as_markdown(toy, FOUND)
    best, second, last = parts[2].splitlines()[2:]
    # In the order of the test accuracy; a star at the end of what was tried.
    assert best.startswith("| uniform plan | 10* | 0.900 | 0.800 ± ")
    assert " | +0.100 [" in best
    assert best.endswith(" |  |")
    assert second.startswith("| identity plan | 1 | ")
    assert second.endswith(" | -0.050 [-0.050, -0.050] |")
    assert last.startswith("| plain |  | 0.600 | 0.700 ± ")
    rows = dict(row[2:].split(" | ", 1) for row in parts[-1].splitlines()[2:])
    assert rows["uniform plan"] == "2 | 0.50 | 0.50 | 1 / 0 / 1 |  |"
    assert rows["plain"] == "2 | 0.50 | 0.50 |  | 1 / 0 / 1 |"
    assert len(rows) == 3


def test_a_choice_that_is_not_finished_counts_for_nothing(toy, tmp_path):
    (method,) = (x for x in toy.methods if x.name == "uniform plan")
    (plain,) = (x for x in toy.methods if x.name == "plain")
    task = toy.tasks[1]

    def cells(method, phase, seeds, strengths):
        key = toy.key(task, method)
        return [
            Cell(
                *(task.name, method.name, phase, seed, strength, None, key),
                *(0.5, 0.5),
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
