"""Shares of classes that are estimated from validation samples."""

import keras
import numpy as np
import pytest

from keras_otreg import solve_head
from keras_otreg.callbacks import SelfTraining
from keras_otreg.data import with_labels
from keras_otreg.features.batches import softmax
from keras_otreg.labelling import (
    from_probabilities,
    solve_head_in_rounds,
    transported_labels,
)
from keras_otreg.labelling.shares import estimated_shares

pytest.importorskip("scipy")


def gaussians(rng, counts):
    """Two Gaussians, and logits that are exact for equal shares."""
    y = np.repeat([0, 1], counts)
    x = rng.normal(size=len(y)) + 3.0 * y
    return np.stack([np.zeros(len(y)), 3.0 * x - 4.5], axis=1), np.eye(2)[y]


def test_the_estimate_is_the_optimum_of_likelihood_and_prior(rng):
    from scipy import optimize

    held, targets = gaussians(rng, [3000, 3000])
    logits, _ = gaussians(rng, [3600, 400])
    p = softmax(logits)

    def objective(first):
        mixture = p @ [first / 0.5, (1.0 - first) / 0.5]
        prior = 0.5 * np.log(first) + 0.5 * np.log(1.0 - first)
        return -np.log(mixture).mean() - prior

    expected = optimize.minimize_scalar(objective, (0.1, 0.9), (0.01, 0.99)).x
    found = estimated_shares(p, softmax(held), targets)
    assert found.sum() == pytest.approx(1.0)
    assert found[0] == pytest.approx(expected, abs=0.01)
    # The prior of equal shares holds it back.
    assert abs(found[0] - 0.9) < 0.6 * abs(0.5 - 0.9)
    # Calibration undoes a temperature and a bias.
    sure, sure_held = (softmax(3.0 * x + [1.0, 0.0]) for x in (logits, held))
    again = estimated_shares(sure, sure_held, targets)
    np.testing.assert_allclose(again, found, atol=2e-3)


def test_predictions_that_say_nothing_leave_the_shares_of_the_validation():
    y = np.repeat(np.arange(3), [600, 300, 100])
    p = np.full((1000, 3), 1.0 / 3.0)
    found = estimated_shares(p[:40], p, np.eye(3)[y])
    np.testing.assert_allclose(found, [0.6, 0.3, 0.1], atol=0.01)


@pytest.fixture
def known(rng):
    """Probabilities of 60 samples, and of 50 others with their classes."""
    y = rng.choice(5, 50, p=[0.4, 0.3, 0.1, 0.1, 0.1])
    logits = rng.normal(size=(110, 5))
    logits[:50] += 2.0 * np.eye(5)[y]
    p = softmax(logits)
    return p[50:], (p[:50], y)


def test_permuted_classes_have_permuted_shares_which_the_plan_meets(rng, known):
    p, (held, y) = known
    found = from_probabilities(p, shares="validation", validation=(held, y))
    order = rng.permutation(5)
    other = from_probabilities(
        p[:, order],
        shares="validation",
        validation=(held[:, order], np.argsort(order)[y]),
    )
    np.testing.assert_allclose(other.shares, found.shares[order], atol=1e-4)
    np.testing.assert_allclose(found.plan.sum(axis=0), found.shares, atol=1e-4)
    rows = from_probabilities(
        p, shares="validation", validation=(held, np.eye(5)[y])
    )
    np.testing.assert_array_equal(rows.shares, found.shares)


@pytest.mark.parametrize(
    ("held", "y", "message"),
    [
        (None, 5, "from 0 to 4.*labels such as 5"),
        (None, np.nan, "1 values not finite"),
        (np.nan, 0, "1 values not finite"),
        (2.0, 0, "Put a softmax"),
    ],
)
def test_wrong_validation_samples_are_refused(known, held, y, message):
    p, (values, labels) = known
    values, labels = values.copy(), labels.astype(float)
    values[3, 2] = held or values[3, 2]
    labels[7] = y
    with pytest.raises(ValueError, match=f"`validation`.*{message}"):
        from_probabilities(p, shares="validation", validation=(values, labels))


def test_validation_samples_of_other_numbers_are_refused(known):
    p, (held, y) = known
    for wrong in ((held[:30], y), (softmax(held[:, :4]), y % 4)):
        with pytest.raises(ValueError, match="the 5 classes and a label"):
            from_probabilities(p, shares="validation", validation=wrong)


def network():
    x = keras.Input((4,))
    keras.utils.set_random_seed(2)
    return keras.Model(x, keras.layers.Dense(3, "softmax")(x))


@pytest.fixture
def samples(rng):
    """Labelled, unlabelled and validation samples."""
    y = np.concatenate([[0, 1, 2], rng.choice(3, 117, p=[0.7, 0.2, 0.1])])
    x = rng.normal(size=(120, 4)) + 2.0 * np.eye(4)[y]
    return (x[:9], y[:9]), x[9:49], (x[49:], y[49:])


def test_without_validation_samples_nothing_runs(samples):
    labelled, more, _ = samples
    calls = [
        lambda **given: from_probabilities(np.full((4, 3), 1 / 3), **given),
        lambda **given: transported_labels(None, more, **given),
        lambda **given: solve_head_in_rounds(None, labelled, more, **given),
        lambda **given: SelfTraining(more, **given),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="validation samples with labels"):
            call(shares="validation")


@pytest.mark.slow
def test_a_round_estimates_the_shares_with_its_head(samples):
    labelled, more, held = samples
    found = solve_head_in_rounds(
        network(),
        labelled,
        more,
        rounds=1,
        shares="validation",
        l2=0.1,
        validation=held,
    ).labels
    solve_head((first := network()), *labelled, l2=0.1)
    expected = transported_labels(
        first, more, shares="validation", validation=held, verbose=False
    )
    np.testing.assert_allclose(found.shares, expected.shares, atol=1e-4)
    own = from_probabilities(
        first.predict(more, verbose=0),
        shares="validation",
        validation=(first.predict(held[0], verbose=0), held[1]),
    )
    np.testing.assert_allclose(expected.shares, own.shares, atol=1e-5)
    # The temperature is that of both kinds of probabilities.
    warm = transported_labels(
        first,
        more,
        shares="validation",
        validation=held,
        temperature=2.0,
        verbose=False,
    )
    np.testing.assert_allclose(warm.shares, own.shares, atol=1e-3)


@pytest.mark.tensorflow
@pytest.mark.slow
def test_self_training_estimates_the_shares_in_each_round(samples):
    labelled, more, held = samples
    solve_head((model := network()), *labelled, l2=0.1)
    model.compile("sgd", "categorical_crossentropy")
    rounds = SelfTraining(more, rounds=2, shares="validation", validation=held)
    seen = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda *_: seen.append(rounds.labels.shares)
    )
    expected = transported_labels(
        model, more, shares="validation", validation=held, verbose=False
    ).shares
    data = with_labels(labelled, (more, rounds), batch_size=8)
    model.fit(data, epochs=2, verbose=0, callbacks=[rounds, watch])
    np.testing.assert_allclose(seen[0], expected, atol=1e-6)
    assert np.abs(seen[1] - seen[0]).max() > 1e-6


@pytest.mark.slow
def test_self_training_whose_labels_nobody_reads_warns_once(samples):
    (x, y), more, _ = samples
    model = network()
    model.compile("sgd", "sparse_categorical_crossentropy")
    solve_head(model, x, y, l2=0.1)
    with pytest.warns(UserWarning, match="No data read the labels") as told:
        model.fit(x, y, epochs=3, verbose=0, callbacks=[SelfTraining(more)])
    assert len(told) == 1
