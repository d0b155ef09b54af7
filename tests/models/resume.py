"""What a new process runs: it goes on with all models of a folder."""

import json
import pathlib
import sys

import keras
import numpy as np

import keras_otreg  # noqa: F401


class Steps(keras.callbacks.Callback):
    """Keeps what each step logs."""

    def __init__(self):
        super().__init__()
        self.logs = []

    def on_train_batch_end(self, batch, logs=None):
        self.logs.append(logs)


class Batches(keras.utils.PyDataset):
    """The samples of a file in their order, paired for a source task."""

    def __init__(self, path, paired):
        super().__init__()
        with np.load(path) as file:
            self.x, self.y = file["x"], file["y"]
        self.paired = paired

    def __len__(self):
        return len(self.x) // 8

    def __getitem__(self, index):
        rows = slice(8 * index, 8 * index + 8)
        x, y = self.x[rows], self.y[rows]
        if self.paired:
            return (x, x[::-1]), (y, y[::-1])
        return x, y


def main(folder):
    for path in sorted(folder.glob("*.keras")):
        model = keras.saving.load_model(path)
        data = Batches(folder / "data.npz", model.source_task is not None)
        steps = Steps()
        options = {"shuffle": False, "verbose": 0, "callbacks": [steps]}
        model.fit(data, epochs=6, initial_epoch=3, **options)
        states = {f"v{i}": v for i, v in enumerate(model.variables)}
        states |= {f"o{i}": v for i, v in enumerate(model.optimizer.variables)}
        np.savez(path.with_suffix(".npz"), **states)
        path.with_suffix(".json").write_text(json.dumps(steps.logs))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
