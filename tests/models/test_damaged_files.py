"""A file is loaded as a whole or not at all."""

import shutil
import types
import zipfile

import keras
import numpy as np
import pytest

import keras_otreg as otreg


@pytest.fixture
def everything():
    """All that a file of weights can change in a model."""

    def states(model):
        variables = model.variables + model.teacher.variables
        variables += model.optimizer.variables
        return [np.array(keras.ops.convert_to_numpy(v)) for v in variables]

    return states


def assert_equal(x, y):
    for a, b in zip(x, y, strict=True):
        np.testing.assert_array_equal(a, b)


def flipped(path, place):
    """Changes one bit of a file."""
    content = bytearray(path.read_bytes())
    content[place] ^= 0x10
    path.write_bytes(content)


@pytest.mark.slow
def test_weights_cut_off_anywhere_are_an_error(
    model, samples, everything, tmp_path
):
    path = tmp_path / "model.weights.h5"
    model.save_weights(path)
    model.fit(*samples, verbose=0)
    before, content = everything(model), path.read_bytes()
    for length in np.linspace(0, len(content) - 1, 25).astype(int):
        path.write_bytes(content[:length])
        with pytest.raises(OSError, match=str(path.name) + "|open file"):
            model.load_weights(path)
        assert_equal(everything(model), before)
    path.write_bytes(content)
    model.load_weights(path)


@pytest.mark.slow
def test_a_flipped_bit_is_found_in_weights(
    model, samples, everything, tmp_path
):
    path = tmp_path / "model.weights.h5"
    model.save_weights(path)
    model.fit(*samples, verbose=0)
    before, size = everything(model), path.stat().st_size
    for place in np.linspace(0, size - 1, 25).astype(int):
        flipped(path, place)
        with pytest.raises(OSError, match="checksum"):
            model.load_weights(path)
        flipped(path, place)
    assert_equal(everything(model), before)


@pytest.mark.slow
@pytest.mark.parametrize("load", [keras.saving.load_model, otreg.load_model])
def test_a_damaged_model_is_not_loaded(model, tmp_path, load):
    path = tmp_path / "model.keras"
    model.save(path)
    content = path.read_bytes()
    kernel = model.student.get_layer("head").kernel.numpy().tobytes()
    for place in (content.find(kernel[:32]), content.find(b'"epsilon"') + 3):
        assert place > 3
        flipped(path, place)
        with pytest.raises((OSError, zipfile.BadZipFile), match="CRC|check"):
            load(path)
        flipped(path, place)
    for length in np.linspace(0, len(content) - 1, 7).astype(int):
        path.write_bytes(content[:length])
        with pytest.raises((OSError, ValueError), match=str(path)):
            load(path)
        with pytest.raises(OSError, match="checksum"):
            model.load_weights(path)


@pytest.mark.slow
def test_weights_that_fit_only_in_part_change_nothing(
    model, make_network, compiled, samples, everything, tmp_path
):
    path = tmp_path / "model.weights.h5"
    penalty = otreg.Penalty(
        keras.losses.MeanSquaredError(), at="backbone/features"
    )
    # The same up to its last layer.
    inputs = keras.Input((8,))
    x = make_network().get_layer("backbone")(inputs)
    x = keras.layers.Dropout(0.2, name="dropout")(x)
    x = keras.layers.Dense(4, "softmax", name="head")(x)
    other = keras.Model(inputs, x, name="student")
    other = compiled(otreg.TransferModel(other, penalties=[penalty]))
    other.save_weights(path)
    before = everything(model)
    with pytest.raises(ValueError, match="could not be loaded"):
        model.load_weights(path)
    assert_equal(everything(model), before)


@pytest.mark.slow
def test_an_interrupted_load_changes_nothing(
    model, everything, tmp_path, samples, monkeypatch
):
    path = tmp_path / "model.weights.h5"
    model.save_weights(path)
    model.fit(*samples, verbose=0)
    before = everything(model)

    def interrupted(store):
        raise KeyboardInterrupt

    head = model.student.get_layer("head")
    monkeypatch.setattr(head, "load_own_variables", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.load_weights(path)
    assert_equal(everything(model), before)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["model.keras", "model.weights.h5"])
