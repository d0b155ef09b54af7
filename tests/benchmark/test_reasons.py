import dataclasses

import numpy as np
import pytest

from keras_otreg.benchmark.accuracy.reasons import reasons
from keras_otreg.benchmark.accuracy.summary import Summary
from keras_otreg.experiments.intervals import interval

NOISE = np.array([0.01, -0.01, 0.0, 0.02, -0.02])
PLAIN = 0.7


def summary(method, mean, entropy=None):
    return Summary(
        task="toy",
        method=method,
        strength=None,
        validation=0.5,
        tests=mean + NOISE,
        gain=interval(mean - PLAIN + NOISE[::-1]),
        entropy=entropy,
        moved=None,
    )


@pytest.fixture
def comparison(toy):
    """The toy, in which a method with a plan of its own is looked at."""
    (uniform,) = (x for x in toy.methods if x.name == "uniform plan")
    transport = dataclasses.replace(uniform, name="transport", arguments={})
    return dataclasses.replace(
        toy,
        protocol=dataclasses.replace(toy.protocol, shown="transport"),
        methods=(*toy.methods, transport),
    )


def said(comparison, *others, entropy=0.3):
    group = [summary("plain", PLAIN), summary("transport", 0.75, entropy)]
    return "; ".join(reasons(comparison, [*group, *others]))


def test_of_what_was_not_measured_nothing_is_said(comparison):
    assert said(comparison) == ""


@pytest.mark.parametrize(
    ("mean", "verdict"),
    [
        (0.65, "letting neurons move helps (minus identity plan +0.100"),
        (0.75, "letting neurons move makes no difference that shows"),
        (0.85, "letting neurons move costs (minus identity plan -0.100"),
    ],
)
def test_a_plan_is_held_against_the_identity(comparison, mean, verdict):
    assert verdict in said(comparison, summary("identity plan", mean))


def test_a_plan_is_held_against_one_that_knows_nothing(comparison):
    text = said(comparison, summary("uniform plan", 0.8))
    assert text.startswith("knowing which neuron is which costs (minus uniform")


def test_forms_at_other_layers_are_no_controls(comparison):
    methods = [
        dataclasses.replace(x, at="everywhere") if x.loss else x
        for x in comparison.methods[:-1]
    ]
    comparison = dataclasses.replace(
        comparison, methods=(*methods, comparison.methods[-1])
    )
    assert not said(comparison, summary("uniform plan", 0.8))


def test_a_teacher_of_little_use_is_named(comparison):
    text = said(comparison, summary("frozen", 0.6))
    assert "is below (frozen minus plain -0.100 [" in text
    assert not said(comparison, summary("frozen", 0.72))


def test_a_plan_that_says_nothing_is_named(comparison):
    assert "nearly uniform" in said(comparison, entropy=0.97)
