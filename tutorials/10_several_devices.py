# %% [markdown]
# # Several devices
#
# `TransferModel` trains under `tf.distribute` as any Keras model does: build
# it in the scope of a strategy. Here one processor plays two devices, so that
# you can try it anywhere.

# %%
import pathlib
import tempfile

import keras
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits

import keras_otreg as otreg

(processor,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(
    processor, [tf.config.LogicalDeviceConfiguration()] * 2
)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
print("replicas:", strategy.num_replicas_in_sync)

# %% [markdown]
# ## Build and compile in the scope
#
# Create everything that has variables there: student, teacher, wrapper,
# optimizer.

# %%
pixels, labels = load_digits(return_X_y=True)
pixels = (pixels / 16.0).astype("float32")


def transfer_model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((64,))
    h = keras.layers.Dense(32, activation="relu", name="features")(inputs)
    student = keras.Model(inputs, keras.layers.Dense(10, "softmax")(h))
    penalty = otreg.Penalty(
        otreg.losses.RepresentationTransport(), at="features"
    )
    model = otreg.TransferModel(student, penalties=[penalty])
    model.compile(
        keras.optimizers.SGD(0.1),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


with strategy.scope():
    on_two = transfer_model()
on_one = transfer_model()

# %% [markdown]
# ## Train
#
# A batch of 64 is split into two of 32. Without shuffling both see the same
# pictures in the same order.

# %%
settings = {"batch_size": 64, "epochs": 8, "shuffle": False, "verbose": 0}
logs = {}
for name, model in {"one": on_one, "two": on_two}.items():
    logs[name] = model.fit(pixels[:1280], labels[:1280], **settings).history
    values = {key: round(v[-1], 4) for key, v in logs[name].items()}
    print(f"{name} device(s): {values}")

gaps = {
    key: abs(values[-1] - logs["two"][key][-1])
    for key, values in logs["one"].items()
}
for key, gap in gaps.items():
    print(f"{key} differs by {gap:.1e}")

# %% [markdown]
# The two agree up to rounding, and so does the penalty: the replicas add up
# the costs of their parts of the batch, and all solve one problem, that of the
# 64 pictures. `RepresentationTransport(across_replicas=False)` keeps them
# apart: nothing is sent, and each makes a plan of its own from its 32
# pictures. See [scaling out](../docs/pages/scaling_out.md).
#
# ## Save
#
# The student is a plain Keras model.

# %%
path = pathlib.Path(tempfile.mkdtemp()) / "from_two_devices.keras"
on_two.student.save(path)
again = keras.saving.load_model(path)
x = pixels[1280:]
same = np.allclose(
    again.predict(x, verbose=0),
    on_two.predict(x, verbose=0),
    atol=1e-5,
)
print("same answers after loading, without a strategy:", same)
