# %% [markdown]
# # Pictures without labels
#
# Two labelled pictures a class, hundreds without labels, and classes of unequal
# frequency. A plan between samples and classes labels the others, and the head
# of the network learns from them too.

# %%
import keras
import numpy as np

import keras_otreg as otreg

keras.utils.set_random_seed(0)

# %% [markdown]
# ## A network
#
# It has learnt 4000 digits of one kind; the task is digits of another kind.

# %%
layers = keras.layers
network = keras.Sequential([keras.Input((28, 28, 1))])
for width in (16, 32, 64):
    network.add(layers.Conv2D(width, 3, 2, "same", activation="relu"))
network.add(layers.Flatten())
network.add(layers.Dense(128, activation="relu", name="features"))
network.add(layers.Dense(10, activation="softmax", name="head"))
network.compile("adam", "sparse_categorical_crossentropy")
source, _ = otreg.data.mnist5k()
network.fit(*source, batch_size=64, epochs=4, verbose=0)

# %% [markdown]
# ## An unequal task
#
# Two labelled digits of each class. Of the others there are ten times as many
# of the most frequent class as of the rarest.

# %%
(x, y), (x_test, y_test) = otreg.data.optdigits()
few, rest = otreg.data.few_shot(x, y, per_class=2, seed=1)
counts = np.rint(100 * 10.0 ** -np.linspace(0, 1, 10)).astype(int)
rows = [np.flatnonzero(rest.y == k)[:n] for k, n in enumerate(counts)]
rows = np.random.default_rng(0).permutation(np.concatenate(rows))
x_more, truth = rest.x[rows], rest.y[rows]
shares = counts / counts.sum()
print(len(few.x), "labelled,", len(x_more), "not:", counts)

# %% [markdown]
# ## Labels by transport
#
# Each sample has the same mass, each class its share, and moving a sample to a
# class costs minus the logarithm of its probability. The rows of the plan are
# soft labels. What are the shares? If you know them, say so. By default they
# are uniform as a first guess, which the plan may leave at a price. Taking them
# for uniform exactly, when they are not, makes most mistakes.

# %%
otreg.solve_head(network, *few, l2=1e-2)


def right(labels):
    found = labels.probabilities.argmax(axis=1) == truth
    return found.mean()


for name, given in {
    "known": shares,
    "uniform as a first guess": "uniform",
    "uniform, exactly": np.full(10, 0.1),
}.items():
    labels = otreg.labelling.transported_labels(
        network, x_more, shares=given, verbose=False
    )
    print(f"shares {name}: {right(labels):.1%} of the labels are right")

# %% [markdown]
# ## A head that learns from both
#
# `solve_head_in_rounds` labels the samples and solves the head on all, three
# times; the layers below run once.

# %%


def accuracy(model):
    found = model.predict(x_test, verbose=0).argmax(axis=1)
    return (found == y_test).mean()


print(f"labelled digits alone: {accuracy(network):.3f}")
for name, given in {"not known": "uniform", "known": shares}.items():
    otreg.labelling.solve_head_in_rounds(
        network, few, x_more, shares=given, l2=1e-2
    )
    print(f"with the others, shares {name}: {accuracy(network):.3f}")

# %% [markdown]
# ## The whole network
#
# Stock `fit` takes both kinds together: half of each batch is labelled.
# `SelfTraining` makes the labels anew in rounds; the loss takes soft labels.

# %%
rounds = otreg.callbacks.SelfTraining(x_more, rounds=2, shares=shares)
data = otreg.data.with_labels(few, (x_more, rounds), batch_size=32)
network.compile(keras.optimizers.Adam(1e-4), "categorical_crossentropy")
network.fit(data, epochs=4, verbose=0, callbacks=[rounds])
print(f"after training all layers: {accuracy(network):.3f}")
print(f"labels that are right: {right(rounds.labels):.1%}")
