"""Tasks of the measurement of joint transfer: data, networks and starts."""

import collections
import dataclasses
import functools
import pathlib
import re
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

import keras_otreg as otreg
from keras_otreg import class_costs
from keras_otreg.data import Labelled
from keras_otreg.data.builders import LETTERS, _fonts, _glyph
from keras_otreg.demo import rows
from keras_otreg.experiments import networks
from keras_otreg.experiments.problem import Settings

LOSS, AT = "sparse_categorical_crossentropy", "features"
START, SOURCE = "start", "source"
LAYERS = ("top_conv", "top_bn", "top")
PLACE = "block7_out"
# Of the source head, which is solved on many samples.
SOURCE_L2 = 1e-2


@dataclasses.dataclass(frozen=True)
class Task:
    """Source and target data of other classes, and where networks start.

    `weights(start, seed)` returns those of the body, and of a head for the
    source that is solved on it. `tied` is the start of the methods that need
    features. `embeddings` are costs by what is known of the classes.
    """

    body: Callable[[], keras.Model]
    teacher: Callable[[], keras.Model]
    weights: Callable[[str, int], tuple[list[Any], list[Any]]]
    tied: str
    source: Labelled
    pool: Labelled
    test: Labelled
    source_names: list[str]
    target_names: list[str]
    embeddings: Mapping[str, np.ndarray]
    shots: int
    steps: int
    rate: float

    def source_sample(self) -> Labelled:
        """Up to 40 source samples of each class, for costs and heads."""
        return sample(self.source)


def sample(data: Labelled) -> Labelled:
    """Up to 40 samples of each class."""
    rows = [np.flatnonzero(data.y == c)[:40] for c in np.unique(data.y)]
    rows = np.concatenate(rows)
    return Labelled(data.x[rows], data.y[rows])


def solved_source_head(body: keras.Model, data: Labelled) -> list[Any]:
    """Weights of a head for the source on the features of a network."""
    head = keras.layers.Dense(int(data.y.max()) + 1, activation="softmax")
    network = keras.Model(body.input, head(body.output))
    otreg.solve_head(network, *sample(data), l2=SOURCE_L2)
    return head.get_weights()


def joined(first: Labelled, second: Labelled) -> Labelled:
    """Both data sets, with the classes of the second after the first's."""
    y = np.concatenate([first.y, second.y + first.y.max() + 1])
    return Labelled(np.concatenate([first.x, second.x]), y)


# Photographs.


def pictures(
    folder: pathlib.Path,
    out: pathlib.Path,
    shots: int,
    unrelated: pathlib.Path | None = None,
) -> Task:
    """Half of the kinds in a folder of pictures beside the other half.

    The pictures of another folder join the source, if there is one.
    """
    path = pathlib.Path(out)
    x, y, is_train, names = activations(folder, path / "activations.npz")
    target, source = names[::2], names[1::2]

    def those(kinds, rows):
        labels = {names.index(name): k for k, name in enumerate(kinds)}
        rows = rows & np.isin(y, [*labels])
        return Labelled(x[rows], np.array([labels[k] for k in y[rows]]))

    everything = np.ones(len(y), bool)
    beside = those(source, everything)
    if unrelated is not None:
        path = path / "unrelated.npz"
        pictures, labels, _, kinds = activations(unrelated, path)
        beside = joined(beside, Labelled(pictures, labels))
        source = [*source, *kinds]
    lite0 = otreg.data.efficientnet_lite0((128, 128, 3))
    body = functools.partial(upper, lite0)

    @functools.cache
    def weights(start, _=None):
        network = body()
        found = solved_source_head(network, beside)
        if start == START:
            return network.get_weights(), found
        return _trained_on_source(network, found, beside, 300, 3e-4)

    last_words = [
        [x.split("-")[-1] for x in kinds] for kinds in (source, target)
    ]
    return Task(
        body,
        lambda: upper(lite0, with_head=True),
        lambda start, seed: weights(start),
        START,
        beside,
        those(target, is_train),
        those(target, ~is_train),
        source,
        target,
        {
            "words": class_costs.from_embeddings(*_words(source, target)),
            "last words": class_costs.from_names(*last_words),
        },
        *(shots, 60, 3e-4),
    )


def activations(folder: pathlib.Path, path: pathlib.Path) -> Any:
    """What the upper layers of Lite0 get for all pictures, kept in a file."""
    parts = otreg.data.picture_parts(folder, 0)
    names = list(parts["train"].class_names)
    if not path.exists():
        network = otreg.data.efficientnet_lite0((128, 128, 3))
        below = keras.Model(network.input, network.get_layer(PLACE).output)
        found = {}
        for part, files in parts.items():
            batches = otreg.data.read_pictures(files, (128, 128), 64)
            found[part] = below.predict(batches, verbose=0).astype("float16")
        np.savez(path, **found)
    kept = np.load(path)
    x = np.concatenate([kept[part] for part in parts]).astype("float32")
    y = np.concatenate([files.labels for files in parts.values()])
    sizes = [len(files.labels) for files in parts.values()]
    is_train = np.repeat([part == "train" for part in parts], sizes)
    return x, y, is_train, names


