# %% [markdown]
# # A quarter of a network, without labels
#
# From a trained network and five hundred unlabelled pictures, `otreg.narrow`
# makes a network of the same layers with a quarter of the neurons. Its weights
# are fitted to the activations of the large network, before any training.

# %%
import pathlib
import tempfile

import keras

import keras_otreg as otreg

keras.utils.set_random_seed(0)
(x, y), (x_test, y_test) = otreg.data.mnist5k()

# %% [markdown]
# ## The teacher
#
# Three convolutions and 128 features, trained on 4000 digits.

# %%
layers = keras.layers
teacher = keras.Sequential([keras.Input((28, 28, 1))])
for number, width in enumerate((16, 32, 64), 1):
    teacher.add(layers.Conv2D(width, 3, 2, "same", name=f"conv{number}"))
    teacher.add(layers.ReLU(name=f"relu{number}"))
teacher.add(layers.Flatten(name="flat"))
teacher.add(layers.Dense(128, activation="relu", name="features"))
teacher.add(layers.Dense(10, activation="softmax", name="head"))


def compiled(model, rate=1e-3):
    model.compile(
        keras.optimizers.Adam(rate),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def accuracy(model):
    return compiled(model).evaluate(x_test, y_test, verbose=0)[1]


compiled(teacher).fit(x, y, batch_size=64, epochs=10, verbose=0)
print(f"teacher: {teacher.count_params():,} weights, {accuracy(teacher):.3f}")

# %% [markdown]
# ## What can be narrowed
#
# Every layer, except the head: its outputs are the classes.

# %%
otreg.compression.summary(teacher)

# %% [markdown]
# ## A quarter of the neurons
#
# First, transport chooses the neurons that stay: those onto which the others
# are moved at the least cost. Then each layer is fitted by least squares to
# the activations of the large network. The table shows how well.

# %%
unlabelled = x[:500]
student = otreg.narrow(teacher, 0.25, samples=unlabelled)
print(f"student: {student.count_params():,} weights, {accuracy(student):.3f}")

# %% [markdown]
# ## What each step brings
#
# Without samples the weights are new, and predictions are at chance. With a
# very strong `ridge` there is no fit, only the choice of neurons and the plan
# between them.

# %%
for name, settings in {
    "new weights": {},
    "chosen, not fitted": {"samples": unlabelled, "ridge": 1e9},
    "random choice, fitted": {"samples": unlabelled, "choose": "random"},
    "chosen and fitted": {"samples": unlabelled},
}.items():
    found = otreg.narrow(teacher, 0.25, **settings, verbose=False)
    print(f"{name:22s} {accuracy(found):.3f}")

# %% [markdown]
# ## A few labels on top
#
# Train the student as any other model, with a tenth of the usual rate: it
# starts near the optimum. With ten labels per class, the same network is much
# worse from new weights.

# %%
few, _ = otreg.data.few_shot(x, y, per_class=10, seed=0)
scratch = otreg.narrow(teacher, 0.25)
for name, model, rate in (
    ("inherited, then trained", student, 1e-4),
    ("new weights, then trained", scratch, 1e-3),
):
    compiled(model, rate).fit(*few, batch_size=20, epochs=40, verbose=0)
    print(f"{name:26s} {accuracy(model):.3f}")

# %% [markdown]
# ## A plain Keras model
#
# It loads without this library, and its file is smaller.

# %%
folder = pathlib.Path(tempfile.mkdtemp())
for name, model in (("teacher", teacher), ("student", student)):
    path = folder / f"{name}.keras"
    compiled(model).save(path)
    print(f"{path.name}: {path.stat().st_size / 1024:.0f} KB")
