"""What a process runs that may be killed: a training under a backup."""

import os
import pathlib
import signal
import sys

import keras
import numpy as np

import keras_otreg as otreg

# On PyTorch Keras saves where random numbers have got only for a seed.
SEED = 5 if keras.backend.backend() == "torch" else None
# On JAX Keras shows losses no number of the step.
WEIGHT = (
    3.0
    if keras.backend.backend() == "jax"
    else keras.optimizers.schedules.CosineDecay(3.0, 12)
)


class PowerCut(keras.callbacks.Callback):
    """Kills the process within the third epoch, as nothing can prevent."""

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.optimizer.iterations) == 8:
            os.kill(os.getpid(), signal.SIGKILL)


def build():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((8,))
    x = keras.layers.Dense(12, activation="relu", name="features")(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.Dropout(0.4, seed=SEED, name="dropout")(x)
    outputs = keras.layers.Dense(3, activation="softmax", name="head")(x)
    model = otreg.TransferModel(
        keras.Model(inputs, outputs),
        penalties=[
            otreg.Penalty(
                otreg.losses.RepresentationTransport(momentum=0.5),
                at="features",
                weight=WEIGHT,
            )
        ],
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def train(callbacks):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(24, 8)).astype("float32")
    model = build()
    model.fit(
        x,
        rng.integers(0, 3, 24),
        batch_size=8,
        epochs=4,
        shuffle=False,
        verbose=0,
        callbacks=callbacks,
    )
    return model


def main(folder, task):
    backup = keras.callbacks.BackupAndRestore(folder / "backup")
    if task == "cut off":
        straight = train([])
        np.savez(folder / "straight.npz", *straight.get_weights())
        train([backup, PowerCut()])
    else:
        resumed = train([backup])
        np.savez(folder / "resumed.npz", *resumed.get_weights())


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2])
