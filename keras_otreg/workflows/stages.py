"""Finished stages of a command, kept in a folder."""

import dataclasses
import functools
import hashlib
import json
import logging
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_otreg import checks, files
from keras_otreg.data import PictureFiles
from keras_otreg.features import fingerprint
from keras_otreg.files import write_text

RUN, STAGES = "run.json", "stages"
AGAIN = "Delete '{}' to have it made again, or give another --out"


@dataclasses.dataclass(frozen=True)
class Trained:
    """A network that a stage has trained, a plain Keras model.

    `history` has the logs of each epoch; the weights are those of the `best`
    one, from 1. `predictions` are the probabilities of `"validation"` and
    `"test"`, beside other arrays. `share` is that of interpolated weights.
    """

    model: keras.Model
    history: Sequence[Mapping[str, float]] = ()
    best: int = 0
    seconds: float = 0.0
    predictions: Mapping[str, np.ndarray] = dataclasses.field(
        default_factory=dict
    )
    share: float | None = None

    @property
    def is_start(self) -> bool:
        """Whether a training begins here, and none has ended here."""
        return not self.history and self.share is None


class Run:
    """The stages of a command in a folder; started again, it does the rest.

    A stage is on disk as a whole or not at all. Once one is finished, settings
    that would change the results are refused.
    """

    def __init__(self, folder: pathlib.Path, settings: Mapping[str, Any]):
        self.folder = folder
        known = {name: _digest(value) for name, value in settings.items()}
        settings = json.loads(json.dumps(known))
        path = folder / RUN
        if path.exists() and any(folder.glob(f"{STAGES}/*.json")):
            with files.undamaged(path, AGAIN.format(folder)):
                known = dict(json.loads(path.read_text("utf-8")))
            files.same_run(known, settings, folder)
        write_text(path, json.dumps(settings, indent=2))
        (folder / STAGES).mkdir(exist_ok=True)

    def write(self, name: str, trained: Trained) -> None:
        """Write what a stage has trained."""
        files.written(self._path(name, "keras"), trained.model.save)
        arrays: Any = trained.predictions
        save = functools.partial(np.savez_compressed, **arrays)
        files.written(self._path(name, "npz"), save)
        names = "history", "best", "seconds", "share"
        facts = {k: getattr(trained, k) for k in names}
        # The last file is the mark that the stage is finished.
        write_text(self._path(name, "json"), json.dumps(facts, indent=1))

    def read(self, name: str) -> Trained | None:
        """Return what a stage has trained, if it is finished."""
        mark = self._path(name, "json")
        if not mark.exists():
            return None
        with files.undamaged(mark, AGAIN.format(mark)):
            facts = dict(json.loads(mark.read_text("utf-8")))
            model = keras.saving.load_model(
                self._path(name, "keras"), compile=False
            )
            with np.load(self._path(name, "npz")) as arrays:
                predictions = dict(arrays)
            return Trained(model, predictions=predictions, **facts)

    def _path(self, name, suffix):
        return self.folder / STAGES / f"{name}.{suffix}"


def _digest(value):
    """Digest of a network or of pictures, whatever folder they are in."""
    if isinstance(value, keras.Model):
        return fingerprint(value)[:12]
    if not isinstance(value, PictureFiles):
        return value
    digest = hashlib.sha256(json.dumps(value.class_names).encode())
    for path, label in zip(value.paths, value.labels, strict=True):
        content = hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
        names = pathlib.Path(path).parts[-2:]
        digest.update(json.dumps([*names, int(label), content]).encode())
    return digest.hexdigest()[:12]


def output_folder(folder: pathlib.Path, *pictures: pathlib.Path) -> None:
    """Make a folder outside of the pictures, and check that it is writable."""
    # Of each model that is traced again.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    for data in pictures:
        if folder.resolve().is_relative_to(data.resolve()):
            raise checks.invalid(
                f"--out outside of the pictures in '{data}', where it would be "
                "taken for a class",
                f"'{folder}'",
            )
    probe = folder / ".writable"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = f"cannot write to --out {folder}: {error.strerror}"
        raise OSError(reason) from error


def write_table(path: pathlib.Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as a CSV file, all or nothing; they may lack columns."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    files.write_csv(
        path, columns, ([row.get(x) for x in columns] for row in rows)
    )
