import keras
import numpy as np
import pytest

import keras_otreg as otreg


@keras.saving.register_keras_serializable(package="tests")
class Unnamed(keras.Model):
    """A model whose layers are named by how many there were before."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = keras.layers.Dense(6)
        self.second = keras.layers.Dense(6)
        self.third = keras.layers.Dense(3, "softmax")

    def call(self, inputs):
        return self.third(self.second(self.first(inputs)))


@pytest.mark.release
@pytest.mark.parametrize("how", ["loaded", "cloned"])
def test_layers_without_names_are_found_again(samples, compiled, tmp_path, how):
    student = Unnamed()
    student(samples[0])
    penalty = otreg.Penalty(
        otreg.losses.RepresentationTransport(), at=student.second.name
    )
    model = compiled(otreg.TransferModel(student, penalties=[penalty]))
    model.fit(*samples, verbose=0)
    # One more counts the names on.
    Unnamed()
    if how == "loaded":
        model.save(tmp_path / "model.keras")
        other = keras.saving.load_model(tmp_path / "model.keras")
    else:
        other = compiled(keras.models.clone_model(model))
        model.save_weights(tmp_path / "model.weights.h5")
        other.load_weights(tmp_path / "model.weights.h5")
    assert other.student.second.name == student.second.name
    np.testing.assert_allclose(
        other.evaluate(*samples, verbose=0),
        model.evaluate(*samples, verbose=0),
        rtol=1e-6,
    )
