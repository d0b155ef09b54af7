import numpy as np
import pytest

from keras_otreg import plots


@pytest.fixture
def plan():
    """Neuron 0 goes to 2, 1 by more than half to 0; 2 is blurred."""
    return np.array([[0, 0, 6], [4, 2, 0], [2, 2, 2]]) / 18.0


@pytest.fixture
def layers(rng):
    return rng.random((7, 3)), rng.random((7, 3))


def pairs_of(figure):
    return [
        (axes.get_xlabel(), axes.get_ylabel())
        for axes in figure.axes
        if axes.get_xlabel()
    ]


def test_the_sharpest_pairs_come_first_and_no_neuron_twice(plan, layers):
    figure = plots.matches(plan, *layers)
    assert pairs_of(figure) == [
        ("teacher neuron 0", "student neuron 2"),
        ("teacher neuron 1", "student neuron 0"),
        ("teacher neuron 2", "student neuron 1"),
    ]
    assert "67% of 1 goes to 0" in figure.axes[1].get_title()


def test_dots_are_the_activations_of_the_samples(plan, layers):
    teacher, student = layers
    dots = plots.matches(plan, *layers).axes[0].collections[0].get_offsets()
    np.testing.assert_allclose(
        dots, np.stack([teacher[:, 0], student[:, 2]], 1)
    )


def test_maps_are_averaged_over_positions(plan, layers, rng):
    maps = rng.random((7, 4, 5, 3))
    figure = plots.matches(plan, maps, layers[1])
    dots = figure.axes[0].collections[0].get_offsets()
    np.testing.assert_allclose(dots[:, 0], maps.mean((1, 2))[:, 0], rtol=1e-6)


def test_only_as_many_pairs_as_asked_for(plan, layers):
    assert len(pairs_of(plots.matches(plan, *layers, count=2))) == 2


@pytest.mark.parametrize("shape", [(7, 2, 2), (7, 2, 2, 1), (7, 2, 2, 3)])
def test_the_pictures_are_those_that_a_neuron_answers_to_most(
    plan, layers, shape
):
    pictures = np.zeros(shape) + np.arange(7).reshape(7, *[1] * len(shape[1:]))
    figure = plots.matches(plan, *layers, pictures=pictures, count=1)
    shown = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    found = [round(float(image.flat[0]) * 6) for image in shown]
    teacher, student = (np.argsort(-x, axis=0)[:3] for x in layers)
    assert found == [*teacher[:, 0], *student[:, 2]]


def test_what_does_not_belong_together_is_refused(plan, layers):
    teacher, student = layers
    with pytest.raises(ValueError, match=r"\(3, 2\).*shape \(3, 3\)"):
        plots.matches(plan, teacher, student[:, :2])
    with pytest.raises(ValueError, match="samples"):
        plots.matches(plan, teacher, student[:5])
    with pytest.raises(ValueError, match="each of the 7 samples.*4 pictures"):
        plots.matches(plan, *layers, pictures=np.zeros((4, 2, 2)))
    with pytest.raises(ValueError, match="count"):
        plots.matches(plan, *layers, count=0)
    for wrong in (plan[0], -plan, plan * np.nan, plan[:0], 0 * plan):
        with pytest.raises(ValueError, match=r"`plan`\. Expected.* Received"):
            plots.matches(wrong, *layers)
