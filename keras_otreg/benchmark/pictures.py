"""Transfers from ImageNet to folders of pictures."""

import dataclasses
import functools
import hashlib
import json
import pathlib

import keras
import numpy as np
import tensorflow as tf

from keras_otreg.benchmark.comparison import Task
from keras_otreg.data import Labelled, efficientnet_lite0, image_folder
from keras_otreg.experiments import networks
from keras_otreg.experiments.problem import HEAD, Problem, unequal
from keras_otreg.models.teacher import copy_of

# Of a folder of pictures.
PARTS = ("train", "validation", "test")
# Layers of EfficientNet-Lite0.
STAGES = ("block3_out", "block5_out", "block7_out", "top")
PENULTIMATE = "avg_pool"


@dataclasses.dataclass(frozen=True)
class FolderTask(Task):
    """A transfer from ImageNet to the pictures of --data, or a `folder` there.

    The lower stages up to the layer `frozen_to`, if given, are frozen, and
    run once for each picture and its mirror image.
    """

    folder: str = ""
    image_size: int = 128
    batch_size: int = 32
    frozen_to: str | None = None

    @property
    def offers(self) -> tuple[str, ...]:
        return ("same network", "norms")

    @property
    def about(self) -> str:
        regime = "Full fine-tuning"
        if self.frozen_to is not None:
            regime = (
                f"Upper stages only: up to {self.frozen_to} all is frozen and "
                "computed once for each picture and its mirror image"
            )
        return (
            "From ImageNet, by EfficientNet-Lite0, to pictures of "
            f"{self.folder or '--data'} at {self.image_size} pixels, "
            f"{self.drawn}. {regime}; batch normalisation stays in inference "
            f"mode; {self.steps} steps of {self.batch_size} pictures."
        )

    def missing(self, data: pathlib.Path | None) -> str:
        parts = [data / self.folder / x for x in PARTS] if data else []
        missing = [str(x) for x in parts if not x.is_dir()]
        if 0 < len(missing) < len(parts):
            raise OSError(f"cannot read --data {data}: no folder {missing[0]}")
        if parts and not missing:
            return ""
        where = (pathlib.PurePosixPath(self.folder) / x for x in PARTS)
        return f"expected --data FOLDER with {', '.join(map(str, where))}"

    def pictures(self, data: pathlib.Path) -> dict[str, pathlib.Path]:
        return {self.folder: data / self.folder}

    def problem(
        self, seed: int, folder: pathlib.Path, data: pathlib.Path | None
    ) -> Problem:
        of_pictures = self.image_size, self.frozen_to
        _, upper = _halves(*of_pictures)
        pool, validation, test = _pictures(data / self.folder, *of_pictures)
        stages = [(x, x) for x in STAGES if x in {y.name for y in upper.layers}]
        return Problem(
            teacher=upper,
            student=functools.partial(_student, upper, int(pool.y.max()) + 1),
            pretrained=True,
            validation=Labelled(validation.x[:, 0], validation.y),
            test=unequal(Labelled(test.x[:, 0], test.y), self.ratio),
            places=networks.places(stages, PENULTIMATE) | {"head": []},
            batches=functools.partial(_mirrored, self.steps, self.batch_size),
            **self.common(seed, pool),
        )


def digest_of(folder: pathlib.Path) -> str:
    """Digest of the names and sizes of pictures."""
    files = sorted(
        (path.relative_to(folder).as_posix(), path.stat().st_size)
        for part in PARTS
        for path in (folder / part).rglob("*")
        if path.is_file()
    )
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()[:12]


@functools.cache
def _halves(size, frozen_to):
    """The frozen lower stages, or `None`, and the layers above them."""
    network = efficientnet_lite0((size, size, 3), False, pooling="avg")
    if frozen_to is None:
        return None, network
    try:
        middle = network.get_layer(frozen_to).output
    except ValueError as error:
        raise OSError(f"cannot freeze to {frozen_to!r}: {error}") from error
    lower = keras.Model(network.input, middle)
    return lower, keras.Model(middle, network.output)


@functools.cache
def _pictures(path, size, frozen_to):
    """Inputs of the upper layers, for each picture and its mirror image."""
    lower, _ = _halves(size, frozen_to)
    names, parts = None, []
    for part in PARTS:
        batches = image_folder(
            path / part, (size, size), 64, class_names=names, shuffle=False
        )
        # A part that lacks a class has the labels of the training pictures.
        names, found, labels = batches.class_names, [], []
        for pictures, y in batches:
            both = tf.stack([pictures, tf.reverse(pictures, [2])], axis=1)
            flat = tf.reshape(both, (-1, *pictures.shape[1:]))
            if lower is None:
                seen = np.rint(flat).astype("uint8")
            else:
                seen = lower.predict_on_batch(flat)
            found.append(seen.reshape(-1, 2, *seen.shape[1:]))
            labels.append(y)
        parts.append(Labelled(np.concatenate(found), np.concatenate(labels)))
    return tuple(parts)


def _student(upper, classes):
    """The upper layers under a new head."""
    # The few pictures of a batch know less of the means than ImageNet.
    body = networks.without_batch_statistics(copy_of(upper))
    head = keras.layers.Dense(classes, activation="softmax", name=HEAD)
    return keras.Model(body.input, head(body.output))


def _mirrored(steps, batch_size, few, others, seed, usable):
    """Endless pictures in random order, mirrored at random."""
    rng = np.random.default_rng(seed)
    needed, count = steps * batch_size, len(few.y)
    passes = [rng.permutation(count) for _ in range(-(-needed // count))]
    order = np.concatenate(passes)[:needed]
    sides = rng.integers(0, 2, needed)
    x, y = few.x[order, sides].astype("float32"), few.y[order]
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(batch_size).repeat()
