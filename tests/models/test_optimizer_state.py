"""A file with an optimizer holds all of its state."""

import io
import zipfile

import h5py
import keras
import pytest

import keras_otreg as otreg


@pytest.mark.release
@pytest.mark.parametrize("lost", ["optimizer", "optimizer/vars/3"])
@pytest.mark.parametrize("load", [keras.saving.load_model, otreg.load_model])
def test_a_file_that_lost_the_state_of_its_optimizer_is_not_loaded(
    model, tmp_path, load, lost
):
    whole, part = tmp_path / "whole.keras", tmp_path / "part.keras"
    model.save(whole)
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(part, "w") as sink:
        for name in source.namelist():
            content = io.BytesIO(source.read(name))
            if name.endswith(".h5"):
                with h5py.File(content, "a") as file:
                    del file[lost]
            sink.writestr(name, content.getvalue())
    with pytest.raises(ValueError, match=r"arrays of the optimizer that the"):
        load(part)
    assert load(whole).optimizer.iterations == model.optimizer.iterations
