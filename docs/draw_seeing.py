"""Draws the pictures of the page `seeing`: `python docs/draw_seeing.py`.

A network that reads MNIST's digits is fine-tuned to those of another scanner,
first alone, then beside printed letters. Two minutes on two cores.
"""

import pathlib
import sys

import keras
import matplotlib.style
import PIL.Image

import keras_otreg as otreg
from keras_otreg.data.builders import LETTERS
from keras_otreg.experiments import networks
from keras_otreg.experiments.problem import Settings

FOLDER = pathlib.Path(__file__).parent / "pages" / "img" / "seeing"
STYLES = {
    "light": ["default"],
    "dark": [
        "dark_background",
        {f"{part}.facecolor": "#1e2129" for part in ("figure", "axes")},
    ],
}
LAYERS = ["stage1", "stage2", "stage3", "features"]
AFTER = "after fine-tuning"
SHOWN = 128


def compiled(model):
    """The model, ready to be trained."""
    model.compile(
        "adam", "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


def fine_tuned(teacher, train, validation):
    """The student, the logs of `fit` and the monitor."""
    student = keras.models.clone_model(teacher)
    student.set_weights(teacher.get_weights())
    transport = otreg.losses.RepresentationTransport()
    drift = otreg.losses.CenteredKernelAlignment()
    penalties = [
        otreg.Penalty(transport, at="features", name="transport"),
        *otreg.Penalty.at_each(drift, LAYERS, weight=0.0, name="cka"),
    ]
    model = compiled(otreg.TransferModel(student, teacher, penalties))
    probe = (train.x[:SHOWN], train.y[:SHOWN])
    monitor = otreg.callbacks.TransportMonitor(probe)
    logs = model.fit(
        *train,
        epochs=6,
        validation_data=validation,
        callbacks=[monitor],
        verbose=0,
    )
    return student, logs, monitor


def joint_plan(train):
    """The plan between letters and digits, of a network that reads both."""
    letters = otreg.data.letters(copies=2)
    reader = compiled(networks.wide(Settings(), classes=len(LETTERS)))
    reader.fit(*letters, epochs=6, verbose=0)
    known = [
        otreg.class_costs.extract(reader, "features", [each])
        for each in (letters, train)
    ]
    costs = otreg.class_costs.centroid(*known[0], *known[1])
    task = otreg.SourceTask(
        head=keras.layers.Dense(len(LETTERS), activation="softmax"),
        at="features",
        loss="sparse_categorical_crossentropy",
        transport=otreg.losses.ClassTransport(
            otreg.class_costs.normalise(costs)
        ),
    )
    student = networks.wide(Settings())
    model = compiled(otreg.TransferModel(student, source_task=task))
    pairs = otreg.data.paired(train, letters, batch_size=SHOWN)
    monitor = otreg.callbacks.TransportMonitor(pairs)
    model.fit(pairs, epochs=10, callbacks=[monitor], verbose=0)
    return monitor.plans["source_transport"]


def similarities(first, second):
    """Centred kernel alignment of each layer of two networks."""
    loss = otreg.losses.CenteredKernelAlignment()
    return [
        [1.0 - float(loss(first[row], second[column])) for column in LAYERS]
        for row in LAYERS
    ]


def figures(found):
    """All figures by name, in the current style."""
    plots, logs = otreg.plots, found["logs"]
    first, second = found["first"], found["second"]
    shown = ["accuracy", "transport", "transport_iterations"]
    shown += [f"transport_{x}" for x in ("entropy", "permuted")]
    shown += ["transport_gradient_share"]
    P = found["plans"]["transport"]
    return {
        "plan": plots.plan({AFTER: P}, aligned=[AFTER]),
        "history": plots.history(logs, metrics=shown),
        "matches": plots.matches(
            P,
            first["features"],
            second["features"],
            pictures=found["x"],
            count=3,
        ),
        "layer_similarity": plots.layer_similarity(
            similarities(first, second),
            LAYERS,
            LAYERS,
            pairs=[(name, name) for name in LAYERS],
            label="centred kernel alignment",
        ),
        "feature_drift": plots.feature_drift(
            {name: logs.history[f"cka_{name}"] for name in LAYERS},
            label="1 - CKA with the teacher",
        ),
        "class_plan": plots.class_plan(
            found["classes"], LETTERS, [str(digit) for digit in range(10)]
        ),
    }


def write(figure, path):
    """Writes a figure in few colours, which takes a third of the space."""
    figure.savefig(path, dpi=90)
    PIL.Image.open(path).convert("RGB").quantize(256).save(path, optimize=True)


def main():
    """Trains, and writes all pictures to the folder given, or to the page's."""
    folder = pathlib.Path(*sys.argv[1:]) if sys.argv[1:] else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(0)
    source, _ = otreg.data.mnist5k()
    train, validation = otreg.data.optdigits()
    teacher = networks.wide(Settings())
    compiled(teacher).fit(*source, epochs=3, verbose=0)
    student, logs, monitor = fine_tuned(teacher, train, validation)
    x = train.x[:SHOWN]
    found = {"x": x, "logs": logs, "plans": monitor.plans}
    for name, network in (("first", teacher), ("second", student)):
        _, found[name] = otreg.features.capture(network, x, LAYERS, False)
    found["classes"] = joint_plan(train)
    for name, style in STYLES.items():
        with matplotlib.style.context(style, after_reset=True):
            for title, figure in figures(found).items():
                write(figure, folder / f"{title}-{name}.png")


if __name__ == "__main__":
    main()
