"""What each process of a search with several workers runs."""

import json
import os
import pathlib
import sys
import time

import keras
import keras_tuner
import numpy as np

import keras_otreg as otreg


def network(width, name):
    inputs = keras.Input((8,))
    x = keras.layers.Dense(width, activation="relu", name="features")(inputs)
    return keras.Model(inputs, keras.layers.Dense(3, name="head")(x), name=name)


def compile_model(hp, model):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"], run_eagerly=True)


def penalties(hp):
    cost = ["euclidean", "cosine"]
    return otreg.tuning.transport_space(
        hp, ["features", "head"], weight=1.0, epsilon=0.1, cost=cost
    )


class Diary(keras.callbacks.Callback):
    """Writes down each training."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def on_train_begin(self, logs=None):
        with self.path.open("a") as diary:
            diary.write("one more\n")


def wait_for_each_other(folder, me):
    """Otherwise the first worker may do all there is before the others."""
    (folder / f"{me}.ready").touch()
    while len(list(folder.glob("*.ready"))) < 2:
        time.sleep(0.05)


def main(folder):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(24, 8)).astype("float32")
    y = x[:, :3].argmax(axis=-1)
    keras.utils.set_random_seed(0)
    tuner = keras_tuner.GridSearch(
        otreg.tuning.TransferHyperModel(
            lambda hp: network(6, "student"),
            teacher=network(10, "teacher"),
            penalties=penalties,
            compile=compile_model,
        ),
        otreg.tuning.objective("val_accuracy"),
        directory=folder / "search",
    )
    me = os.environ["KERASTUNER_TUNER_ID"]
    if me != "chief":
        wait_for_each_other(folder, me)
    tuner.search(
        x,
        y,
        validation_data=(x, y),
        epochs=2,
        verbose=0,
        callbacks=[Diary(folder / f"{me}.diary")],
    )
    if me == "chief":
        (best,) = tuner.get_best_models()
        result = {
            "trials": otreg.tuning.trials(tuner),
            "best": best.evaluate(x, y, verbose=0, return_dict=True),
        }
        (folder / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
