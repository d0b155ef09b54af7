import keras
import numpy as np
import ot as pot
import pytest
from scipy.linalg import sqrtm

from keras_otreg import class_costs

FROM_FEATURES = [
    class_costs.mkmmd,
    class_costs.transport,
    class_costs.centroid,
    class_costs.bures,
    class_costs.cosine,
]


@pytest.fixture
def clouds(rng):
    """Three source classes and two target classes, of unequal sizes."""
    centres = 4.0 * rng.normal(size=(3, 5))
    source_labels = np.repeat([0, 1, 2], [9, 7, 11])
    target_labels = np.repeat([0, 1], [8, 6])
    source = centres[source_labels] + rng.normal(size=(27, 5))
    # Target class 0 is like source class 2, and 1 like 0.
    target = centres[np.array([2, 0])[target_labels]] + rng.normal(size=(14, 5))
    return source, source_labels, target, target_labels


@pytest.mark.parametrize("cost", FROM_FEATURES)
def test_the_class_that_is_alike_is_the_nearest(cost, clouds):
    C = cost(*clouds)
    assert C.shape == (3, 2)
    assert np.isfinite(C).all()
    assert (C >= 0).all()
    np.testing.assert_array_equal(C.argmin(axis=0), [2, 0])


@pytest.mark.parametrize("cost", FROM_FEATURES)
def test_rows_follow_the_sorted_labels_not_the_order_of_samples(
    cost, clouds, rng
):
    source, source_labels, target, target_labels = clouds
    order = rng.permutation(len(source))
    names = np.array(["ant", "bee", "cat"])[source_labels]
    shuffled = cost(source[order], names[order], target, target_labels)
    np.testing.assert_allclose(shuffled, cost(*clouds), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "cost", [f for f in FROM_FEATURES if f.__name__ != "cosine"]
)
def test_distances_do_not_depend_on_the_origin(cost, clouds):
    source, source_labels, target, target_labels = clouds
    far = cost(source + 100.0, source_labels, target + 100.0, target_labels)
    np.testing.assert_allclose(far, cost(*clouds), rtol=1e-4, atol=1e-6)


def test_mkmmd_is_the_difference_of_mean_kernels(clouds):
    source, source_labels, target, target_labels = clouds
    distances = ((source[:, None] - target) ** 2).sum(-1)
    scale = np.median(distances)

    def kernel(x, y):
        squared = ((x[:, None] - y) ** 2).sum(-1)
        widths = scale * np.array([0.25, 0.5, 1, 2, 4])
        return np.exp(-squared[..., None] / (2 * widths)).mean(-1)

    x, y = source[source_labels == 1], target[target_labels == 0]
    biased = kernel(x, x).mean() + kernel(y, y).mean()
    found = class_costs.mkmmd(*clouds)
    expected = biased - 2 * kernel(x, y).mean()
    np.testing.assert_allclose(found[1, 0], expected, rtol=1e-10)

    def unbiased_mean(x):
        n = len(x)
        return (kernel(x, x).sum() - n) / (n * (n - 1))

    found = class_costs.mkmmd(*clouds, unbiased=True)
    expected = unbiased_mean(x) + unbiased_mean(y) - 2 * kernel(x, y).mean()
    np.testing.assert_allclose(found[1, 0], expected, rtol=1e-10)


@pytest.mark.slow
def test_transport_tends_to_the_cost_of_the_best_plan(clouds):
    source, source_labels, target, target_labels = clouds
    solver_settings = {"epsilon": 0.005}
    found = class_costs.transport(*clouds, **solver_settings)
    x, y = source[source_labels == 1], target[target_labels == 0]
    cost = ((x[:, None] - y) ** 2).sum(-1)
    exact = pot.emd2([], [], cost)
    np.testing.assert_allclose(found[1, 0], exact, rtol=5e-3)


