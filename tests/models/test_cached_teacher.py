import keras
import numpy as np
import pytest

import keras_otreg as otreg
from keras_otreg.models import parts
from keras_otreg.models.parts import joined, split

PATHS = ["backbone/features", "backbone/hidden"]


@pytest.fixture
def counter(counter_class):
    return counter_class()


@pytest.fixture
def model(make_network, compiled, counter):
    """Two penalties between a student and a teacher that counts its runs."""
    teacher = make_network(name="teacher", counter=counter)
    penalties = [
        otreg.Penalty(
            otreg.losses.RepresentationTransport(), at=path, name=f"p{k}"
        )
        for k, path in enumerate(PATHS)
    ]
    model = otreg.TransferModel(make_network(), teacher, penalties)
    return compiled(model, metrics=["accuracy"])


@pytest.fixture
def cached(model, samples):
    """What the teacher returns for the samples."""
    _, found = otreg.features.capture(model.teacher, samples[0], PATHS)
    return {
        path: keras.ops.convert_to_numpy(value) for path, value in found.items()
    }


counts = pytest.mark.skipif(
    keras.backend.backend() == "jax",
    reason="in a compiled step of JAX a frozen network keeps no count",
)


def rows(cached, part):
    return {path: value[part] for path, value in cached.items()}


@counts
@pytest.mark.release
def test_the_teacher_does_not_run_for_what_is_known(
    model, samples, cached, counter
):
    x, y = samples
    before = int(counter.calls.numpy())
    step = parts.with_cached(x, cached)
    model.fit(step, y, batch_size=11, epochs=2, verbose=0)
    model.evaluate(step, y, batch_size=11, verbose=0)
    assert int(counter.calls.numpy()) == before
    model.evaluate(x, y, batch_size=11, verbose=0)
    assert int(counter.calls.numpy()) == before + 2


@pytest.mark.release
def test_what_is_cached_counts_as_what_is_computed(model, samples, cached):
    x, y = samples
    weight = np.linspace(0.0, 2.0, len(x))
    live, carried = (
        model.evaluate(
            step, y, sample_weight=weight, verbose=0, return_dict=True
        )
        for step in (x, parts.with_cached(x, cached))
    )
    assert carried == pytest.approx(live, rel=1e-5)
    assert live["p0"] > 0.0


@counts
@pytest.mark.release
def test_unlabelled_samples_carry_theirs(model, samples, cached, counter):
    x, y = samples
    first, others = slice(11), slice(11, None)
    live = parts.with_extra(x[first], x[others])
    carried = parts.with_extra(
        parts.with_cached(x[first], rows(cached, first)),
        parts.with_cached(x[others], rows(cached, others)),
    )
    before = int(counter.calls.numpy())
    logs = [
        model.evaluate(step, y[first], verbose=0, return_dict=True)
        for step in (carried, live)
    ]
    assert int(counter.calls.numpy()) == before + 1
    assert logs[0] == pytest.approx(logs[1], rel=1e-5)


@pytest.mark.release
def test_predict_takes_the_inputs_and_leaves_the_rest(model, samples, cached):
    x, _ = samples
    np.testing.assert_array_equal(
        model.predict(parts.with_cached(x, cached), verbose=0),
        model.predict(x, verbose=0),
    )


@pytest.mark.slow
def test_activations_of_other_layers_are_refused(model, samples, cached):
    x, y = samples
    step = parts.with_cached(x, {PATHS[0]: cached[PATHS[0]]})
    with pytest.raises(ValueError, match=r"without \['backbone/hidden'\]"):
        model.evaluate(step, y, verbose=0)


@pytest.mark.release
def test_a_model_without_penalties_trains_on_the_inputs(
    make_network, compiled, samples, cached
):
    x, y = samples
    model = compiled(otreg.TransferModel(make_network()))
    live = model.evaluate(x, y, verbose=0)
    step = parts.with_cached(x, cached)
    assert model.evaluate(step, y, verbose=0) == pytest.approx(live)


def test_inputs_that_happen_to_be_a_dictionary_are_inputs():
    inputs = {"otreg_inputs": np.ones((2, 3)), "mask": np.ones((2, 3))}
    parts = split(inputs)
    assert parts.target is inputs
    assert parts.cached is None
    assert keras.tree.is_nested(
        joined(parts.target, parts.unlabelled, parts.source)
    )


@pytest.mark.release
def test_a_model_without_a_teacher_takes_such_data_too(
    make_network, compiled, model, samples
):
    data = otreg.data.with_teacher(samples, model, batch_size=11)
    plain = compiled(otreg.TransferModel(make_network()))
    assert np.isfinite(plain.fit(data, verbose=0).history["loss"]).all()
