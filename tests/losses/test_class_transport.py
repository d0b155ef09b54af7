import keras
import numpy as np
import ot as pot
import pytest

import keras_otreg as otreg

TIGHT = otreg.ot.Sinkhorn(max_iterations=20_000, tolerance=1e-13)


@pytest.fixture
def predictions(rng):
    """Distributions over 6 and 4 classes: usual, with zeros, near one-hot."""
    a, b = rng.dirichlet(np.ones(6), 4), rng.dirichlet(np.ones(4), 4)
    a[0] = [0.0, 0.0, 0.4, 0.1, 0.5, 0.0]
    b[1] = [1 - 3e-9, 1e-9, 1e-9, 1e-9]
    return a, b


@pytest.fixture
def costs(rng):
    return rng.random((6, 4))


@pytest.fixture
def make_loss(costs):
    def make(epsilon=0.3, **kwargs):
        kwargs = {"solver": TIGHT, "dtype": "float64", **kwargs}
        return otreg.losses.ClassTransport(
            costs, epsilon, reduction="none", **kwargs
        )

    return make


@pytest.fixture
def values_and_gradients(compiled, value_and_gradients):
    graphs = {}

    def taken(loss, a, b):
        if loss not in graphs:
            graphs[loss] = compiled(value_and_gradients(loss))
        values, (of_a, of_b) = graphs[loss](a, b)
        return values, of_a, of_b

    return taken


def regularised_optimum(a, b, C, epsilon):
    """POT's plan, and the value that its plan has."""
    plan = pot.bregman.sinkhorn_log(
        a, b, C, epsilon, numItermax=50_000, stopThr=1e-12, warn=False
    )
    reference = np.outer(a, b)
    held = plan > 0
    entropy = (plan[held] * np.log(plan[held] / reference[held])).sum()
    return (plan * C).sum() + epsilon * entropy


@pytest.mark.release
@pytest.mark.parametrize("epsilon", [1.0, 0.02])
def test_value_is_that_of_pot(
    make_loss, predictions, costs, epsilon, values_and_gradients
):
    found, *_ = values_and_gradients(make_loss(epsilon), *predictions)
    with np.errstate(divide="ignore"):
        expected = [
            regularised_optimum(a, b, costs, epsilon * costs.mean())
            for a, b in zip(*predictions, strict=True)
        ]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.release
@pytest.mark.parametrize(("epsilon", "rho"), [(0.3, None), (0.01, 0.7)])
def test_gradient_equals_central_differences(
    make_loss, predictions, rng, epsilon, rho, values_and_gradients
):
    loss, step = make_loss(epsilon, rho=rho), 1e-6
    _, *gradients = values_and_gradients(loss, *predictions)
    for side, gradient in enumerate(gradients):
        move = rng.normal(size=predictions[side].shape)
        move[predictions[side] < 1e-4] = 0.0
        ends = []
        for sign in (1, -1):
            moved = list(predictions)
            moved[side] = moved[side] + sign * step * move
            ends.append(values_and_gradients(loss, *moved)[0])
        expected = (ends[0] - ends[1]) / (2 * step)
        np.testing.assert_allclose(
            (gradient * move).sum(1), expected, atol=1e-5
        )


def test_relaxed_value_is_the_textbook_primal_at_its_optimum(
    make_loss, predictions, costs, values_and_gradients
):
    rho, epsilon = 0.5, 0.3 * costs.mean()
    a, b = predictions[0][2:], 0.8 * predictions[1][2:]
    values, gradient, _ = values_and_gradients(make_loss(0.3, rho=rho), a, b)
    kernel = np.exp(-costs / epsilon - 1)
    power = rho / (rho + epsilon)
    for k in range(2):
        u, v = np.ones(6), np.ones(4)
        for _ in range(3000):
            u = (a[k] / (kernel @ v)) ** power
            v = (b[k] / (kernel.T @ u)) ** power
        plan = u[:, None] * kernel * v
        rows, columns = plan.sum(1), plan.sum(0)
        primal = (plan * costs).sum() + epsilon * (plan * np.log(plan)).sum()
        for mass, weights in ((rows, a[k]), (columns, b[k])):
            divergence = mass * np.log(mass / weights) - mass + weights
            primal += rho * divergence.sum()
        np.testing.assert_allclose(values[k], primal, rtol=1e-8)
        np.testing.assert_allclose(gradient[k], rho * (1 - rows / a[k]))


