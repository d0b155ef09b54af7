# %% [markdown]
# # Compress a network
#
# A large teacher, a small student of another architecture, a hundred labels,
# and pictures without labels. Transport compares their layers although their
# widths differ.

# %%
import keras

import keras_otreg as otreg

keras.utils.set_random_seed(0)
(x, y), (x_test, y_test) = otreg.data.mnist5k()

# %% [markdown]
# ## The teacher
#
# Three convolutions and 128 features, trained on all 4000 digits.

# %%
layers = keras.layers


def network(channels, size, units):
    inputs = keras.Input((28, 28, 1))
    h = inputs
    for number, width in enumerate(channels, 1):
        h = layers.Conv2D(
            width, size, 2, "same", activation="relu", name=f"stage{number}"
        )(h)
    h = layers.Flatten()(h)
    h = layers.Dense(units, activation="relu", name="features")(h)
    h = layers.Dense(10, activation="softmax", name="head")(h)
    return keras.Model(inputs, h)


def compiled(model):
    model.compile(
        "adam", "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


teacher = compiled(network((16, 32, 64), 3, 128))
teacher.fit(x, y, batch_size=64, epochs=3, verbose=0)
_, best = teacher.evaluate(x_test, y_test, verbose=0)
print(f"teacher: {teacher.count_params()} weights, accuracy {best:.3f}")

# %% [markdown]
# ## The student
#
# Two convolutions with larger windows, a quarter as wide. It gets ten labels
# of each digit; the other 3900 pictures come without.

# %%
few, others = otreg.data.few_shot(x, y, per_class=10, seed=0)
student = network((4, 8), 5, 32)
print(f"student: {student.count_params()} weights, {len(few.y)} labels")
otreg.features.summary(student)

# %% [markdown]
# ## Two ways to train it
#
# `at_each` puts the loss at several layers: a mapping from the student's
# layers to the teacher's. `TransportAlignment` asks that neurons be
# correlated, up to sign and scale, which a narrower layer can follow.
# `with_unlabelled` lets the pictures without labels feed the penalties; both
# ways make the same number of steps.

# %%
places = {"stage1": "stage1", "stage2": "stage3", "features": "features"}
data = otreg.data.with_unlabelled(
    tuple(few), others.x, batch_size=20, unlabelled_batch_size=100
)


def train(penalties, seed):
    keras.utils.set_random_seed(seed)
    student = network((4, 8), 5, 32)
    model = compiled(otreg.TransferModel(student, teacher, penalties=penalties))
    history = model.fit(data, epochs=20, shuffle=False, verbose=0)
    _, *_, score = compiled(student).evaluate(x_test, y_test, verbose=0)
    return model, history.history, score


_, _, alone = train([], seed=1)
alignment = otreg.losses.TransportAlignment()
penalties = otreg.Penalty.at_each(alignment, places)
model, logs, helped = train(penalties, seed=1)
print(f"labels alone: {alone:.3f}, with the teacher: {helped:.3f}")
smaller = teacher.count_params() / student.count_params()
print(f"The student is {smaller:.0f} times as small.")

# %% [markdown]
# The same student, the same labels, the same number of steps. It remains below
# the teacher, which had all 4000 labels and many times the weights. This is
# one seed; [Results](../docs/pages/results.md) has five of them.
#
# ## Which neurons are matched
#
# Each penalty is logged by its name and place, without its weight.

# %%
for name in sorted(logs):
    if "alignment" in name:
        print(f"{name:>28}: {logs[name][0]:.3f} -> {logs[name][-1]:.3f}")

_, known = otreg.features.capture(teacher, x_test, ["features"])
_, found = otreg.features.capture(model.student, x_test, ["features"])
# The plan of the other form: where would each teacher neuron go?
loss = otreg.losses.RepresentationTransport("squared_cosine", epsilon=0.05)
P = loss.plan(known["features"], found["features"])
otreg.plots.plan({"128 teacher neurons to 32": P})

# %% [markdown]
# About four teacher neurons share one of the student. The values of all three
# layers have fallen: the activations of the two networks have become more
# similar.
#
# The student is `model.student`, a plain Keras model;
# `model.student.save(path)` keeps it. If pictures are the same in each epoch,
# `otreg.data.with_teacher` runs the teacher once instead of in each step.