def test_bures_is_the_distance_of_gaussian_fits(clouds):
    source, source_labels, target, target_labels = clouds
    x, y = source[source_labels == 1], target[target_labels == 0]
    S, T = np.cov(x.T, bias=True), np.cov(y.T, bias=True)
    root = sqrtm(S)
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(S + T)
    expected -= 2 * np.trace(sqrtm(root @ T @ root)).real
    np.testing.assert_allclose(
        class_costs.bures(*clouds)[1, 0], expected, rtol=1e-6
    )


def test_centroid_is_the_distance_of_means(clouds):
    source, source_labels, target, target_labels = clouds
    difference = source[source_labels == 1].mean(0)
    difference = difference - target[target_labels == 0].mean(0)
    np.testing.assert_allclose(
        class_costs.centroid(*clouds)[1, 0], np.linalg.norm(difference)
    )


def test_cosine_is_of_means_about_the_origin_as_it_is(clouds):
    source, source_labels, target, target_labels = clouds
    x = source[source_labels == 1].mean(0)
    y = target[target_labels == 0].mean(0)
    expected = 1 - x @ y / np.linalg.norm(x) / np.linalg.norm(y)
    np.testing.assert_allclose(class_costs.cosine(*clouds)[1, 0], expected)


def test_knowledge_needs_no_features():
    C = class_costs.from_embeddings([[1, 0], [0, 0]], [[2, 0], [0, 1], [-1, 0]])
    np.testing.assert_allclose(C, [[0, 1, 2], [1, 1, 1]])
    C = class_costs.from_names(["Cat", "dog "], ["dog", "cat", "cow"])
    np.testing.assert_array_equal(C, [[1, 0, 1], [0, 1, 1]])


def test_random_costs_are_those_of_their_seed():
    first = class_costs.random(3, 2, seed=1)
    np.testing.assert_array_equal(first, class_costs.random(3, 2, seed=1))
    assert not np.array_equal(first, class_costs.random(3, 2, seed=2))


def test_normalise_and_sharpen():
    C = np.array([[0.0, 2.0], [4.0, 2.0]])
    assert class_costs.normalise(C).max() == 1.0
    assert class_costs.normalise(C, by="mean").mean() == 1.0
    np.testing.assert_array_equal(class_costs.normalise(C, by="none"), C)
    np.testing.assert_array_equal(class_costs.normalise(0 * C), 0 * C)
    np.testing.assert_allclose(class_costs.sharpen(C, 0.5), 1 - np.exp(-C / 2))


def test_extract_gives_the_features_and_classes_of_a_data_set(rng):
    inputs = keras.Input((4, 4, 2))
    maps = keras.layers.Conv2D(3, 3, name="maps")(inputs)
    model = keras.Model(inputs, keras.layers.Flatten()(maps))
    x = rng.normal(size=(10, 4, 4, 2)).astype("float32")
    y = np.arange(10) % 3
    batches = [(x[:6], y[:6]), (x[6:], keras.utils.to_categorical(y[6:], 3))]
    features, labels = class_costs.extract(model, "maps", batches, verbose=0)
    expected = np.array(model.get_layer("maps")(x)).mean(axis=(1, 2))
    np.testing.assert_allclose(features, expected, rtol=1e-5)
    np.testing.assert_array_equal(labels, y)


def test_wrong_arguments_say_what_is_expected(clouds):
    source, source_labels, target, target_labels = clouds
    with pytest.raises(ValueError, match="a label for each sample"):
        class_costs.centroid(source, source_labels[:3], target, target_labels)
    with pytest.raises(ValueError, match="equally many coordinates"):
        class_costs.centroid(
            source[:, :3], source_labels, target, target_labels
        )
    with pytest.raises(ValueError, match=r"`by`.*max.*mean.*none"):
        class_costs.normalise(np.ones((2, 2)), by="median")
    with pytest.raises(ValueError, match="`kappa`"):
        class_costs.sharpen(np.ones((2, 2)), kappa=0.0)