@pytest.mark.release
def test_kernel_and_log_domain_agree(
    make_loss, predictions, monkeypatch, values_and_gradients
):
    usual = values_and_gradients(make_loss(), *predictions)
    module = "keras_otreg.ot.shared_cost.LARGEST_SAFE_RATIO"
    monkeypatch.setattr(module, 0.0)
    logarithmic = values_and_gradients(make_loss(), *predictions)
    for x, y in zip(usual, logarithmic, strict=True):
        np.testing.assert_allclose(x, y, atol=1e-9)


def test_one_hot_predictions_cost_what_their_classes_cost(costs):
    loss = otreg.losses.ClassTransport(costs)
    source, target = np.eye(6)[[1, 5]], np.eye(4)[[2, 0]]
    np.testing.assert_allclose(
        loss(source, target), costs[[1, 5], [2, 0]].mean(), rtol=1e-5
    )


@pytest.mark.release
def test_sample_weights_weigh_samples(make_loss, predictions):
    a, b = predictions
    weights = np.array([1.0, 0.0, 2.0, 0.0])
    each = np.array(make_loss()(a, b))
    loss = otreg.losses.ClassTransport(
        make_loss().cost_matrix, 0.3, solver=TIGHT, dtype="float64"
    )
    np.testing.assert_allclose(
        loss(a, b, sample_weight=weights), (each * weights).sum() / 4
    )


@pytest.mark.release
def test_logits_are_what_softmax_makes_probabilities(make_loss, rng):
    logits = rng.normal(size=(4, 6)), rng.normal(size=(4, 4))
    a, b = (keras.ops.softmax(x) for x in logits)
    expected = make_loss()(a, b)
    np.testing.assert_allclose(make_loss(from_logits=True)(*logits), expected)
    np.testing.assert_allclose(
        make_loss(from_logits=(False, True))(a, logits[1]), expected
    )


@pytest.mark.release
def test_it_is_the_loss_of_a_classifier_whose_classes_have_a_metric(rng):
    distance = np.abs(np.arange(5.0)[:, None] - np.arange(5.0))
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(5)])
    loss = otreg.losses.ClassTransport(distance, from_logits=(False, True))
    model.compile(keras.optimizers.Adam(0.05), loss=loss)
    x = rng.normal(size=(30, 3)).astype("float32")
    y = keras.utils.to_categorical(np.clip(np.round(x[:, 0] + 2), 0, 4), 5)
    history = model.fit(x, y, epochs=15, verbose=0).history["loss"]
    assert history[-1] < 0.7 * history[0]


@pytest.mark.parametrize("scale", [0.0, 1e-4, 1e4])
def test_any_scale_of_costs_is_finite_in_float32(
    rng, scale, values_and_gradients
):
    costs = scale * rng.random((6, 4))
    loss = otreg.losses.ClassTransport(costs, reduction="none")
    a = np.eye(6, dtype="float32")[[0, 3]]
    b = rng.dirichlet(np.ones(4), 2).astype("float32")
    for array in values_and_gradients(loss, a, b):
        assert np.isfinite(array).all()


@pytest.mark.parametrize(
    "bad",
    [-np.ones((2, 2)), np.full((2, 2), np.nan), np.ones(3), [[]]],
    ids=str,
)
def test_what_is_not_a_cost_matrix_is_refused(bad):
    with pytest.raises(ValueError, match="`cost_matrix`"):
        otreg.losses.ClassTransport(bad)


def test_a_matrix_of_another_shape_is_refused(costs):
    loss = otreg.losses.ClassTransport(costs)
    with pytest.raises(ValueError, match=r"\(6, 4\).*\(2, 4\) and \(2, 6\)"):
        loss(np.ones((2, 4)) / 4, np.ones((2, 6)) / 6)


@pytest.mark.release
@pytest.mark.parametrize("epsilon", [0.3, 0.01])
def test_the_plan_has_the_predictions_as_marginals(
    make_loss, predictions, epsilon
):
    a, b = predictions
    plans = np.array(make_loss(epsilon).plan(a, b))
    assert plans.shape == (4, 6, 4)
    np.testing.assert_allclose(plans.sum(2), a, atol=1e-6)
    np.testing.assert_allclose(plans.sum(1), b, atol=1e-6)


@pytest.mark.parametrize("wrong", [None, 1, "yes", (True,), (True, 1)])
def test_logits_are_one_flag_or_two(wrong):
    with pytest.raises(ValueError, match="`from_logits`.*a pair of them"):
        otreg.losses.ClassTransport(np.eye(2), from_logits=wrong)
