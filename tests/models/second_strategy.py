"""Fits one network under a new strategy for each loss, and prints the losses.

Run in a process of its own: devices are set before TensorFlow starts.
"""

import sys

import keras
import numpy as np
import tensorflow as tf

import keras_otreg as otreg
from keras_otreg import losses

(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * 2
)
rng = np.random.default_rng(0)
x, y = rng.normal(size=(16, 6)), rng.normal(size=(16, 3))
for loss in (losses.Hint(), losses.MaximumMeanDiscrepancy(), losses.Coral()):
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        student = keras.Sequential(
            [
                keras.Input((6,)),
                keras.layers.Dense(5, name="features"),
                keras.layers.Dense(3),
            ]
        )
        penalty = otreg.Penalty(loss, at="features")
        model = otreg.TransferModel(student, penalties=[penalty])
        model.compile("sgd", "mse")
    value = model.fit(x, y, batch_size=8, verbose=0).history["loss"][0]
    sys.stdout.write(f"{value}\n")
