"""Writes the files in this folder; run with keras_otreg 0.1.0 installed.

Each is a model after one epoch of training, packed smaller. `recorded.npz`
holds what the models predict for `X`.
"""

import gzip
import pathlib
import zipfile

import keras
import numpy as np

import keras_otreg as otreg
from keras_otreg import losses

FOLDER = pathlib.Path(__file__).parent
rng = np.random.default_rng(0)
X = rng.normal(size=(16, 4)).astype("float32")
Y = rng.integers(0, 3, size=16)
DECAY = keras.optimizers.schedules.ExponentialDecay(1.0, 10, 0.5)


def network(width=5, seed=1):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((4,))
    x = keras.layers.Dense(width, "relu", name="features")(inputs)
    x = keras.layers.Dropout(0.2, seed=seed)(x)
    return keras.Model(inputs, keras.layers.Dense(3, "softmax", name="head")(x))


def penalties():
    """Momentum and potentials, alignment, an adapter, and a schedule."""
    transport = losses.RepresentationTransport()
    alignment = losses.TransportAlignment()
    return [
        otreg.Penalty(transport, at="features", weight=DECAY),
        otreg.Penalty(alignment, at="features", weight=0.5),
        otreg.Penalty(losses.Hint(), at="features", weight=2.0),
        otreg.Penalty(losses.Coral(), at="head", weight=0.0),
    ]


def trained(model, data=None, **compiled):
    model.compile(
        keras.optimizers.SGD(0.05, momentum=0.9),
        "sparse_categorical_crossentropy",
        **compiled,
    )
    x, y = (X, Y) if data is None else (data, None)
    model.fit(x, y, batch_size=8 if data is None else None, verbose=0)
    return model


def with_penalties():
    return trained(
        otreg.TransferModel(network(5), network(6, 2), penalties()),
        metrics=["accuracy"],
    )


def joint():
    task = otreg.SourceTask(
        keras.layers.Dense(4, "softmax"),
        at="features",
        loss="sparse_categorical_crossentropy",
        weight=DECAY,
        transport=losses.ClassTransport(rng.uniform(size=(4, 3))),
        transport_weight=0.1,
    )
    source = X[::-1].copy(), rng.integers(0, 4, size=16)
    data = otreg.data.paired((X, Y), source, batch_size=8)
    return trained(otreg.TransferModel(network(), source_task=task), data)


def starting_point():
    return trained(otreg.add_starting_point(network(), 0.1))


def neuron_transport():
    kind = otreg.regularizers.NeuronTransport
    model = otreg.add_starting_point(network(), 0.1, regularizer=kind)
    return trained(model)


def save(model, name, **how):
    path = FOLDER / f"{name}.keras"
    model.save(path, **how)
    with zipfile.ZipFile(path) as file:
        parts = {part: file.read(part) for part in file.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for part, content in parts.items():
            file.writestr(part, content)


if __name__ == "__main__":
    makers = (with_penalties, joint, starting_point, neuron_transport)
    models = {make.__name__: make() for make in makers}
    for name, model in models.items():
        save(model, name)
    apart = models["with_penalties"]
    save(apart, "without_teacher", include_teacher=False)
    save(apart.teacher, "teacher")
    weights = FOLDER / "with_penalties.weights.h5"
    apart.save_weights(weights)
    packed = FOLDER / f"{weights.name}.gz"
    packed.write_bytes(gzip.compress(weights.read_bytes()))
    weights.unlink()
    np.savez(
        FOLDER / "recorded.npz",
        X=X,
        Y=Y,
        **{name: np.array(model(X)) for name, model in models.items()},
    )
