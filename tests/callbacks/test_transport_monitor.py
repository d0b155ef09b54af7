import copy

import keras
import numpy as np
import pytest

import keras_otreg as otreg
from keras_otreg.callbacks import TransportMonitor

assert_allclose = np.testing.assert_allclose
OF_A_PLAN = ("marginal_error", "iterations", "entropy", "mass")


def fit(model, data, *callbacks, epochs=1, **arguments):
    """Trains in small batches; returns what was logged."""
    return model.fit(
        *data,
        batch_size=8,
        epochs=epochs,
        callbacks=list(callbacks),
        verbose=0,
        **arguments,
    ).history


def state(model):
    """All that training changes."""
    variables = [*model.variables, *model.optimizer.variables]
    return [x.numpy() for x in variables]


@pytest.fixture
def control():
    """A plan without a solver, whose graph takes the time of these tests."""
    loss = otreg.losses.RepresentationTransport(plan="uniform")
    return otreg.Penalty(loss, at="features")


@pytest.mark.slow
def test_the_logs_hold_all_numbers_of_all_terms(
    make_model, all_penalties, data
):
    logs = fit(make_model(*all_penalties), data, TransportMonitor(data))
    for name in ("representation_transport", "transport_alignment"):
        for key in (*OF_A_PLAN, "permuted", "gradient_share"):
            assert f"{name}_{key}" in logs
    assert "sinkhorn_divergence_iterations" in logs
    # The plan is between samples.
    assert "sinkhorn_divergence_permuted" not in logs
    assert "centered_kernel_alignment_entropy" not in logs
    shares = [logs[key][0] for key in logs if key.endswith("_gradient_share")]
    assert len(shares) == 5
    assert_allclose(sum(shares), 1.0, rtol=1e-6)
    assert logs["centered_kernel_alignment_gradient_share"] == [0.0]
    assert logs["transport_alignment_mass"][0] == pytest.approx(1.0, abs=1e-3)