def upper(lite0, with_head=False):
    """The last convolution of Lite0, with fixed statistics."""
    inputs = keras.Input(lite0.get_layer(PLACE).output.shape[1:])
    x, pairs = inputs, []
    for name in LAYERS:
        layer = lite0.get_layer(name)
        copy = type(layer).from_config(layer.get_config())
        copy.trainable = name != "top_bn"
        x = copy(x)
        pairs.append((copy, layer))
    x = keras.layers.GlobalAveragePooling2D(name=AT)(x)
    if with_head:
        layer = lite0.get_layer("predictions")
        copy = type(layer).from_config(layer.get_config())
        x = copy(x)
        pairs.append((copy, layer))
    network = keras.Model(inputs, x, name="upper")
    for copy, layer in pairs:
        copy.set_weights(layer.get_weights())
    return network


def _trained_on_source(body, head_weights, data, steps, rate):
    keras.utils.set_random_seed(0)
    head = keras.layers.Dense(len(head_weights[1]), activation="softmax")
    network = keras.Model(body.input, head(body.output))
    head.set_weights(head_weights)
    network.compile(keras.optimizers.Adam(rate), LOSS, jit_compile=False)
    rows = np.random.default_rng(0).permutation(len(data.y))
    x, y = data.x[rows], data.y[rows]
    epochs = max(1, round(steps * 32 / len(y)))
    network.fit(x, y, batch_size=32, epochs=epochs, verbose=0)
    return body.get_weights(), head.get_weights()


def _words(*groups):
    """Counts of the words, and of groups of three letters, of names."""
    counts = []
    for name in sum(groups, []):
        words = re.split(r"[\W_]+", name.lower())
        parts = [w[k : k + 3] for w in words for k in range(max(1, len(w) - 2))]
        counts.append(collections.Counter([*words, *parts]))
    known = sorted(set().union(*counts))
    vectors = np.array([[c[word] for word in known] for c in counts], float)
    return vectors[: len(groups[0])], vectors[len(groups[0]) :]


# Digits.


def letters_to_digits(unrelated: pathlib.Path | None = None) -> Task:
    """Handwritten digits beside printed letters, with a small network.

    The pictures of a folder join the source, if there is one.
    """
    data, names = rows.letters_and_digits(), list(LETTERS)
    if unrelated is not None:
        pictures, kinds = small_negatives(unrelated)
        data = data._replace(source=joined(data.source, pictures))
        names += kinds
    settings = Settings(**rows.BESIDE)
    network = functools.partial(networks.wide, settings)

    @functools.cache
    def trained():
        return networks.trained_source(data.source, settings)

    def body():
        whole = network()
        return keras.Model(whole.input, whole.get_layer(AT).output)

    def teacher():
        return trained()

    @functools.cache
    def weights(start, seed):
        if start == SOURCE:
            return trained().get_weights()[:-2], trained().get_weights()[-2:]
        keras.utils.set_random_seed(seed)
        new = body()
        return new.get_weights(), solved_source_head(new, data.source)

    digits = [*"0123456789"]
    return Task(
        *(body, teacher, weights, SOURCE),
        *(data.source, data.pool, data.test, names, digits),
        {
            "glyphs": class_costs.from_embeddings(
                *map(_glyphs, (LETTERS, digits))
            )
        },
        *(5, 150, 1e-3),
    )


def small_negatives(folder: pathlib.Path) -> tuple[Labelled, list[str]]:
    """All pictures of a folder, small and grey, light on dark as letters are.

    The names of their classes are returned too.
    """
    found, labels = [], []
    parts = otreg.data.picture_parts(folder, 0)
    for files in parts.values():
        batches = otreg.data.read_pictures(files, (28, 28), 64)
        found += [1.0 - np.asarray(x).mean(axis=-1) / 255.0 for x, _ in batches]
        labels.append(files.labels)
    x = np.concatenate(found)[..., None].astype("float32")
    return Labelled(x, np.concatenate(labels)), list(files.class_names)


def _glyphs(names):
    """Mean pictures of printed characters over fonts, as vectors."""
    return np.array(
        [
            np.mean(
                [np.asarray(_glyph(f, x), float) for f in _fonts()], 0
            ).ravel()
            for x in names
        ]
    )
