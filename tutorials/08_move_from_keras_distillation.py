# %% [markdown]
# # Move from keras.distillation
#
# Keras has a `Distiller`. The losses of this library work inside it, its
# losses have counterparts here, and `TransferModel` also uses `sample_weight`,
# cached teachers and unlabelled samples.

# %%
import keras
import numpy as np
from sklearn.datasets import load_digits

import keras_otreg as otreg

keras.utils.set_random_seed(0)
pixels, labels = load_digits(return_X_y=True)
pixels = (pixels / 16.0).astype("float32")
train = pixels[:300], labels[:300]
test = pixels[1400:], labels[1400:]


def network(units):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((64,))
    h = keras.layers.Dense(units, activation="relu", name="features")(inputs)
    h = keras.layers.BatchNormalization(name="norm")(h)
    return keras.Model(inputs, keras.layers.Dense(10, name="logits")(h))


def compiled(model):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    return model


teacher = compiled(network(128))
teacher.fit(pixels[:1400], labels[:1400], epochs=10, verbose=0)
print(teacher.evaluate(*test, verbose=0, return_dict=True))

# %% [markdown]
# ## As it is in Keras
#
# Soft labels at temperature 3, half of the loss.

# %%
distiller = compiled(
    keras.distillation.Distiller(
        teacher=teacher,
        student=network(16),
        distillation_losses=keras.distillation.LogitsDistillation(
            temperature=3.0
        ),
        student_loss_weight=0.5,
    )
)
history = distiller.fit(*train, epochs=10, verbose=0)
print("logs:", *sorted(history.history))

# %% [markdown]
# ## The same here
#
# | `keras.distillation` | here |
# |---|---|
# | `Distiller(teacher, student, ...)` | `TransferModel(student, teacher)` |
# | `LogitsDistillation` | `losses.LogitsDistillation` in a `Penalty` |
# | `FeatureDistillation(loss, ...)` | `Penalty(loss, ...)` |
# | `student_layer_name`, `teacher_layer_name` | `at`, `teacher_at` |
# | `student_loss_weight=0.5` | 1: the loss of the task is not scaled |
# | `distillation_loss_weights` | `weight` of each penalty |
#
# A weight of 1 for both is the same as 0.5 for both, except for the learning
# rate.

# %%
penalty = otreg.Penalty(
    otreg.losses.LogitsDistillation(temperature=3.0), at="logits"
)
model = compiled(otreg.TransferModel(network(16), teacher, [penalty]))
history = model.fit(*train, epochs=10, verbose=0)
print("logs:", *sorted(history.history))
print(model.evaluate(*test, verbose=0, return_dict=True))

# %% [markdown]
# ## Sample weights
#
# Give all eights a weight of 0. Does the network still predict "eight"? In
# Keras 3.15 the Distiller ignores `sample_weight`.

# %%
weights = np.where(train[1] == 8, 0.0, 1.0)


def eights(wrapper):
    predicted = wrapper.student.predict(test[0], verbose=0).argmax(axis=1)
    return (predicted == 8).sum()


feature = otreg.Penalty(otreg.losses.RepresentationTransport(), at="features")
model = compiled(otreg.TransferModel(network(16), teacher, [feature]))
model.fit(*train, sample_weight=weights, epochs=20, verbose=0)
print("TransferModel:", eights(model))

# %% [markdown]
# ## Layers of unequal width
#
# A mean squared error between 128 and 16 features is not defined. Transport
# is, as a loss in the Distiller too:

# %%
feature = keras.distillation.FeatureDistillation(
    loss=otreg.losses.RepresentationTransport(),
    teacher_layer_name="features",
    student_layer_name="features",
)
distiller = compiled(
    keras.distillation.Distiller(
        teacher=teacher, student=network(16), distillation_losses=feature
    )
)
distiller.fit(*train, sample_weight=weights, epochs=20, verbose=0)
print(distiller.evaluate(*test, verbose=0, return_dict=True)["accuracy"])
print("Distiller, with the weights of above:", eights(distiller))

# %% [markdown]
# The `TransferModel` above had the same layers, the same loss and the same
# weights. What it has beyond that: `data.with_teacher` runs the teacher once
# for all epochs, `data.with_unlabelled` adds samples without labels, and a
# saved model trains on after loading.
