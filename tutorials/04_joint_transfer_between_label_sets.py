# %% [markdown]
# # Joint transfer between label sets
#
# Fifty labelled handwritten digits, and thousands of printed letters. No class
# is in both sets, but an O looks like a 0. What can the letters do for the
# digits? Train on them first; then tell the head of the digits how letters of
# one kind differ from each other. Or train beside them, or leave them out and
# keep only the head that knew them.

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
# ## A network for letters

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
# how far the samples of each letter are from those of each digit. `shares`
# turns these costs into the mass that a plan between the classes gives each
# letter: how much each has to say about digits.

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
shares = otreg.class_costs.shares(C)
order = (-shares).argsort()
print("most mass:", *(f"{letters[k]} {shares[k]:.3f}" for k in order[:6]))
print("least mass:", *(f"{letters[k]} {shares[k]:.3f}" for k in order[-6:]))

# %% [markdown]
# ## Five ways to use the letters
#
# Every student starts with a solved head. The recommended way trains on the
# letters, then on the digits, and solves the head once more with
# `source=`: each digit also counts in copies, which differ from it as letters
# differ from the mean of their kind. `paired` puts a batch of letters
# beside each batch of digits, here drawn by the shares. `SourceTask.frozen`
# needs no letters at all: the head that was trained on them stays as it is,
# and says which letters a digit looks like.


# %%
def student(start=None):
    made = network(10)
    if start is not None:
        for layer, known in zip(made.layers[:-1], start.layers, strict=False):
            layer.set_weights(known.get_weights())
    otreg.solve_head(made, *few)
    return made


def trained(model, data):
    compiled(model).fit(
        data.repeat(), steps_per_epoch=100, shuffle=False, verbose=0
    )
    return model


def source_task(transport=None):
    head = layers.Dense(52, activation="softmax")
    head.build((None, 64))
    head.set_weights(on_letters.layers[-1].get_weights())
    return otreg.SourceTask(
        head,
        at="features",
        loss="sparse_categorical_crossentropy",
        transport=transport,
    )


def joint(transport=None, source_shares=None):
    pairs = otreg.data.paired(
        tuple(few),
        tuple(source),
        batch_size=50,
        source_batch_size=64,
        source_shares=source_shares,
    )
    task = source_task(transport)
    model = otreg.TransferModel(student(on_letters), source_task=task)
    return trained(model, pairs)


digits = batches(few)
frozen = otreg.SourceTask.frozen(on_letters, "features", tuple(few))
transport = otreg.losses.ClassTransport(C)
varied = trained(student(on_letters), digits)
solved = otreg.solve_head(varied, *few, source=tuple(source))
models = {
    "digits alone": trained(student(), digits),
    "letters, then digits": trained(student(on_letters), digits),
    "and variation of letters": varied,
    "letters, then both": joint(),
    "and a transport term": joint(transport),
    "letters drawn by shares": joint(source_shares=shares),
    "frozen head of letters": trained(
        otreg.TransferModel(student(on_letters), source_task=frozen), digits
    ),
}
for name, model in models.items():
    score = model.evaluate(*test, verbose=0, return_dict=True)
    print(f"{name:>24}: {score.get('accuracy'):.3f}")

# %% [markdown]
# This is one draw of fifty labels and a short training: rows that are close
# may change places with another draw. [The
# measurements](../docs/pages/joint_transfer.md) have eight draws, photographs
# too, and the controls: a random cost, random shares, a random relation.
#
# The plan by which letters gave their variation to each digit:

# %%
for digit in range(10):
    most = (-solved.source_plan[:, digit]).argsort()[:4]
    print(digit, "takes most from", *(letters[k] for k in most))

# %% [markdown]
# ## The plan between the classes
#
# For each test digit there is a plan from what the letters' head says of it to
# what the digits' head says. Their mean:

# %%
model = models["and a transport term"]
says_letters = model.source_model.predict(test.x, verbose=0)
says_digits = model.predict(test.x, verbose=0)
P = np.mean(transport.plan(says_letters, says_digits), axis=0)
print("sum of the plan:", P.sum().round(3), "of shape", P.shape)
otreg.plots.class_plan(P, letters, [*"0123456789"])

# %% [markdown]
# Each row is a digit, and its dark cells are the letters it is matched with.
# `model.student` is the network for digits, to be saved as any Keras model.