@pytest.mark.slow
@pytest.mark.compiled
def test_training_is_the_same_to_the_last_bit(make_model, data):
    """Also what the memory of a plan overwrites in place, once compiled."""
    penalties = [
        otreg.Penalty(otreg.losses.RepresentationTransport(), "features"),
        otreg.Penalty(otreg.losses.Coral(), "norm"),
    ]
    watched, alone = make_model(*penalties), make_model(*penalties)
    assert watched.penalties[0].loss.momentum
    seen = fit(watched, data, TransportMonitor(data), epochs=2)
    logs = fit(alone, data, epochs=2)
    assert {name: seen[name] for name in logs} == logs
    for ours, theirs in zip(state(watched), state(alone), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
def test_joint_training_is_watched_and_not_changed(joint_model, make_pairs):
    watched, alone = joint_model(), joint_model()
    monitor = TransportMonitor(make_pairs())
    logs = watched.fit(make_pairs(), verbose=0, callbacks=[monitor]).history
    alone.fit(make_pairs(), verbose=0)
    for ours, theirs in zip(state(watched), state(alone), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for key in OF_A_PLAN:
        assert f"source_transport_{key}" in logs
    assert monitor.plans["source_transport"].shape == (4, 3)
    shares = {k: v[0] for k, v in logs.items() if k.endswith("_share")}
    assert set(shares) == {
        f"{name}_gradient_share"
        for name in (
            "task_loss",
            "representation_transport",
            "source_loss",
            "source_transport",
        )
    }
    assert_allclose(sum(shares.values()), 1.0, rtol=1e-6)
    assert min(shares.values()) > 0.0


@pytest.mark.slow
def test_loggers_behind_it_get_every_column_in_every_epoch(
    make_model, control, data, tmp_path
):
    path = tmp_path / "log.csv"
    logger = keras.callbacks.CSVLogger(path)
    fit(make_model(control), data, TransportMonitor(data), logger, epochs=2)
    header, *rows = [x.split(",") for x in path.read_text().splitlines()]
    column = header.index("representation_transport_entropy")
    assert [0.0 <= float(row[column]) <= 1.0 for row in rows] == [True, True]


@pytest.mark.slow
def test_it_can_be_copied_before_and_after(make_model, control, data):
    monitor = copy.deepcopy(TransportMonitor(data))
    fit(make_model(control), data, monitor)
    logs = fit(make_model(control), data, copy.deepcopy(monitor))
    assert "representation_transport_mass" in logs


@pytest.mark.slow
def test_a_model_that_was_saved_is_watched_too(make_model, data, tmp_path):
    loss = otreg.losses.RepresentationTransport(momentum=0.9)
    model = make_model(otreg.Penalty(loss, at="features"))
    fit(model, data)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    found = []
    for each in (model, again):
        keras.utils.set_random_seed(0)
        found.append(fit(each, data, TransportMonitor(data)))
    first, second = found
    assert first.keys() == second.keys()
    for key in ("iterations", "mass", "permuted"):
        name = f"representation_transport_{key}"
        assert_allclose(first[name], second[name], rtol=1e-3)


def test_plans_are_kept_to_be_drawn(make_model, control, data):
    monitor = TransportMonitor(data)
    fit(make_model(control, teacher=5), data, monitor)
    P = monitor.plans["representation_transport"]
    assert P.shape == (5, 7)
    assert_allclose(P.sum(), 1.0, rtol=1e-3)
    otreg.plots.plan(monitor.plans)


def test_unequal_widths_have_no_neurons_in_their_places(
    make_model, control, data
):
    logs = fit(make_model(control, teacher=5), data, TransportMonitor(data))
    assert "representation_transport_permuted" not in logs


def test_the_share_of_a_term_grows_with_its_weight(make_model, data):
    def share(weight):
        loss = otreg.losses.RepresentationTransport(plan="uniform")
        penalty = otreg.Penalty(loss, at="features", weight=weight)
        model = make_model(penalty, teacher=5)
        logs = fit(model, data, TransportMonitor(data))
        return logs["representation_transport_gradient_share"][0]

    small, large = share(0.01), share(100.0)
    assert 0.0 < small < 0.5 < large < 1.0


def test_data_sets_give_their_first_batch(make_model, control, data):
    import tensorflow as tf

    x, y = data
    dataset = tf.data.Dataset.from_tensor_slices(data).batch(8)
    for probe in (dataset, iter([(x[:8], y[:8])]), [x[:8], y[:8]]):
        monitor = TransportMonitor(probe)
        np.testing.assert_array_equal(monitor.probe[0], x[:8])
        np.testing.assert_array_equal(monitor.probe[1], y[:8])
    weighted = TransportMonitor((x, y, np.ones(24)))
    logs = fit(make_model(control), data, weighted)
    assert logs["task_loss_gradient_share"][0] > 0.0


def test_batches_that_carry_the_teacher_are_watched(make_model, control, data):
    model = make_model(control)
    batches = otreg.data.with_teacher(data, model, batch_size=8)
    logs = model.fit(batches, callbacks=[TransportMonitor(batches)], verbose=0)
    assert "representation_transport_entropy" in logs.history


@pytest.mark.parametrize(
    "probe",
    [
        np.ones((4, 6)),
        "train",
        3,
        iter([]),
        iter([np.ones(3)]),
        (),
        (np.ones((0, 6)), np.ones(0)),
        (1.0, 2.0),
    ],
)
def test_a_probe_that_is_no_batch_is_refused(probe):
    with pytest.raises(ValueError, match=r"`probe`\. Expected a batch"):
        TransportMonitor(probe)


def test_a_model_that_is_none_of_ours_is_refused(make_student, compiled, data):
    with pytest.raises(ValueError, match="TransferModel"):
        fit(compiled(make_student()), data, TransportMonitor(data))


def test_in_half_precision_no_gradient_vanishes(data, compiled, monkeypatch):
    keras.utils.set_random_seed(0)
    half = keras.layers.Dense(7, "relu", name="features", dtype="mixed_float16")
    student = keras.Sequential([keras.Input((6,)), half, keras.layers.Dense(3)])
    # Below what half precision can hold, and above it once it is scaled.
    loss = otreg.losses.Coral()
    penalty = otreg.Penalty(loss, at="features", weight=1e-7)
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.1), initial_scale=2.0**20
    )
    model = compiled(otreg.TransferModel(student, None, [penalty]), optimizer)
    half.kernel.assign(half.kernel + 1.0)
    logs = fit(model, data, TransportMonitor(data))
    assert 0.0 < logs["coral_gradient_share"][0] < 1e-3


def test_a_probe_without_its_source_is_refused_before_training(
    joint_model, pairs, data
):
    with pytest.raises(ValueError, match="paired"):
        joint_model().fit(pairs, callbacks=[TransportMonitor(data)], verbose=0)