def test_an_interrupted_save_leaves_the_earlier_file(
    model, samples, tmp_path, name, monkeypatch
):
    path = tmp_path / name
    save = model.save if name.endswith("keras") else model.save_weights
    save(path)
    content = path.read_bytes()
    model.fit(*samples, verbose=0)

    def full(store):
        raise OSError("No space left on device")

    head = model.student.get_layer("head")
    monkeypatch.setattr(head, "save_own_variables", full)
    with pytest.raises(OSError, match="No space"):
        save(path)
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
def test_a_disk_without_room_is_told_of_before_hdf5_finds_out(
    model, tmp_path, monkeypatch
):
    path = tmp_path / "model.weights.h5"
    model.save_weights(path)
    content = path.read_bytes()
    room = types.SimpleNamespace(free=len(content) - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: room)
    with pytest.raises(OSError, match="No space left"):
        model.save_weights(path)
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
def test_other_random_layers_are_named(model, make_network, compiled, tmp_path):
    path = tmp_path / "model.weights.h5"
    model.save_weights(path)
    loss = otreg.losses.CenteredKernelAlignment()
    penalty = otreg.Penalty(loss, at="backbone/features")
    student = make_network(dropout=0.0)
    other = otreg.TransferModel(student, penalties=[penalty])
    with pytest.raises(ValueError, match=r"states of 0 random.*holds 1"):
        compiled(other).load_weights(path)


@pytest.mark.slow
def test_weights_in_shards_come_back(model, samples, everything, tmp_path):
    before = everything(model)
    model.save_weights(tmp_path / "m.weights.json", max_shard_size=1e-6)
    assert len(list(tmp_path.iterdir())) > 2
    model.fit(*samples, verbose=0)
    model.load_weights(tmp_path / "m.weights.json")
    assert_equal(everything(model), before)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["model.keras", "model.weights.h5"])
def test_a_file_is_replaced_only_if_it_may_be(
    model, tmp_path, monkeypatch, name
):
    path = tmp_path / name
    path.write_text("mine")
    save = model.save if name.endswith("keras") else model.save_weights
    monkeypatch.setattr("builtins.input", lambda _: "n")
    save(path, overwrite=False)
    assert path.read_text() == "mine"
    monkeypatch.setattr("builtins.input", lambda _: "y")
    save(path, overwrite=False)
    model.load_weights(path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
def test_a_second_backup_stands_in_for_a_damaged_one(model, samples, tmp_path):
    folder = tmp_path / "backup"

    def backup():
        return keras.callbacks.BackupAndRestore(
            folder, double_checkpoint=True, delete_checkpoint=False
        )

    options = {"shuffle": False, "verbose": 0}
    model.fit(*samples, epochs=3, callbacks=[backup()], **options)
    expected = model.get_weights()
    flipped(folder / "latest.weights.h5", 5000)
    model.fit(*samples, epochs=3, callbacks=[backup()], **options)
    # The third epoch again, from the end of the second.
    for x, y in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_room_is_made_for_the_state_of_the_optimizer_too(
    make_network, compiled, tmp_path, monkeypatch
):
    loss = otreg.losses.CenteredKernelAlignment()
    penalty = otreg.Penalty(loss, at="backbone/features")
    model = compiled(
        otreg.TransferModel(make_network(300), penalties=[penalty])
    )
    model.save_weights(tmp_path / "before.weights.h5")
    model.optimizer.build(model.trainable_variables)
    path = tmp_path / "after.weights.h5"
    model.save_weights(path)
    room = types.SimpleNamespace(free=path.stat().st_size - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: room)
    with pytest.raises(OSError, match="No space"):
        model.save_weights(tmp_path / "more.weights.h5")
