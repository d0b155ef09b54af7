import keras
import numpy as np
import pytest

from keras_otreg.losses import (
    CenteredKernelAlignment,
    RepresentationTransport,
    TransportAlignment,
)
from keras_otreg.workflows.neurons import Neurons


def network(kernel):
    model = keras.Sequential(
        [
            keras.Input((1, 1, 4)),
            keras.layers.Flatten(),
            keras.layers.Dense(len(kernel[0]), use_bias=False, name="features"),
        ]
    )
    model.set_weights([np.asarray(kernel, "float32")])
    return model


@pytest.fixture
def pictures(rng):
    return rng.normal(size=(50, 1, 1, 4)).astype("float32")


def seen(kernel, pictures, loss=None, same=True):
    start = network(np.eye(4))
    place = ("features", "features")
    return Neurons(start, network(kernel), pictures, place, loss, same)


@pytest.mark.slow
def test_neurons_that_changed_places_are_found(pictures):
    swapped = np.eye(4)[:, [1, 0, 2, 3]]
    found = seen(swapped, pictures)
    np.testing.assert_array_equal(found.partners, [1, 0, 2, 3])
    np.testing.assert_array_equal(found.moved, [True, True, False, False])
    np.testing.assert_array_equal(found.kept, [False, False, True, True])
    (first, second) = found.roles(found.moved)
    assert {first["neuron"], second["neuron"]} == {0, 1}
    assert first["partner"] == 1 - first["neuron"]
    # The one that has taken over answers to the same pictures.
    assert first["was"] == first["is_now"]
    assert first["was"][0] == pictures[:, 0, 0, first["neuron"]].argmax()


def test_silent_neurons_are_neither_kept_nor_moved(pictures):
    start = np.diag([1.0, 1.0, 1.0, 0.0])
    found = Neurons(
        network(start),
        network(start),
        pictures,
        ("features", "features"),
        TransportAlignment(epsilon=0.05),
        True,
    )
    assert found.silent.sum() == 1
    assert found.kept.sum() == 3
    assert not found.moved.any()


@pytest.mark.slow
def test_in_another_network_no_neuron_is_its_own(pictures):
    found = seen(np.ones((4, 2)), pictures, CenteredKernelAlignment(), False)
    assert found.plan.shape == (4, 2)
    assert not found.kept.any()
    assert len(found.roles(found.moved)) == 4


@pytest.mark.parametrize("epsilon", [0.01, 1.0])
def test_an_unchanged_network_has_re_assigned_nothing(pictures, epsilon):
    """However blurred its plan is."""
    # Neurons that are nearly alike: a plan between them is blurred.
    kernel = np.ones((4, 4)) + 0.01 * np.eye(4)
    start = network(kernel)
    found = Neurons(
        start,
        start,
        pictures,
        ("features", "features"),
        RepresentationTransport(epsilon=epsilon),
        True,
    )
    assert found.kept.all()
    assert not found.moved.any()
    np.testing.assert_array_equal(found.partners, range(4))


@pytest.mark.slow
def test_training_that_changes_little_re_assigns_nothing(pictures):
    kernel = np.eye(4) + 0.05 * np.roll(np.eye(4), 1, axis=0)
    assert seen(kernel, pictures).kept.all()
