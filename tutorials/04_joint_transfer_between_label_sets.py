# %% [markdown]
# # Joint transfer between label sets
#
# Fifty labelled handwritten digits, and thousands of printed letters. No class
# is in both sets, but an O looks like a 0. One network learns both tasks, and
# a transport loss links the predictions of its two heads.

# %%
import keras
import numpy as np
import tensorflow as tf

import keras_otreg as otreg

keras.utils.set_random_seed(0)
source = otreg.data.letters()
pool, test = otreg.data.mnist5k()
few, _ = otreg.data.few_shot(*pool, per_class=5, seed=0)
letters = [*"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"]
print(f"{len(source.y)} letters, {len(few.y)} digits, {len(test.y)} to test on")

# %% [markdown]
# ## A network with two heads
#
# The student has a head for digits. The source task adds one for letters.

# %%
layers = keras.layers


def network(classes):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((28, 28, 1))
    h = layers.Conv2D(16, 3, 2, "same", activation="relu")(inputs)
    h = layers.Conv2D(32, 3, 2, "same", activation="relu")(h)
    h = layers.Flatten()(h)
    h = layers.Dense(64, activation="relu", name="features")(h)
    return keras.Model(inputs, layers.Dense(classes, activation="softmax")(h))


def compiled(model):
    loss = "sparse_categorical_crossentropy"
    model.compile("adam", loss, metrics=["accuracy"])
    return model


def batches(data):
    return tf.data.Dataset.from_tensor_slices(tuple(data)).batch(256)


on_letters = compiled(network(52))
on_letters.fit(*source, batch_size=128, epochs=3, verbose=0)

# %% [markdown]
# ## How far apart are the classes?
#
# `extract` runs a network over both sets and reads its features; `mkmmd` says
# how far the samples of each letter are from those of each digit.

# %%
of_letters = otreg.class_costs.extract(
    on_letters, "features", batches(source), verbose=0
)
of_digits = otreg.class_costs.extract(
    on_letters, "features", batches(few), verbose=0
)
C = otreg.class_costs.normalise(
    otreg.class_costs.mkmmd(*of_letters, *of_digits)
)
for digit in range(10):
    nearest = C[:, digit].argsort()[:4]
    print(digit, "is nearest to", *(letters[k] for k in nearest))

# %% [markdown]
# The network was trained on letters only.
#
# ## Train both
#
# `paired` puts a batch of letters beside each batch of digits. For comparison,
# the digits alone, and both tasks without the transport term.


# %%
def joint(transport):
    task = otreg.SourceTask(
        layers.Dense(52, activation="softmax"),
        at="features",
        loss="sparse_categorical_crossentropy",
        transport=transport,
        transport_weight=0.1,
    )
    model = compiled(otreg.TransferModel(network(10), source_task=task))
    pairs = otreg.data.paired(
        tuple(few), tuple(source), batch_size=50, source_batch_size=64
    )
    model.fit(
        pairs.repeat(), steps_per_epoch=50, epochs=2, shuffle=False, verbose=0
    )
    return model


transport = otreg.losses.ClassTransport(C)
alone = compiled(network(10))
alone.fit(*few, batch_size=50, epochs=100, verbose=0)
models = {
    "digits alone": alone,
    "joint, no transport": joint(None),
    "joint, transport": joint(transport),
}
for name, model in models.items():
    score = model.evaluate(*test, verbose=0, return_dict=True)
    print(f"{name:>19}: {score.get('accuracy'):.3f}")

# %% [markdown]
# This is one draw of fifty labels and one length of training, and joint
# training does not help here: measure before you use it. Over five draws, [the
# demo](../docs/pages/joint_transfer.md) finds it a little ahead of training on
# the target alone, and the effect of the transport term within the noise: a
# random cost does as well there.
#
# ## The plan between the classes
#
# For each test digit there is a plan from what the letters' head says of it to
# what the digits' head says. Their mean:

# %%
model = models["joint, transport"]
says_letters = model.source_model.predict(test.x, verbose=0)
says_digits = model.predict(test.x, verbose=0)
P = np.mean(transport.plan(says_letters, says_digits), axis=0)
print("sum of the plan:", P.sum().round(3), "of shape", P.shape)
otreg.plots.class_plan(P, letters, [*"0123456789"])

# %% [markdown]
# Each row is a digit, and its dark cells are the letters it is matched with.
# `model.student` is the network for digits, to be saved as any Keras model.
