# %% [markdown]
# # Time series
#
# The penalties work on any data; here they are vibrations of machines. A
# network that was trained on many recordings of one machine learns the faults
# of another, which turns at another speed and is noisier, from three
# recordings of each.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np

import keras_otreg as otreg

NAMES = ["healthy", "unbalanced", "worn bearing", "loose"]


def recordings(count, speed, noise, seed):
    """Vibration as sums of what each fault is known for, with noise."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 4
    time = np.arange(256) / 256.0
    signals = []
    for label in labels:
        turns = speed * rng.uniform(0.9, 1.1)
        angle = 2 * np.pi * (turns * time + rng.uniform())
        signal = 0.5 * np.sin(angle)
        if label == 1:  # shakes once a turn
            signal += rng.uniform(0.8, 1.2) * np.sin(angle)
        if label == 2:  # rings at each passing ball
            ringing = np.sin(25.0 * angle) * (np.sin(3.5 * angle) > 0.8)
            signal += rng.uniform(0.8, 1.2) * ringing
        if label == 3:  # bangs against its limits
            signal = np.clip(2.0 * signal, -0.35, 0.35)
        signals.append(signal + noise * rng.normal(size=256))
    return np.array(signals, "float32")[..., None], labels


source = recordings(1200, speed=6.0, noise=0.1, seed=0)
few = recordings(12, speed=9.0, noise=0.3, seed=1)
test = recordings(400, speed=9.0, noise=0.3, seed=2)

figure, panels = plt.subplots(1, 4, figsize=(12, 2), layout="constrained")
for axes, name, signal in zip(panels, NAMES, few[0], strict=False):
    axes.plot(signal[:, 0], color="#0072B2", linewidth=0.8)
    axes.set(title=name, xlabel="sample")

# %% [markdown]
# ## The network of the first machine
#
# Two convolutions along the time, averaged over it.


# %%
def network():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    inputs = keras.Input((256, 1))
    h = layers.Conv1D(16, 9, 2, activation="relu", name="stage1")(inputs)
    h = layers.Conv1D(32, 9, 2, activation="relu", name="stage2")(h)
    h = layers.GlobalAveragePooling1D(name="features")(h)
    return keras.Model(inputs, layers.Dense(4, "softmax", name="head")(h))


def compiled(model):
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(0.003), loss, metrics=["accuracy"])
    return model


pretrained = compiled(network())
pretrained.fit(*source, batch_size=64, epochs=15, verbose=0)
print("first machine:", pretrained.evaluate(*source, verbose=0, return_dict=1))
print("second:", pretrained.evaluate(*test, verbose=0, return_dict=True))

# %% [markdown]
# ## Three recordings of each fault
#
# `spatial="keep"` compares channels moment by moment; the default averages a
# channel over the time first. Both are a line in the penalty, and the layer is
# named as in any network.


# %%
def fine_tuned(penalties, start=pretrained):
    student = network()
    if start is not None:
        student.set_weights(start.get_weights())
    model = compiled(otreg.TransferModel(student, penalties=penalties))
    model.fit(*few, batch_size=12, epochs=60, verbose=0)
    return model


transport = otreg.losses.RepresentationTransport()
kept = otreg.losses.RepresentationTransport(spatial="keep", name="kept")
models = {
    "from scratch": fine_tuned([], start=None),
    "plain fine-tuning": fine_tuned([]),
    "transport at features": fine_tuned(
        [otreg.Penalty(transport, at="features", weight=1.0)]
    ),
    "transport at stage2, kept": fine_tuned(
        [otreg.Penalty(kept, at="stage2", weight=0.1)]
    ),
}
scores = {}
for name, model in models.items():
    logs = model.evaluate(*test, verbose=0, return_dict=True)
    scores[name] = logs["accuracy"]
    print(f"{name:>26}: {scores[name]:.3f}")
gain = scores["plain fine-tuning"] - scores["from scratch"]
print(f"The first machine's network is worth {gain:+.3f}.")

# %% [markdown]
# Training on the first machine helps with the second. The effect of a penalty
# is printed above for this one draw; the weights were not tuned, and [How to
# choose](../docs/pages/how_to_choose.md) says where to begin. For tables use
# `keras.Input((columns,))`, dense layers, and a penalty at the last of them.
#
# ## Did the neurons move?

# %%
model = models["transport at features"]
signals = test[0]
_, known = otreg.features.capture(model.teacher, signals, ["features"])
_, found = otreg.features.capture(model.student, signals, ["features"])
P = np.asarray(transport.plan(known["features"], found["features"]))
stayed = (P.argmax(axis=1) == np.arange(32)).mean()
print(f"{stayed:.0%} of the 32 channels have kept their role.")
otreg.plots.plan({"channels": P}, aligned=["channels"])
