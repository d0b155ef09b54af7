"""Other learning rates for parts of the student, by Keras's own optimizer."""

import keras
import numpy as np
import pytest

import keras_otreg as otreg

optimizers = keras.optimizers


def slow_body(rate):
    """A tenth of the rate for all but the head."""
    heads = {"(.*/)?head/.*": optimizers.Adam(rate)}
    body = optimizers.Adam(0.1 * rate)
    return optimizers.MultiOptimizer(optimizers.OptimizerMap(body, heads))


def student():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(8, activation="relu", name="features"),
            keras.layers.Dense(3, activation="softmax", name="head"),
        ]
    )


def model(rate=1e-2):
    penalty = otreg.Penalty(otreg.losses.Hint(), at="features", weight=0.1)
    made = otreg.TransferModel(student(), penalties=[penalty])
    made.compile(slow_body(rate), "sparse_categorical_crossentropy")
    return made


@pytest.fixture
def samples(rng):
    return rng.normal(size=(16, 6)).astype("float32"), np.arange(16) % 3


def moved(model, start):
    """The largest step of a weight in each layer."""
    return [
        np.abs(x - y).max()
        for x, y in zip(model.student.get_weights(), start, strict=True)
    ]


def test_the_body_learns_at_a_tenth_of_the_rate_of_the_head(samples):
    made = model()
    start = made.student.get_weights()
    made.fit(*samples, batch_size=16, epochs=1, verbose=0)
    # The first step of Adam is the learning rate.
    np.testing.assert_allclose(
        moved(made, start), [1e-3, 1e-3, 1e-2, 1e-2], rtol=0.02
    )


@pytest.mark.release
def test_a_loaded_model_goes_on_with_both_rates(samples, tmp_path):
    made = model()
    made.fit(*samples, batch_size=16, epochs=2, verbose=0)
    made.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for each in (made, loaded):
        each.fit(*samples, batch_size=16, epochs=1, shuffle=False, verbose=0)
    for x, y in zip(made.weights, loaded.weights, strict=True):
        np.testing.assert_allclose(x, y, atol=1e-6)


@pytest.mark.release
def test_keras_tuner_searches_the_rate_of_both(samples, tmp_path):
    keras_tuner = pytest.importorskip("keras_tuner")

    def compile_model(hp, model):
        rate = hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")
        model.compile(
            slow_body(rate),
            "sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )

    hypermodel = otreg.tuning.TransferHyperModel(
        build_student=lambda hp: student(),
        penalties=lambda hp: [
            otreg.tuning.alignment_space(hp, at=["features"])
        ],
        compile=compile_model,
    )
    tuner = keras_tuner.RandomSearch(
        hypermodel,
        otreg.tuning.objective("val_accuracy"),
        max_trials=2,
        directory=tmp_path,
    )
    tuner.search(*samples, validation_data=samples, epochs=2, verbose=0)
    rates = {row["learning_rate"] for row in otreg.tuning.trials(tuner)}
    assert len(rates) == 2
    (best,) = tuner.get_best_models()
    found = [float(x.learning_rate) for x in best.optimizer.optimizers]
    assert max(found) in [pytest.approx(rate) for rate in rates]
    assert min(found) == pytest.approx(0.1 * max(found))
