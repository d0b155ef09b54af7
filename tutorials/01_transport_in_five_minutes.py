# %% [markdown]
# # Transport in five minutes
#
# Optimal transport moves one set of points onto another at the least cost.
# Here the points are neurons. We look at a plan, at what `epsilon` does to it,
# and at why the order of neurons does not matter.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

import keras_otreg as otreg

keras.utils.set_random_seed(0)

# %% [markdown]
# ## Two sets of points
#
# Twelve points on the left, twelve on the right. The cost of moving `x[i]` to
# `y[j]` is their squared distance.

# %%
rng = np.random.default_rng(0)
x = rng.normal(0.0, 1.0, (12, 2)).astype("float32")
y = rng.normal(0.0, 1.0, (12, 2)).astype("float32") + [4.0, 0.0]
C = otreg.ot.costs.squared_euclidean(x, y.astype("float32"))
weights = np.full(12, 1 / 12)

# %% [markdown]
# A plan `P[i, j]` says how much of `i` goes to `j`. Its rows sum to `1 / 12`,
# the weight of each point, and so do its columns. `Sinkhorn` finds the plan
# that minimises `<P, C> + epsilon * KL(P | a b^T)`.

# %%
figure, panels = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
for axes, epsilon in zip(panels, (0.01, 0.5, 100.0), strict=True):
    problem = otreg.ot.TransportProblem(C, weights, weights, epsilon)
    solution = otreg.ot.Sinkhorn(max_iterations=2000)(problem)
    P = np.asarray(otreg.ot.transport_plan(problem, solution))
    entropy = float(otreg.ot.plan_entropy(problem, solution))
    for i, j in np.ndindex(*P.shape):
        line = np.stack([x[i], y[j]])
        axes.plot(*line.T, color="#0072B2", alpha=min(1.0, 12 * P[i, j]))
    axes.scatter(*x.T, color="#D55E00", zorder=2)
    axes.scatter(*y.T, color="#009E73", zorder=2)
    axes.set(title=f"epsilon {epsilon}: entropy {entropy:.2f}")
    axes.set_axis_off()
    print(
        f"epsilon {epsilon:6}: cost {float((P * np.asarray(C)).sum()):.3f}, "
        f"entropy {entropy:.2f}, rows sum to {P.sum(1).min():.4f}"
    )

# %% [markdown]
# A small `epsilon` gives a matching: entropy near 0, and the least cost. A
# large one gives a uniform plan, of entropy near 1, which contains no
# information. The losses measure `epsilon` relative to the mean cost, so that
# its meaning does not depend on the network.
#
# ## A neuron is a function
#
# Take a small network for 8 x 8 digits. On a batch of 256 pictures, each of
# its 32 hidden neurons is a vector of 256 activations: a point.

# %%
pixels, labels = load_digits(return_X_y=True)
pixels = (pixels / 16.0).astype("float32")


def network():
    inputs = keras.Input((64,))
    features = keras.layers.Dense(32, activation="relu", name="features")
    head = keras.layers.Dense(10, activation="softmax", name="head")
    return keras.Model(inputs, head(features(inputs)))


teacher = network()
teacher.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
teacher.fit(pixels[:1400], labels[:1400], epochs=20, verbose=0)
print(teacher.evaluate(pixels[1400:], labels[1400:], verbose=0, return_dict=1))

# %% [markdown]
# Now shuffle the hidden neurons of a copy, and the rows of its head with them.
# As a function of the picture the copy is the same network.

# %%
kernel, bias, head_kernel, head_bias = teacher.get_weights()
order = rng.permutation(32)
shuffled = network()
shuffled.set_weights(
    [kernel[:, order], bias[order], head_kernel[order], head_bias]
)
batch = pixels[:256]
answer, known = otreg.features.capture(teacher, batch, ["features"])
other, found = otreg.features.capture(shuffled, batch, ["features"])
difference = abs(np.asarray(answer) - np.asarray(other)).max()
print("largest difference of the answers:", difference)
print("L2 of the weights:", np.square(kernel - kernel[:, order]).sum().round(1))

# %% [markdown]
# Weights compared one by one are far apart, and so are neurons compared one by
# one (the identity plan). The cost of transport is near 0, and its plan *is*
# the permutation.

# %%
known, found = known["features"], found["features"]
for plan in ("identity", "uniform", "transport"):
    loss = otreg.losses.RepresentationTransport(epsilon=0.01, plan=plan)
    print(f"{plan:>9}: {float(loss(known, found)):.4f}")

P = np.asarray(loss.plan(known, found))
active = np.asarray(found).max(axis=0) > 0
right = P.argmax(axis=0)[active] == order[active]
print(f"permutation found: {right.all()}, for {active.sum()} active neurons")
otreg.plots.plan({"teacher to shuffled copy": P})

# %% [markdown]
# `otreg.losses.RepresentationTransport` adds this cost to the loss of a task:
# the cost of moving the teacher's neurons onto the student's. The student may
# have its neurons in another order, and fewer of them. Next: [fine-tune your
# pictures](02_fine_tune_your_pictures.py).
