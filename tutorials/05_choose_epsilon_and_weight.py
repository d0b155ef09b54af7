# %% [markdown]
# # Choose epsilon and weight
#
# Two numbers decide what a transport penalty does: `epsilon` says how sharp
# the plan is, `weight` how strongly it pulls. Look at the first before
# training, and choose the second by the accuracy on validation data.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import ops

import keras_otreg as otreg

keras.utils.set_random_seed(0)
(x, y), _ = otreg.data.mnist5k()
pool, test = otreg.data.optdigits()
few, validation = otreg.data.few_shot(*pool, per_class=5, seed=0)


def network():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((28, 28, 1))
    h = keras.layers.Flatten()(inputs)
    h = keras.layers.Dense(128, activation="relu")(h)
    h = keras.layers.Dense(64, activation="relu", name="features")(h)
    head = keras.layers.Dense(10, activation="softmax", name="head")
    return keras.Model(inputs, head(h))


def compiled(model):
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(0.003), loss, metrics=["accuracy"])
    return model


pretrained = compiled(network())
pretrained.fit(x, y, batch_size=64, epochs=5, verbose=0)
_, known = otreg.features.capture(pretrained, few.x, ["features"])
known = known["features"]

# %% [markdown]
# ## epsilon: look at the plan
#
# Transport the layer onto noisy activations of its own, and read off how
# blurred the plan is (`plan_entropy`: 0 is a matching, 1 is uniform), how many
# iterations it takes, and how many neurons find themselves again.

# %%
noise = np.random.default_rng(0).normal(0.0, 0.2, known.shape)
noisy = known + noise.astype("float32") * ops.std(known)
C = otreg.ot.costs.euclidean(ops.transpose(known), ops.transpose(noisy))
C = C / ops.mean(C)
weights = np.full(64, 1 / 64)
epsilons = (0.005, 0.02, 0.05, 0.2, 1.0)
entropies = []
for epsilon in epsilons:
    problem = otreg.ot.TransportProblem(C, weights, weights, epsilon)
    solution = otreg.ot.Sinkhorn(max_iterations=2000)(problem)
    P = np.asarray(otreg.ot.transport_plan(problem, solution))
    entropies.append(float(otreg.ot.plan_entropy(problem, solution)))
    # Of a neuron, how much goes to itself.
    itself = 64 * P.diagonal().mean()
    print(
        f"epsilon {epsilon:5}: entropy {entropies[-1]:.2f}, "
        f"{int(solution.num_iterations):3d} iterations, {itself:.0%} to itself"
    )

# %% [markdown]
# The smaller `epsilon`, the sharper the plan. Near an entropy of 1 it pulls
# every neuron towards the mean of all, and `plan="uniform"` would do as well.
# The default is 0.05; lower it when the entropy is above 0.95 on your layer.
#
# ## weight: a grid, and validation
#
# A copy of the network for each weight, fine-tuned to another scanner's digits
# with five labels each. 0 is plain fine-tuning, with the penalty only logged.

# %%
rows, models = [], {}
for weight in (0.0, 1.0, 10.0, 100.0):
    student = network()
    student.set_weights(pretrained.get_weights())
    penalty = otreg.Penalty(
        otreg.losses.RepresentationTransport(), "features", weight=weight
    )
    model = compiled(otreg.TransferModel(student, penalties=[penalty]))
    model.fit(*few, batch_size=25, epochs=20, verbose=0)
    models[weight] = model
    logs = model.evaluate(*validation, verbose=0, return_dict=True)
    rows.append((weight, *map(logs.get, ("accuracy", "loss"))))
    print(
        f"weight {weight:5}: validation accuracy {logs['accuracy']:.3f}, "
        f"loss {logs['loss']:6.3f}, "
        f"penalty {logs['representation_transport']:.4f}"
    )

# %%
grid, accuracy, loss = np.array(rows).T
figure, panels = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
panels[0].plot(epsilons, entropies, "o-")
panels[0].set(xscale="log", xlabel="epsilon", ylabel="entropy of the plan")
panels[1].plot(range(len(grid)), accuracy, "o-")
panels[1].set_xticks(range(len(grid)), [f"{w:g}" for w in grid])
panels[1].set(xlabel="weight", ylabel="validation accuracy")
best = grid[accuracy.argmax()]
print(f"Chosen by accuracy: {best:g}; by the loss it would be", end=" ")
print(f"{grid[loss.argmin()]:g}. At weight 100 the loss is {loss[-1]:.2f}.")

# %% [markdown]
# Choose by accuracy, or by the loss of the task alone. `val_loss` contains
# `weight * penalty`: compared between weights, it favours the small ones
# whatever they do to the task.
#
# Only now look at the test pictures, once:

# %%
logs = models[best].evaluate(*test, verbose=0, return_dict=True)
print(f"test accuracy at weight {best:g}: {logs['accuracy']:.3f}")

# %% [markdown]
# KerasTuner makes such a search for you: [tune with Keras
# Tuner](06_tune_with_keras_tuner.py).
