import keras
import numpy as np
import pytest

from keras_otreg import solve_head
from keras_otreg.regression import COPIES, Samples, varied

layers = keras.layers
UNITS = 8


def classes(rng, means, spread, count):
    """Samples around means, which vary along each unit by its spread."""
    y = np.repeat(np.arange(len(means)), count)
    x = means[y] + rng.normal(size=(len(y), UNITS)) * spread
    return x.astype("float32"), y


def classifier(units=2, activation="softmax"):
    inputs = keras.Input((UNITS,))
    return keras.Model(inputs, layers.Dense(units, activation)(inputs))


@pytest.fixture
def tasks(rng):
    """Two target classes, and source classes near the first and the second.

    What tells the classes apart is weak; other units vary much within them.
    """
    spread = np.array([0.3, *np.full(UNITS - 1, 3.0)])
    means = np.zeros((2, UNITS))
    means[1, 0] = 2.0
    source = classes(rng, rng.normal(size=(12, UNITS)), spread, 40)
    few = classes(rng, means, spread, 3)
    return few, classes(rng, means, spread, 500), source


def accuracy(model, data):
    found = model.predict(data[0], verbose=0).argmax(axis=1)
    return (found == data[1]).mean()


@pytest.mark.slow
def test_how_source_samples_vary_tells_what_matters(tasks):
    few, test, source = tasks
    model = classifier()
    solve_head(model, *few, l2=1e-3)
    alone = accuracy(model, test)
    solve_head(model, *few, l2=1e-3, source=source)
    assert accuracy(model, test) > max(0.9, alone + 0.1)


def test_a_source_without_variation_changes_nothing(tasks):
    few, _, (x, y) = tasks
    alone, beside = classifier(), classifier()
    solve_head(alone, *few, l2=0.1)
    means = np.array([x[y == k].mean(axis=0) for k in range(12)])
    with pytest.warns(UserWarning, match="changes nothing"):
        solve_head(beside, *few, l2=0.1, source=(means, np.arange(12)))
    for one, other in zip(
        alone.get_weights(), beside.get_weights(), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-3)


@pytest.mark.slow
def test_a_source_may_come_in_batches_with_one_hot_labels(tasks):
    few, _, (x, y) = tasks
    weights = []
    for source in ((x, y), [(x, np.eye(12)[y])]):
        model = classifier()
        solve_head(model, *few, l2=0.1, source=source)
        weights.append(model.get_weights()[0])
    np.testing.assert_array_equal(*weights)


def test_each_class_takes_most_from_the_source_class_of_least_cost(tasks):
    few, _, source = tasks
    costs = np.ones((12, 2))
    costs[3, 0] = costs[5, 1] = 0.0
    solved = solve_head(
        classifier(), *few, l2=0.1, source=source, source_costs=costs
    )
    np.testing.assert_array_equal(solved.source_plan.argmax(axis=0), [3, 5])
    np.testing.assert_allclose(solved.source_plan.sum(axis=0), 0.5, rtol=1e-3)


def test_copies_differ_from_samples_as_the_source_does(rng):
    x, y = classes(rng, np.zeros((2, UNITS)), np.arange(UNITS), 200)
    few, labels = classes(rng, np.zeros((2, UNITS)), 0.0, 50)
    samples = Samples(few, np.eye(2)[labels], np.ones(len(few)))
    both, _ = varied(samples, x, y)
    copies = (both.x * both.scale)[len(few) :].reshape(COPIES, *few.shape)
    np.testing.assert_allclose(
        (copies - few).std(axis=(0, 1)), np.arange(UNITS), rtol=0.15
    )
    np.testing.assert_allclose(both.weights[: len(few)].sum(), 0.5)


def test_a_class_without_samples_takes_nothing(tasks):
    (x, y), _, source = tasks
    solved = solve_head(classifier(3), x, 2 * y, l2=0.1, source=source)
    assert solved.source_plan.shape == (12, 3)
    np.testing.assert_array_equal(
        solved.source_plan.sum(axis=0) > 0.0, [True, False, True]
    )


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"activation": "sigmoid"}, "one class of several"),
        ({"costs": np.ones((2, 12))}, r"shape \(2, 12\)"),
        ({"costs": np.full((12, 2), np.nan)}, "`source_costs`"),
        ({"costs": "mkmmd"}, "`source_costs`.*dtype <U5"),
        ({"costs": [[1.0], [1.0, 2.0]]}, "`source_costs`.*unequal lengths"),
        ({"source": None, "costs": np.ones((12, 2))}, "costs without a source"),
        ({"source": iter(())}, "read only once"),
        ({"y": np.zeros(479)}, r"lengths \[479, 480\]"),
        ({"y": np.full(480, np.nan)}, "480 of them not finite"),
        ({"y": np.zeros((480, 2, 2))}, "a label for each sample"),
        ({"x": np.full((480, UNITS), np.nan)}, "`source_features`"),
    ],
)
def test_what_does_not_fit_is_an_error(tasks, how, says):
    few, _, (x, y) = tasks
    with pytest.raises(ValueError, match=says):
        solve_head(
            classifier(2, how.get("activation", "softmax")),
            few[0],
            np.eye(2)[few[1]],
            source=how.get("source", (how.get("x", x), how.get("y", y))),
            source_costs=how.get("costs"),
        )
