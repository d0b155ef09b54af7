import dataclasses

import pytest

from keras_otreg.demo.rows import digit_rows
from keras_otreg.demo.runner import chosen_strength
from keras_otreg.experiments import networks


@pytest.fixture
def rows(task, settings):
    """The rows of the digits by name, without a test set to look at."""
    blind = task._replace(test=None, source_test=None)

    def make(strengths):
        chosen = dataclasses.replace(settings, strengths=strengths)
        found = digit_rows(networks.wide(settings), blind, chosen)
        return {row.method.name: row for row in found}

    return make


@pytest.mark.slow
def test_a_strength_is_chosen_without_the_test_set(rows):
    row, steps = rows((0.5, 2.0))["identity plan"], []
    strength = chosen_strength(row, lambda: steps.append(1))
    assert strength in row.method.strengths == (0.5, 2.0)
    assert len(steps) == 2


def test_without_a_choice_the_default_is_taken_and_without_a_strength_none(
    rows,
):
    found = rows(())
    assert chosen_strength(found["L2-SP"], None) > 0.0
    assert chosen_strength(found["solved head"], None) is None
    assert not rows((0.5, 2.0))["solved head"].method.strengths
