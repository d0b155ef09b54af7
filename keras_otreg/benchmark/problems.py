"""Transfers that tasks describe, between small networks or to pictures."""

import collections
import functools
import hashlib
import json
import pathlib

import keras
import numpy as np
import tensorflow as tf

from keras_otreg.benchmark.comparison import SOLVED, FolderTask, SmallTask
from keras_otreg.data import (
    Labelled,
    efficientnet_lite0,
    few_shot,
    image_folder,
    letters,
    mnist5k,
    optdigits,
    with_unlabelled,
)
from keras_otreg.data.splits import check_draw
from keras_otreg.experiments import networks
from keras_otreg.experiments.networks import trained_source
from keras_otreg.experiments.problem import (
    HEAD,
    Problem,
    unequal,
    without_batch_statistics,
)
from keras_otreg.experiments.settings import Settings
from keras_otreg.files import written
from keras_otreg.models.teacher import copy_of

# Of each class of the target, held out to choose strengths by.
VALIDATION = 25
# Of the target's samples, to inherit weights on where labels are not needed.
UNLABELLED = 500
# Of a folder of pictures.
PARTS = ("train", "validation", "test")
# Layers of EfficientNet-Lite0.
STAGES = ("block3_out", "block5_out", "block7_out", "top")
PENULTIMATE = "avg_pool"


def _common(entry, seed, pool):
    """What both kinds of problems have of an entry."""
    counts = collections.Counter(pool.y.tolist())
    check_draw(entry.labels, counts, f"{entry.name}: labels")
    settings = Settings(
        seed=seed,
        points=1,
        steps=entry.steps,
        learning_rate=entry.learning_rate,
        per_class=entry.labels,
    )
    return {
        "settings": settings,
        "pool": pool,
        "solved": entry.start == SOLVED,
        "ratio": entry.ratio,
    }


def small_problem(entry: SmallTask, seed: int, folder: pathlib.Path) -> Problem:
    """Prepare a transfer between digits or letters, the source in a folder."""
    data, test = (
        _of_classes(x, entry.target_classes) for x in _data(entry.target)
    )
    validation, pool = few_shot(*data, VALIDATION, seed=0)
    common = _common(entry, seed, pool)
    network, stages = {
        "same": (networks.wide, networks.WIDE_STAGES),
        "narrow": (networks.narrow, networks.NARROW_STAGES),
        "thin": (networks.thin, networks.WIDE_STAGES),
    }[entry.student]
    return Problem(
        teacher=_teacher(entry, common["settings"], folder),
        student=functools.partial(
            network, common["settings"], int(pool.y.max()) + 1
        ),
        pretrained=entry.student == "same",
        validation=validation,
        test=unequal(test, entry.ratio),
        places=networks.places(stages),
        batches=functools.partial(_with_unlabelled, entry.unlabelled),
        unlabelled=UNLABELLED if entry.unlabelled else 0,
        **common,
    )


@functools.cache
def _data(name):
    if name == "letters":
        test, train = few_shot(*letters(), per_class=20, seed=0)
        return train, test
    return mnist5k() if name == "mnist5k" else optdigits()


def _of_classes(data, ends):
    """The samples of some classes, which then count from 0."""
    if not ends:
        return data
    first, last = ends
    chosen = (data.y >= first) & (data.y <= last)
    return Labelled(data.x[chosen], data.y[chosen] - first)


def _teacher(entry, settings, folder):
    """The source network, trained once for all tasks."""
    name = "-".join(map(str, (entry.source, *entry.source_classes)))
    path = folder / f"{name}-{settings.source_epochs}-{settings.seed}.keras"
    if not path.exists():
        data = _of_classes(_data(entry.source)[0], entry.source_classes)
        model = trained_source(data, settings)
        written(path, model.save)
    # Read also where it was just trained: a resumed run sees the same.
    return keras.saving.load_model(path, compile=False)


def _with_unlabelled(unlabelled, few, others, seed, usable):
    if not (unlabelled and usable):
        return None
    return with_unlabelled(
        tuple(few),
        np.asarray(others.x),
        batch_size=len(few.y),
        unlabelled_batch_size=unlabelled,
        seed=seed,
    ).repeat()


def digest_of(data: pathlib.Path) -> str:
    """Digest of the names and sizes of files."""
    files = sorted(
        (path.relative_to(data).as_posix(), path.stat().st_size)
        for part in PARTS
        for path in (data / part).rglob("*")
        if path.is_file()
    )
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()[:12]


def folder_problem(entry: FolderTask, seed: int, data: pathlib.Path) -> Problem:
    """Prepare a transfer to a folder of pictures, with the folders `PARTS`."""
    _, upper = _halves(entry.image_size, entry.frozen_to)
    pool, validation, test = _pictures(data, entry.image_size, entry.frozen_to)
    common = _common(entry, seed, pool)
    stages = [(x, x) for x in STAGES if x in {y.name for y in upper.layers}]
    return Problem(
        teacher=upper,
        student=functools.partial(_student, upper, int(pool.y.max()) + 1),
        pretrained=True,
        validation=Labelled(validation.x[:, 0], validation.y),
        test=unequal(Labelled(test.x[:, 0], test.y), entry.ratio),
        places=networks.places(stages, PENULTIMATE) | {"head": []},
        batches=functools.partial(_mirrored, entry.steps, entry.batch_size),
        **common,
    )


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
    names, seen = None, []
    for part in PARTS:
        batches = image_folder(
            path / part, (size, size), 64, class_names=names, shuffle=False
        )
        # A part that lacks a class has the labels of the training pictures.
        names = batches.class_names
        seen.append(_seen(batches, lower))
    return tuple(seen)


def _seen(batches, lower):
    found, labels = [], []
    for pictures, y in batches:
        both = tf.stack([pictures, tf.reverse(pictures, [2])], axis=1)
        flat = tf.reshape(both, (-1, *pictures.shape[1:]))
        if lower is None:
            seen = np.rint(flat).astype("uint8")
        else:
            seen = lower.predict_on_batch(flat)
        found.append(seen.reshape(-1, 2, *seen.shape[1:]))
        labels.append(y)
    return Labelled(np.concatenate(found), np.concatenate(labels))


def _student(upper, classes):
    """The upper layers under a new head."""
    # The few pictures of a batch know less of the means than ImageNet.
    body = without_batch_statistics(copy_of(upper))
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
