import keras
import numpy as np
import pytest

from keras_otreg import solve_head
from keras_otreg.heads import held_out_logits
from keras_otreg.labelling.labels import (
    best_temperature,
    from_probabilities,
    transported_labels,
)

layers = keras.layers


def softmax(logits):
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


@pytest.fixture
def p(rng):
    """Probabilities of 40 samples and 5 classes."""
    return softmax(2.0 * rng.normal(size=(40, 5)))


@pytest.fixture
def shares(rng):
    return rng.dirichlet(np.full(5, 3.0))


def classifier(inputs, classes, activation="softmax"):
    x = keras.Input((inputs,))
    return keras.Model(x, layers.Dense(classes, activation)(x))


@pytest.mark.compiled
@pytest.mark.slow
def test_for_a_small_epsilon_it_is_the_linear_programme_of_scipy(p, shares):
    optimize = pytest.importorskip("scipy.optimize")
    (n, k), C = p.shape, -np.log(p)
    rows = np.kron(np.eye(n), np.ones(k))
    columns = np.kron(np.ones(n), np.eye(k))
    expected = optimize.linprog(
        C.ravel(),
        A_eq=np.concatenate([rows, columns]),
        b_eq=np.concatenate([np.full(n, 1 / n), shares]),
    )
    plan = from_probabilities(p, shares=shares, epsilon=0.01).plan
    np.testing.assert_allclose((plan * C).sum(), expected.fun, rtol=2e-3)
    np.testing.assert_allclose(plan, expected.x.reshape(n, k), atol=2e-3)


def test_without_a_price_and_for_epsilon_one_labels_are_the_predictions(p):
    settings = {"shares": "uniform", "epsilon": 1.0, "rho": 0.0}
    found = from_probabilities(p, **settings)
    np.testing.assert_allclose(found.probabilities, p, rtol=1e-6)
    # More and more of the shares, which are not those of the predictions.
    errors = [
        np.abs(
            from_probabilities(p, **{**settings, "rho": rho}).plan.sum(0) - 0.2
        )
        for rho in (0.0, 0.5, None)
    ]
    assert errors[0].sum() > errors[1].sum() > errors[2].sum()


def test_rows_are_exact_and_columns_are_the_known_shares(p, shares):
    found = from_probabilities(p, shares=shares)
    np.testing.assert_allclose(found.plan.sum(axis=1), 1 / 40, rtol=1e-5)
    np.testing.assert_allclose(found.plan.sum(axis=0), shares, atol=1e-4)
    np.testing.assert_allclose(found.shares, shares)
    named = dict(zip("abcde", shares, strict=True))
    again = from_probabilities(p, shares=named, class_names="abcde")
    np.testing.assert_array_equal(again.plan, found.plan)


@pytest.mark.slow
def test_unequal_clusters_need_their_shares(rng):
    y = np.repeat([0, 1], [90, 10])
    logits = rng.normal(size=100) + 4.0 * (2.0 * y - 1.0)
    p = softmax(np.stack([-logits, logits], axis=1) / 2.0)

    def errors(shares):
        found = from_probabilities(p, shares=shares, sure=1.0, rho=None)
        return (found.probabilities.argmax(axis=1) != y).mean()

    assert errors("uniform") >= 0.39
    assert errors([0.9, 0.1]) == 0.0
    assert errors("model") <= 0.02


@pytest.mark.slow
@pytest.mark.parametrize("shares", ["model", "uniform"])
def test_the_order_of_samples_and_classes_does_not_matter(rng, p, shares):
    found = from_probabilities(p, shares=shares)
    rows, columns = rng.permutation(40), rng.permutation(5)
    other = from_probabilities(p[rows][:, columns], shares=shares)
    np.testing.assert_allclose(
        other.probabilities, found.probabilities[rows][:, columns], atol=1e-4
    )
    np.testing.assert_array_equal(
        other.sample_weight, found.sample_weight[rows]
    )


def test_a_sample_of_equal_probabilities_never_has_a_weight(p):
    p = np.concatenate([p, np.full((3, 5), 0.2)])
    # The plan alone would be sure of these.
    shares = [0.96, 0.01, 0.01, 0.01, 0.01]
    found = from_probabilities(p, shares=shares, sure=1.0)
    assert found.sample_weight[:40].all()
    assert not found.sample_weight[40:].any()


def test_the_surest_share_of_the_samples_has_weight_one(p, shares):
    found = from_probabilities(p, shares=shares, sure=0.25)
    assert set(found.sample_weight) == {0.0, 1.0}
    sureness = found.probabilities.max(axis=1)
    chosen = found.sample_weight > 0
    assert chosen.sum() == 10
    assert sureness[chosen].min() >= sureness[~chosen].max()


def test_shares_of_the_labelled_samples_count_each_class_once_more(p):
    found = from_probabilities(p, shares="labelled", y=[0, 0, 0, 1, 2])
    np.testing.assert_allclose(found.shares, np.array([4, 2, 2, 1, 1]) / 10)


@pytest.mark.slow
def test_the_temperature_undoes_that_of_the_logits(rng):
    logits = rng.normal(size=(4000, 5))
    y = np.array([rng.choice(5, p=each) for each in softmax(logits)])
    assert 2.7 < best_temperature(3.0 * logits, y) < 3.3
    model = classifier(5, 5)
    model.layers[-1].set_weights([3.0 * np.eye(5), np.zeros(5)])
    found = transported_labels(
        model, logits[:40], validation=(logits, y), temperature="validation"
    )
    assert 2.7 < found.temperature < 3.3
    expected = softmax(3.0 * logits[:40] / found.temperature)
    expected = from_probabilities(expected)
    np.testing.assert_allclose(found.plan, expected.plan, atol=1e-5)


