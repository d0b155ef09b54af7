import warnings

import pytest

import keras_otreg as otreg
from keras_otreg.callbacks import TransportMonitor
from keras_otreg.callbacks.transport_monitor import advise
from keras_otreg.losses.base import SolvedPlan

FEW = otreg.ot.Sinkhorn(max_iterations=2, accelerated=False)


def told(model, data, epochs=2):
    monitor = TransportMonitor(data)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(*data, epochs=epochs, callbacks=[monitor], verbose=0)
    texts = [str(x.message) for x in caught]
    return [x for x in texts if "plan of" in x or "solver of" in x]


@pytest.fixture
def model(make_model):
    """One penalty towards a teacher that the student has to look for."""

    def make(**settings):
        loss = otreg.losses.RepresentationTransport(**settings)
        return make_model(otreg.Penalty(loss, at="features"), teacher=5)

    return make


@pytest.mark.release
def test_a_uniform_plan_is_told_of_once_with_a_smaller_epsilon(model, data):
    (text,) = told(model(epsilon=50.0), data)
    assert "'representation_transport' is nearly uniform" in text
    assert "epsilon, 50, is too large" in text
    assert "epsilon=10" in text


@pytest.mark.release
def test_a_solver_that_gave_up_is_told_of_once_with_what_to_change(model, data):
    (text,) = told(model(epsilon=0.001, solver=FEW), data)
    assert "did not converge: after 2 iterations" in text
    assert "epsilon=0.002" in text
    assert "otreg.ot.Sinkhorn(max_iterations=20)" in text


def test_a_tolerance_below_rounding_is_told_of():
    plan = SolvedPlan(None, "neuron", 0.05, otreg.ot.Sinkhorn(tolerance=1e-9))
    numbers = {"entropy": 0.5, "marginal_error": 4e-7, "iterations": 30.0}
    with pytest.warns(UserWarning, match="rounding.*tolerance=8e-07"):
        advise("name", plan, numbers, set())


def test_a_number_of_iterations_that_was_asked_for_is_not_told_of():
    plan = SolvedPlan(None, "neuron", 0.05, otreg.ot.Sinkhorn(tolerance=0.0))
    numbers = {"entropy": 0.5, "marginal_error": 0.1, "iterations": 200.0}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        advise("name", plan, numbers, set())


def test_each_penalty_is_told_of():
    plan = SolvedPlan(None, "neuron", 50.0, otreg.ot.ProximalPoint())
    numbers = {"entropy": 0.99, "marginal_error": 0.1, "iterations": 100.0}
    given = set()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for name in ("first", "second", "first"):
            advise(name, plan, numbers, given)
    texts = [str(x.message) for x in caught]
    assert ["first" in text for text in texts] == [True, True, False, False]
    assert "otreg.ot.ProximalPoint(max_iterations=1000)" in texts[1]


def test_a_solver_of_ones_own_is_not_judged():
    plan = SolvedPlan(None, "neuron", 50.0, solver=lambda problem: None)
    numbers = {"entropy": 0.99, "marginal_error": 0.1, "iterations": 100.0}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        advise("name", plan, numbers, set())


@pytest.mark.release
@pytest.mark.parametrize("settings", [{"epsilon": 0.2}, {"plan": "uniform"}])
def test_a_good_plan_or_a_chosen_control_is_not_told_of(model, data, settings):
    assert not told(model(**settings), data, epochs=1)
