"""One of two worker processes, which fit a model on the loopback address.

The arguments are the task of this worker, the port of each, a folder for
backups and results, and after how many steps of training this worker is to
fall silent, for someone to kill it; 0 for never.
"""

import json
import os
import pathlib
import sys
import time

task, *ports, folder, last = sys.argv[1:]
os.environ["TF_CONFIG"] = json.dumps(
    {
        "cluster": {"worker": [f"127.0.0.1:{port}" for port in ports]},
        "task": {"type": "worker", "index": int(task)},
    }
)

import tensorflow as tf  # noqa: E402

strategy = tf.distribute.MultiWorkerMirroredStrategy()

import fit_on_replicas as fits  # noqa: E402
import keras  # noqa: E402
import numpy as np  # noqa: E402

folder = pathlib.Path(folder)


class Silent(keras.callbacks.Callback):
    """Stops in the middle of an epoch, without a word to anyone."""

    def on_train_batch_end(self, batch, logs=None):
        steps = int(self.model.optimizer.iterations.numpy())
        if steps == int(last):
            (folder / "silent").touch()
            time.sleep(600)


with strategy.scope():
    keras.utils.set_random_seed(0)
    model, (x, y, weights) = fits.weighted()
data = tf.data.Dataset.from_tensor_slices((x, y, weights)).batch(fits.BATCH)
backup = keras.callbacks.BackupAndRestore(folder / f"backup{task}")
model.fit(data, epochs=fits.EPOCHS, verbose=0, callbacks=[backup, Silent()])
found = {v.path: v.numpy() for v in model.variables if "seed" not in v.path}
np.savez(
    folder / f"{task}.npz", steps=model.optimizer.iterations.numpy(), **found
)
