import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import (
    EventAccumulator,
)

import keras_otreg as otreg
from keras_otreg.callbacks import TransportMonitor


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


def test_plans_of_every_epoch_go_to_tensorboard(make_model, data, tmp_path):
    loss = otreg.losses.RepresentationTransport(plan="uniform")
    model = make_model(otreg.Penalty(loss, at="features"))
    monitor = TransportMonitor(data, log_dir=tmp_path)
    model.fit(*data, epochs=2, callbacks=[monitor], verbose=0)
    found = pictures(tmp_path / "plans")
    assert found == {"representation_transport/plan": 2 * [(750, 750, 4)]}


@pytest.mark.slow
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


def test_class_names_that_do_not_fit_are_refused_before_training(
    joint_model, pairs, tmp_path
):
    monitor = TransportMonitor(pairs, log_dir=tmp_path, class_names=("ab", "c"))
    with pytest.raises(ValueError, match=r"class_names.*\(4, 3\).*\(2, 1\)"):
        joint_model().fit(pairs, callbacks=[monitor], verbose=0)


def test_nothing_is_written_without_a_folder(
    make_model, data, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    loss = otreg.losses.RepresentationTransport(plan="uniform")
    model = make_model(otreg.Penalty(loss, at="features"))
    model.fit(*data, callbacks=[TransportMonitor(data)], verbose=0)
    assert not list(tmp_path.iterdir())
