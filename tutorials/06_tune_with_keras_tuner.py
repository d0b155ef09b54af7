# %% [markdown]
# # Tune with Keras Tuner
#
# No weight is safe on all data. KerasTuner searches; `otreg.tuning` gives it
# the model, the space and the objective.

# %%
import pathlib
import tempfile

import keras
import keras_tuner
from sklearn.datasets import load_digits

import keras_otreg as otreg

keras.utils.set_random_seed(0)
folder = pathlib.Path(tempfile.mkdtemp())
pixels, labels = load_digits(return_X_y=True)
pixels = (pixels / 16.0).astype("float32")

# %% [markdown]
# ## A network to start from
#
# It has learnt to tell small digits from large ones (below five or not), from
# a thousand pictures. The new task is which digit it is, with three labels of
# each.

# %%
inputs = keras.Input((64,))
h = keras.layers.Dense(64, activation="relu", name="hidden")(inputs)
h = keras.layers.Dense(32, activation="relu", name="features")(h)
pretrained = keras.Model(inputs, keras.layers.Dense(2, "softmax")(h))
pretrained.compile("adam", "sparse_categorical_crossentropy")
pretrained.fit(pixels[:1000], labels[:1000] // 5, epochs=20, verbose=0)
head = keras.layers.Dense(10, activation="softmax", name="head")
with_new_head = keras.Model(inputs, head(h))
with_new_head.save(folder / "with_new_head.keras")

few, others = otreg.data.few_shot(
    pixels[1000:], labels[1000:], per_class=3, seed=0
)
validation = others.x[:300], others.y[:300]
test = others.x[300:], others.y[300:]

# %% [markdown]
# ## The search space
#
# `build_student` starts each trial from the same file. `transport_space`
# searches the layer and the weight; an argument that is one value, as
# `epsilon` here, is fixed. The learning rate is searched too.


# %%
def compile_model(hp, model):
    rate = hp.Float("learning_rate", 1e-3, 1e-2, sampling="log")
    model.compile(
        keras.optimizers.Adam(rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy", "sparse_categorical_crossentropy"],
    )


def penalties(hp):
    space = otreg.tuning.transport_space(
        hp,
        at=["hidden", "features"],
        weight=(0.01, 10.0),
        epsilon=0.05,
        cost="euclidean",
    )
    return [space]


hypermodel = otreg.tuning.TransferHyperModel(
    lambda hp: keras.saving.load_model(folder / "with_new_head.keras"),
    penalties=penalties,
    compile=compile_model,
)

# %% [markdown]
# ## The objective
#
# Do not optimise `val_loss`: it contains the penalty. Accuracy has many ties
# on few pictures, so take the loss of the task, compiled as a metric.
# `objective` knows that it is to be minimised.

# %%
objective = otreg.tuning.objective("val_sparse_categorical_crossentropy")
print(objective.name, objective.direction)
tuner = keras_tuner.RandomSearch(
    hypermodel, objective, max_trials=3, seed=1, directory=folder
)
tuner.search(
    *few, validation_data=validation, batch_size=15, epochs=12, verbose=0
)

# %%
rows = otreg.tuning.trials(tuner)
for row in rows:
    print(
        f"score {row['score']:.3f}: at {row['transport/at']:>8}, weight "
        f"{row['transport/weight']:6.3f}, rate {row['learning_rate']:.4f}"
    )
print("best first:", rows == sorted(rows, key=lambda row: row["score"]))

# %% [markdown]
# ## The best student
#
# It is loaded as it was in the best epoch of the best trial, and is a plain
# model.

# %%
(best,) = tuner.get_best_models()
print(best.evaluate(*test, verbose=0, return_dict=True))
best.student.save(folder / "fine_tuned.keras")
print(sorted(path.name for path in folder.glob("*.keras")))

# %% [markdown]
# Started again with the same `directory`, the program resumes the search. For
# folders of pictures, `python -m keras_otreg tune` does all of
# this; [Tuning](../docs/pages/tuning.md) has the details, also for several
# workers.