@pytest.mark.slow
def test_a_head_of_few_samples_is_too_sure_by_its_own_samples(rng):
    pytest.importorskip("scipy")
    y = rng.integers(0, 5, 800)
    x = rng.normal(size=(800, 20)) + 0.5 * rng.normal(size=(5, 20))[y]
    model = classifier(20, 5)
    solve_head(model, x[:60], y[:60], l2=1e-4)
    own = best_temperature(*held_out_logits(model, x[:60], y[:60]))
    logits = x @ model.layers[-1].kernel + model.layers[-1].bias
    expected = best_temperature(np.asarray(logits)[60:], y[60:])
    assert expected > 2.0
    assert 0.7 < own / expected < 1.4


def test_batches_are_labelled_like_arrays(rng):
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 4

        def __getitem__(self, index):
            return (x[10 * index : 10 * index + 10],)

    x = rng.normal(size=(40, 6)).astype("float32")
    model = classifier(6, 5)
    one, other = (transported_labels(model, data) for data in (x, Batches()))
    np.testing.assert_allclose(other.plan, one.plan, atol=1e-6)
    assert len(other.checksums) == 40


def test_with_fewer_samples_than_classes_shares_are_relaxed(p):
    with pytest.warns(UserWarning, match="fewer samples"):
        found = from_probabilities(p[:3], shares=np.full(5, 0.2))
    assert np.isfinite(found.plan).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shares": np.full(5, 0.3)}, "sum to 1"),
        ({"shares": [0.5, 0.5]}, "shares of 5 classes"),
        ({"shares": {"a": 0.5, "x": 0.5}, "class_names": "abcde"}, "'x'"),
        ({"shares": "known"}, "'labelled', 'model', 'uniform', 'validation'"),
        ({"shares": [-0.1, 0.5, 0.2, 0.2, 0.2]}, "of at least 0"),
        ({"shares": list("abcde")}, "no numbers"),
        ({"shares": {k: str(k) * 2 + "%" for k in range(5)}}, "no numbers"),
        ({"shares": [[0.5], [0.2, 0.3]]}, "no numbers"),
        ({"shares": {0.1, 0.9}}, "no numbers"),
        ({"shares": "labelled", "y": None}, "labels of the labelled"),
        ({"shares": "labelled", "y": []}, "`y`.*non-empty"),
        ({"shares": "labelled", "y": ["a"]}, "`y`.*finite numbers"),
        ({"shares": "labelled", "y": [0.0, np.nan]}, "1 values not finite"),
        ({"shares": "labelled", "y": [0.0, 2.7]}, "labels such as 2.7"),
        ({"sure": 0.0}, "share above 0"),
        ({"probabilities": np.log(np.full((4, 5), 0.2))}, "Put a softmax"),
        ({"probabilities": np.full((4, 5), np.nan)}, "not finite"),
        ({"probabilities": [[0.2, 0.8], [1.0]]}, "unequal lengths"),
        ({"probabilities": np.ones((4, 1))}, "two or more classes"),
        ({"probabilities": np.ones((0, 5))}, "non-empty"),
    ],
)
def test_what_is_no_labelling_is_refused(p, change, message):
    with pytest.raises(ValueError, match=message):
        from_probabilities(**{"probabilities": p, **change})


def test_a_temperature_needs_its_samples(p):
    for name in ("validation", "labelled"):
        with pytest.raises(ValueError, match=f"{name} samples"):
            transported_labels(
                classifier(6, 5), np.ones((4, 6)), temperature=name
            )


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_probabilities_of_half_precision_are_enough(rng, dtype):
    # Some are below the least number of the type, and sums are not one.
    p = rng.dirichlet(np.full(300, 0.05), 40)
    half = keras.ops.convert_to_numpy(keras.ops.cast(p, dtype))
    found = from_probabilities(half)
    expected = from_probabilities(p)
    np.testing.assert_allclose(
        found.probabilities, expected.probabilities, atol=0.03
    )


@pytest.mark.parametrize("x", [np.zeros((0, 6)), [], {}])
def test_no_samples_are_refused(x):
    with pytest.raises(ValueError, match="at least one unlabelled sample"):
        transported_labels(classifier(6, 3), x)


@pytest.mark.parametrize("x", [None, "folder", 3])
def test_what_is_no_data_is_refused(x):
    with pytest.raises(ValueError, match="arrays of samples"):
        transported_labels(classifier(6, 3), x)


def test_models_without_probabilities_of_one_output_are_refused():
    with pytest.raises(ValueError, match="Put a softmax"):
        transported_labels(classifier(6, 3, None), np.ones((4, 6)))
    x = keras.Input((6,))
    two = keras.Model(x, [layers.Dense(k, "softmax")(x) for k in (2, 3)])
    with pytest.raises(ValueError, match="unequal lengths"):
        transported_labels(two, np.ones((4, 6)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        # Its second sample would be taken for the labels.
        ({"labelled": np.ones((3, 6))}, "pair"),
        ({"labelled": (np.ones((3, 6)),)}, "without labels"),
        (
            {"temperature": "validation", "validation": np.ones((3, 6))},
            "without labels",
        ),
        ({"batch_size": 0}, "`batch_size`"),
    ],
)
def test_samples_without_labels_and_empty_batches_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        transported_labels(
            classifier(6, 3), np.ones((4, 6)), shares="labelled", **change
        )


@pytest.mark.release
@pytest.mark.compiled
def test_many_samples_of_many_classes_have_their_shares(rng):
    p = softmax(3.0 * rng.normal(size=(20_000, 1_000)).astype("float32"))
    shares = rng.dirichlet(np.full(1_000, 2.0))
    found = from_probabilities(p, shares=shares)
    assert np.abs(found.plan.sum(axis=0) - shares).sum() < 1e-3
