# %% [markdown]
# # Write your own cost or penalty
#
# A cost is a function of two sets of points. A penalty is any Keras loss of
# (teacher, student) activations. Neither has to import this library.

# %%
import pathlib
import tempfile

import keras
import numpy as np
from keras import ops
from sklearn.datasets import load_digits

import keras_otreg as otreg

keras.utils.set_random_seed(0)
pixels, labels = load_digits(return_X_y=True)
pixels = (pixels / 16.0).astype("float32")


def network():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((64,))
    h = keras.layers.Dense(32, activation="relu", name="features")(inputs)
    return keras.Model(inputs, keras.layers.Dense(10, "softmax")(h))


def train(penalty):
    model = otreg.TransferModel(network(), teacher, [penalty])
    loss = "sparse_categorical_crossentropy"
    model.compile("adam", loss, metrics=["accuracy"])
    history = model.fit(pixels[:500], labels[:500], epochs=15, verbose=0)
    values = history.history[penalty.name]
    print(f"{penalty.name}: {values[0]:.4f} -> {values[-1]:.4f}")
    return model


teacher = network()
teacher.compile("adam", "sparse_categorical_crossentropy")
teacher.fit(pixels[:1400], labels[:1400], epochs=20, verbose=0)

# %% [markdown]
# ## A cost
#
# Points of shape `(..., n, d)` and `(..., m, d)` in, costs `(..., n, m)` out,
# never negative, written in `keras.ops`. The `d` coordinates of a neuron are
# samples, and `weights` says how often each of them counts. Here two neurons
# are close if they are silent on the same pictures. Register it, or a model
# that uses it cannot be saved.


# %%
@keras.saving.register_keras_serializable(package="tutorial")
def silence(x, y, weights):
    # Activations above it count as not silent.
    means = [ops.mean(ops.abs(z) @ weights[:, None]) for z in (x, y)]
    size = 0.1 * sum(means) / ops.sum(weights) + 1e-6
    return otreg.ot.costs.cosine(
        ops.tanh(x / size), ops.tanh(y / size), weights
    )


a, b = np.random.default_rng(0).normal(size=(2, 5, 8)).astype("float32")
once = np.ones(8, "float32")
C = ops.convert_to_numpy(silence(a, b, once))
print("shape", C.shape, "non-negative:", bool((C >= 0).all()))
print(
    "zero for the same neurons:",
    np.diag(np.asarray(silence(a, a, once))).max() < 1e-5,
)

loss = otreg.losses.RepresentationTransport(cost=silence)
penalty = otreg.Penalty(loss, at="features", weight=10.0, name="silence")
model = train(penalty)

# %% [markdown]
# Without `weights` a function is measured: if scaling a coordinate stands for
# repeating it, as in norms, their powers and cosines, it is right as it is. A
# cost with arguments, or one that several devices add up, is a subclass of
# `otreg.ot.costs.Cost`.
#
# The value falls: the student's neurons become silent on the same pictures as
# the teacher's. The model is saved with its cost, and training can resume
# after loading.

# %%
path = pathlib.Path(tempfile.mkdtemp()) / "model.keras"
model.save(path)
again = keras.saving.load_model(path)
before = model.evaluate(pixels[1400:], labels[1400:], verbose=0)
after = again.evaluate(pixels[1400:], labels[1400:], verbose=0)
print("the same after loading:", np.allclose(before, after, atol=1e-5))

# %% [markdown]
# ## A penalty
#
# `call` returns a value for each sample, so that `sample_weight` works. This
# one compares the similarities of pictures in student and teacher: the
# matrices of cosines between samples should agree (as in similarity-preserving
# distillation; Tung and Mori, 2019). Widths may differ.


# %%
@keras.saving.register_keras_serializable(package="tutorial")
class SamePicturesAlike(keras.losses.Loss):
    """Mean squared difference of the cosines between samples."""

    def call(self, y_true, y_pred):
        difference = self.cosines(y_true) - self.cosines(y_pred)
        return ops.mean(ops.square(difference), axis=-1)

    def cosines(self, activations):
        directions = ops.normalize(activations, axis=-1)
        return ops.matmul(directions, ops.transpose(directions))


loss = SamePicturesAlike(name="same_pictures_alike")
zeros = loss(pixels[:9], pixels[:9])
print("zero if nothing moved:", float(zeros) < 1e-6)
model = train(otreg.Penalty(loss, at="features", weight=10.0))

# %% [markdown]
# ## Laws to test
#
# Whatever you write, check that it is zero where teacher and student agree,
# that its gradient is finite there (a bare `sqrt` is not), and whether the
# order of neurons matters. For `SamePicturesAlike` it does not:

# %%
x = keras.random.normal((6, 4), seed=1)
y = keras.random.normal((6, 4), seed=2)
same = loss(x, y), loss(x, ops.flip(y, axis=1))
print("order of neurons does not matter:", np.allclose(*same, atol=1e-6))

# %% [markdown]
# To add a loss to the package, see
# [Contributing](../docs/pages/contributing.md).
