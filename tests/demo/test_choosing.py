import dataclasses

import pytest

from keras_otreg.demo import networks
from keras_otreg.demo.choosing import chosen_strength
from keras_otreg.demo.methods import all_methods


def method_named(name, settings):
    methods = all_methods(networks.wide(settings), settings)
    return next(x for x in methods if x.name == name)


@pytest.mark.slow
def test_a_strength_is_chosen_without_the_test_set(task, settings):
    settings = dataclasses.replace(settings, strengths=(0.5, 2.0))
    blind = dataclasses.replace(task, test=None, source_test=None)
    steps = []
    strength = chosen_strength(
        method_named("identity plan", settings),
        blind,
        settings,
        lambda: steps.append(1),
    )
    assert strength in settings.strengths
    assert len(steps) == 2


def test_without_strengths_to_choose_from_the_default_is_taken(task, settings):
    method = method_named("L2-SP", settings)
    assert method.default > 0.0
    strength = chosen_strength(method, task, settings, None)
    assert strength == method.default


def test_a_method_without_a_regulariser_has_no_strength(task, settings):
    settings = dataclasses.replace(settings, strengths=(0.5, 2.0))
    method = method_named("from scratch", settings)
    assert chosen_strength(method, task, settings, None) is None


def test_no_draw_is_used_both_to_choose_and_to_report(settings):
    chosen = set(settings.choosing_seeds)
    assert chosen
    assert not chosen & set(settings.reported_seeds)
