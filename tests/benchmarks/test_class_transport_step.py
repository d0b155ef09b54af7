"""Opt in with `python -m pytest -m benchmark -s tests/benchmarks`."""

import time

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_otreg as otreg


def best_seconds(work, repeats):
    work()
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


@pytest.mark.benchmark
def test_class_transport_costs_a_tenth_of_a_step_at_most(rng):
    backbone = otreg.data.efficientnet_lite0(
        (128, 128, 3), include_top=False, weights=None, pooling="avg"
    )
    head = keras.layers.Dense(100, "softmax")
    model = keras.Model(backbone.input, head(backbone.output))
    model.compile("sgd", "sparse_categorical_crossentropy")
    x = rng.random((256, 128, 128, 3), dtype="float32")
    y = rng.integers(0, 100, 256)
    step = best_seconds(lambda: model.train_on_batch(x, y), 3)
    loss = otreg.losses.ClassTransport(rng.random((1000, 100)))
    a, b = (
        tf.nn.softmax(3.0 * tf.random.normal((256, classes)))
        for classes in (1000, 100)
    )

    @tf.function
    def transport():
        with tf.GradientTape() as tape:
            tape.watch([a, b])
            value = loss(a, b)
        return tape.gradient(value, [a, b])

    seconds = best_seconds(lambda: np.array(transport()[0]), 5)
    print(f"step {step:.3f} s, class transport {seconds:.3f} s")
    assert seconds < 0.1 * step
