"""Opt in with `python -m pytest -m benchmark -s tests/benchmarks`."""

import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import keras_otreg as otreg

# Expansion, channels, repeats, stride and kernel of EfficientNet-Lite0.
STAGES = [
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
]


def normalised(x, act=True):
    x = layers.BatchNormalization(epsilon=1e-3)(x)
    return layers.ReLU(6.0)(x) if act else x


def block(x, expansion, channels, stride, kernel):
    width, y = x.shape[-1], x
    if expansion > 1:
        y = layers.Conv2D(expansion * width, 1, use_bias=False)(y)
        y = normalised(y)
    y = layers.DepthwiseConv2D(kernel, stride, "same", use_bias=False)(y)
    y = layers.Conv2D(channels, 1, use_bias=False)(normalised(y))
    y = normalised(y, act=False)
    return y + x if stride == 1 and width == channels else y


def efficientnet_lite0(classes):
    inputs = keras.Input((128, 128, 3))
    x = layers.Conv2D(32, 3, 2, "same", use_bias=False)(inputs)
    x = normalised(x)
    for expansion, channels, repeats, stride, kernel in STAGES:
        for k in range(repeats):
            stride_here = stride if k == 0 else 1
            x = block(x, expansion, channels, stride_here, kernel)
    x = normalised(layers.Conv2D(1280, 1, use_bias=False)(x))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(classes, "softmax")(x))


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
    model = efficientnet_lite0(100)
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
