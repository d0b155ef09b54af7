"""The examples of docstrings, of the README and of pages run as they stand."""

import importlib
import inspect
import pathlib
import re
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_otreg as otreg

ROOT = pathlib.Path(otreg.__file__).parents[1]
ROOMS = ("losses", "layers", "models", "features", "regularizers", "ot")
ROOMS += ("class_costs", "ot.costs", "plots")
# Whose examples need no network to download, run one after the other.
PAGES = ("concepts", "joint_transfer", "seeing")


def blocks(text):
    """The Python examples in a text."""
    found = re.findall(r"^( *)```python\n(.*?)^ *```", text, re.M | re.S)
    return [textwrap.dedent(code) for _, code in found]


def examples():
    for room in ROOMS:
        module = importlib.import_module(f"keras_otreg.{room}")
        for name in getattr(module, "__all__", None) or vars(module):
            value = getattr(module, name)
            if inspect.isfunction(value) or inspect.isclass(value):
                for code in blocks(inspect.getdoc(value) or ""):
                    place = f"{room}.{name}"
                    yield pytest.param(place, module, code, id=place)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    yield from (
        pytest.param("README", otreg, code, id="README")
        for code in blocks(readme)
    )


def network(width=4):
    inputs = keras.Input((8, 8, 1))
    x = inputs
    for name in ("block1_out", "block2_out", "block3_out", "block5_out"):
        x = keras.layers.Conv2D(4, 3, padding="same", name=name)(x)
    for name in ("stage1", "stage2", "stage3"):
        x = keras.layers.Conv2D(4, 3, name=name)(x)
    x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)
    x = keras.layers.Dense(width, name="features")(x)
    return keras.Model(inputs, keras.layers.Dense(3, "softmax", name="head")(x))


def nested():
    inner = network()
    backbone = keras.Model(
        inner.input, inner.get_layer("features").output, name="backbone"
    )
    inputs = keras.Input((8, 8, 1))
    return keras.Model(inputs, keras.layers.Dense(3)(backbone(inputs)))


@pytest.fixture
def given(rng, monkeypatch, tmp_path):
    """What an example takes for granted."""
    monkeypatch.chdir(tmp_path)
    x = rng.normal(size=(6, 8, 8, 1)).astype("float32")
    y = np.array([0, 1, 2, 0, 1, 2])
    batches = tf.data.Dataset.from_tensor_slices((x, y)).batch(3)
    activations = rng.normal(size=(6, 5)).astype("float32")
    predictions = np.full((6, 3), 1 / 3, "float32")
    C = rng.uniform(size=(3, 3)).astype("float32")
    student, teacher = network(), network()
    a = np.full(3, 1 / 3, "float32")
    return {
        "narrow": student,
        "wide": network(6),
        "backbone": nested().get_layer("backbone"),
        "inputs": keras.Input((8, 8, 1)),
        "shortcut": activations,
        "bank": activations,
        "pretrained_kernel": rng.normal(size=(5, 64)).astype("float32"),
        "a": a,
        "b": a,
        "problem": otreg.ot.TransportProblem(C, a, a, 0.1),
        "similar_problem": otreg.ot.TransportProblem(C + 0.01, a, a, 0.1),
        "class_costs": otreg.class_costs,
        "source_data": batches,
        "target_data": batches,
        "letters": [*"abc"],
        "digits": [*"012"],
        "steps": [1, 2],
        "plain_accuracy": np.ones((2, 2)),
        "transport_accuracy": np.ones((2, 2)),
        "keras": keras,
        "np": np,
        "ops": keras.ops,
        "otreg": otreg,
        "student": student,
        "model": student,
        "teacher": teacher,
        "x": x,
        "y": y,
        "images": x,
        "train": batches,
        "validation": batches,
        "batches": batches,
        "teacher_activations": activations,
        "student_activations": activations,
        "C": C,
        "cost_matrix": C,
        "P": C,
        "loss": otreg.losses.RepresentationTransport(),
        "source_predictions": predictions,
        "target_predictions": predictions,
    }


def particular(name, given):
    """What single examples take for granted, under the same names."""
    if name == "features.capture":
        return {"model": nested()}
    if name == "features.fingerprint":
        penalty = otreg.Penalty(otreg.losses.Coral(), at="avg_pool")
        return {"model": otreg.TransferModel(network(), None, [penalty])}
    if name == "models.SourceTask":
        labelled = given["x"], given["y"]
        return {
            "cost_matrix": np.ones((52, 3)),
            "target": labelled,
            "source": labelled,
        }
    if name == "models.load_model":
        teacher = network()
        teacher.save("teacher.keras")
        penalty = otreg.Penalty(otreg.losses.Coral(), at="avg_pool")
        return {"model": otreg.TransferModel(network(), teacher, [penalty])}
    if name == "layers.FeatureTap":
        return {"x": given["shortcut"]}
    if name == "plots.class_plan":
        rows = np.full((6, 3), 1 / 3, "float32")
        loss = otreg.losses.ClassTransport(given["C"])
        return {
            "loss": loss,
            "source_predictions": rows,
            "target_predictions": rows,
        }
    return {}


def joint():
    """A model that learns three classes beside 52."""
    task = otreg.SourceTask(
        head=keras.layers.Dense(52, activation="softmax"),
        at="features",
        loss="sparse_categorical_crossentropy",
        transport=otreg.losses.ClassTransport(np.ones((52, 3), "float32")),
    )
    model = otreg.TransferModel(network(), source_task=task)
    model.compile("adam", loss="sparse_categorical_crossentropy")
    return model


@pytest.fixture
def eagerly():
    """Without traces, of which each example would make its own."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize(("name", "module", "code"), examples())
def test_an_example_runs(name, module, code, given):
    names = {**vars(module), **given, **particular(name, given)}
    exec(code, names)  # noqa: S102


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("page", PAGES)
def test_the_examples_of_a_page_run_in_their_order(page, given, rng):
    letters = rng.normal(size=(104, 8, 8, 1)), np.arange(104) % 52
    # Of one batch: a page trains for many epochs.
    few = tf.data.Dataset.from_tensors((given["x"], given["y"]))
    names = {
        **given,
        "train": few,
        "validation": few,
        "x_train": given["x"],
        "y_train": given["y"],
        "pretrained": network(),
        "source": letters,
        "source_batches": [letters],
        "letters": [str(number) for number in range(52)],
        "target": (given["x"], given["y"]),
        "target_batches": given["batches"],
        "target_validation": given["batches"],
        "joint": joint(),
    }
    text = (ROOT / "docs" / "pages" / f"{page}.md").read_text(encoding="utf-8")
    for code in blocks(text):
        exec(code, names)  # noqa: S102
