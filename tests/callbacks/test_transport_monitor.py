import copy

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import (
    EventAccumulator,
)

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


def pictures(folder):
    """The sizes of the pictures that TensorBoard finds, by name."""
    found = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    return {
        tag: [
            tf.image.decode_png(event.tensor_proto.string_val[2]).shape
            for event in found.Tensors(tag)
        ]
        for tag in found.Tags()["tensors"]
    }


@pytest.mark.release
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


@pytest.mark.release
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


@pytest.mark.release
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


@pytest.mark.release
def test_loggers_behind_it_get_every_column_in_every_epoch(
    make_model, control, data, tmp_path
):
    path = tmp_path / "log.csv"
    logger = keras.callbacks.CSVLogger(path)
    fit(make_model(control), data, TransportMonitor(data), logger, epochs=2)
    header, *rows = [x.split(",") for x in path.read_text().splitlines()]
    column = header.index("representation_transport_entropy")
    assert [0.0 <= float(row[column]) <= 1.0 for row in rows] == [True, True]


@pytest.mark.release
def test_it_can_be_copied_and_writes_nothing_without_a_folder(
    make_model, control, data, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monitor = copy.deepcopy(TransportMonitor(data))
    fit(make_model(control), data, monitor)
    logs = fit(make_model(control), data, copy.deepcopy(monitor))
    assert "representation_transport_mass" in logs
    assert not list(tmp_path.iterdir())


@pytest.mark.release
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


@pytest.mark.release
def test_a_plan_is_logged_and_kept(make_model, data, look):
    penalties = [
        otreg.Penalty(
            otreg.losses.RepresentationTransport(plan="uniform"),
            at="features",
            weight=weight,
            name=name,
        )
        for name, weight in (("weak", 0.01), ("strong", 100.0))
    ]
    model = make_model(*penalties, teacher=5)
    monitor = TransportMonitor(data)
    logs = look(model, monitor)
    P = monitor.plans["strong"]
    assert P.shape == (5, 7)
    assert_allclose(P.sum(), 1.0, rtol=1e-3)
    assert logs["strong_mass"] == pytest.approx(1.0, abs=1e-3)
    assert logs["strong_entropy"] == pytest.approx(1.0, abs=1e-3)
    # Of unequal widths no neuron is at its place.
    assert "strong_permuted" not in logs
    weak, strong = (logs[f"{x}_gradient_share"] for x in ("weak", "strong"))
    assert 0.0 < weak < 0.5 < strong < 1.0


@pytest.mark.release
def test_plans_of_every_epoch_go_to_tensorboard(
    make_model, control, data, tmp_path
):
    monitor = TransportMonitor(data, log_dir=tmp_path)
    fit(make_model(control), data, monitor, epochs=2)
    drawn = pictures(tmp_path / "plans")
    assert drawn == {"representation_transport/plan": 2 * [(750, 750, 4)]}


@pytest.mark.release
def test_class_plans_bear_the_names_of_classes(
    joint_model, pairs, tmp_path, monkeypatch
):
    from keras_otreg.callbacks import transport_monitor

    drawn = []
    monkeypatch.setattr(
        transport_monitor,
        "class_plan",
        lambda *args: drawn.append(args) or otreg.plots.class_plan(*args),
    )
    names = (["oak", "elm", "ash", "yew"], ["cat", "dog", "hen"])
    monitor = TransportMonitor(pairs, log_dir=tmp_path, class_names=names)
    joint_model().fit(pairs, callbacks=[monitor], verbose=0)
    assert drawn[0][1:] == names
    np.testing.assert_array_equal(
        drawn[0][0], monitor.plans["source_transport"]
    )
    assert "source_transport/plan" in pictures(tmp_path / "plans")


def test_data_sets_give_their_first_batch(data):
    x, y = data
    dataset = tf.data.Dataset.from_tensor_slices(data).batch(8)
    for probe in (dataset, iter([(x[:8], y[:8])]), [x[:8], y[:8]]):
        monitor = TransportMonitor(probe)
        np.testing.assert_array_equal(monitor.probe[0], x[:8])
        np.testing.assert_array_equal(monitor.probe[1], y[:8])


@pytest.mark.release
def test_samples_may_have_weights(make_model, control, data, look):
    logs = look(make_model(control), TransportMonitor((*data, np.ones(24))))
    assert logs["task_loss_gradient_share"] > 0.0


@pytest.mark.release
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


def test_a_model_that_is_none_of_ours_is_refused(make_student, data):
    with pytest.raises(ValueError, match="TransferModel"):
        TransportMonitor(data).set_model(make_student())


@pytest.mark.release
def test_in_half_precision_no_gradient_vanishes(data, compiled):
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


@pytest.mark.release
def test_what_does_not_fit_is_refused_before_training(
    joint_model, pairs, data, look
):
    model = joint_model()
    with pytest.raises(ValueError, match="paired"):
        look(model, TransportMonitor(data))
    names = TransportMonitor(pairs, class_names=("ab", "c"))
    with pytest.raises(ValueError, match=r"class_names.*\(4, 3\).*\(2, 1\)"):
        look(model, names)
