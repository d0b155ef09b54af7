import keras
import numpy as np
import pytest

from keras_otreg import solve_head
from keras_otreg.callbacks import SelfTraining
from keras_otreg.labelling import from_probabilities, solve_head_in_rounds

layers = keras.layers


def network(classes=3, activation="softmax"):
    x = keras.Input((4,))
    keras.utils.set_random_seed(2)
    inner = layers.Dense(6, "tanh")(x)
    return keras.Model(x, layers.Dense(classes, activation)(inner))


@pytest.fixture
def samples(rng):
    """Labelled, unlabelled and held out samples of three unequal classes."""
    y = np.concatenate([[0, 1, 2], rng.choice(3, 117, p=[0.7, 0.2, 0.1])])
    x = rng.normal(size=(120, 4)) + 2.0 * np.eye(4)[y]
    return (x[:9], y[:9]), (x[9:49], y[9:49]), (x[49:], y[49:])


@pytest.mark.slow
def test_a_round_is_the_labelling_and_the_solution_on_both(samples):
    (x, y), (more, _), _ = samples
    found = solve_head_in_rounds(
        (model := network()), (x, y), more, rounds=1, sure=0.3, l2=0.1
    )
    solve_head((first := network()), x, y, l2=0.1)
    expected = from_probabilities(first.predict(more, verbose=0))
    np.testing.assert_allclose(found.labels.plan, expected.plan, atol=1e-5)
    rows = expected.sample_weight > 0.0
    batches = [
        (x, np.eye(3)[y], np.full(9, 1.0 / 9.0)),
        (
            more[rows],
            expected.probabilities[rows],
            np.full(rows.sum(), 1.0 / rows.sum()),
        ),
    ]
    solve_head((second := network()), batches, l2=0.1)
    for one, other in zip(
        model.get_weights(), second.get_weights(), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-3)
    assert found.scores == []


@pytest.mark.slow
def test_the_head_ends_as_in_its_best_round(samples):
    labelled, (more, truth), held = samples
    shares = np.bincount(truth) / len(truth)
    model = network()
    found = solve_head_in_rounds(
        model, labelled, more, shares=shares, validation=held
    )
    assert len(found.scores) == 4
    reached = model.predict(held[0], verbose=0).argmax(axis=1) == held[1]
    assert reached.mean() == pytest.approx(max(found.scores))
    np.testing.assert_allclose(found.labels.plan.sum(axis=0), shares, atol=1e-4)
    assert found.labels.sample_weight.all()


@pytest.mark.slow
def test_worse_labels_are_undone(samples):
    labelled, (more, _), held = samples
    solve_head((start := network()), *labelled, l2=0.01)
    found = solve_head_in_rounds(
        (model := network()),
        labelled,
        more,
        l2=0.01,
        # Of a class that is rare.
        shares=[0.0, 0.0, 1.0],
        sure=1.0,
        validation=held,
    )
    assert found.scores[0] > found.scores[1]
    for one, other in zip(
        start.get_weights(), model.get_weights(), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize(
    ("sure", "message"),
    [
        ((0.3,), "1 shares"),
        ((0.3, 0.5, 1.0), "3 shares"),
        ((0.3, 1.5), "at most 1"),
        ("all", "share above 0"),
        (None, "share above 0"),
    ],
)
def test_shares_of_samples_are_checked_before_anything_runs(sure, message):
    with pytest.raises(ValueError, match=message):
        solve_head_in_rounds(None, None, None, sure=sure)
    with pytest.raises(ValueError, match=message):
        SelfTraining(np.ones((4, 4)), sure=sure)


@pytest.mark.slow
def test_a_network_in_half_precision_learns_like_another(samples):
    labelled, (more, _), _ = samples
    with_policy = keras.DTypePolicy("mixed_bfloat16")
    plain = network()
    half = keras.models.clone_model(
        plain,
        clone_function=lambda layer: layer.__class__.from_config(
            {**layer.get_config(), "dtype": with_policy}
        ),
    )
    half.set_weights(plain.get_weights())
    one, other = (
        solve_head_in_rounds(model, labelled, more, l2=0.1).labels
        for model in (plain, half)
    )
    np.testing.assert_allclose(
        other.probabilities, one.probabilities, atol=0.05
    )


@pytest.mark.parametrize("labelled", [None, "folder"])
def test_labelled_samples_have_to_be_data(samples, labelled):
    with pytest.raises(ValueError, match="arrays of samples"):
        solve_head_in_rounds(network(), labelled, samples[1][0])


def test_a_sigmoid_is_refused(samples):
    labelled, (more, _), _ = samples
    with pytest.raises(ValueError, match="one class of several"):
        solve_head_in_rounds(network(1, "sigmoid"), labelled, more)
