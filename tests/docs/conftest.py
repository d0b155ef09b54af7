"""What the examples of the documentation take for granted."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_otreg as otreg


def make_network(width=4, inputs=(8, 8, 1), classes=3):
    x = inputs = keras.Input(inputs)
    for name in ("block1_out", "block2_out", "block3_out", "block5_out"):
        x = keras.layers.Conv2D(4, 3, padding="same", name=name)(x)
    for name in ("stage1", "stage2", "stage3"):
        x = keras.layers.Conv2D(4, 3, name=name)(x)
    x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)
    x = keras.layers.Dense(width, name="features")(x)
    head = keras.layers.Dense(classes, "softmax", name="head")
    return keras.Model(inputs, head(x))


def nested():
    inner = make_network()
    backbone = keras.Model(
        inner.input, inner.get_layer("features").output, name="backbone"
    )
    inputs = keras.Input((8, 8, 1))
    return keras.Model(inputs, keras.layers.Dense(3)(backbone(inputs)))


def compiled(model):
    model.compile(
        "adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


def penalised(**network):
    penalty = otreg.Penalty(
        otreg.losses.RepresentationTransport(), at="features"
    )
    return compiled(
        otreg.TransferModel(make_network(**network), None, [penalty])
    )


@pytest.fixture
def network():
    return make_network


@pytest.fixture
def with_penalty():
    return penalised


@pytest.fixture
def joint():
    """A model that learns three classes beside 52."""
    task = otreg.SourceTask(
        head=keras.layers.Dense(52, activation="softmax"),
        at="features",
        loss="sparse_categorical_crossentropy",
        transport=otreg.losses.ClassTransport(np.ones((52, 3), "float32")),
    )
    return compiled(otreg.TransferModel(make_network(), source_task=task))


def _networks(code):
    """The networks that an example names; all for a page."""
    make = {
        "narrow": make_network,
        "wide": lambda: make_network(6),
        "backbone": lambda: nested().get_layer("backbone"),
        "student": make_network,
        "teacher": make_network,
        "model": make_network,
    }
    found = {k: f() for k, f in make.items() if code is None or k in code}
    if "student" in found and "model" in found:
        found["model"] = found["student"]
    return found


@pytest.fixture
def given(rng, monkeypatch, tmp_path, request):
    """What any example may take for granted."""
    monkeypatch.chdir(tmp_path)
    example = getattr(request.node, "callspec", None)
    code = example.params.get("code") if example else None
    x = rng.normal(size=(6, 8, 8, 1)).astype("float32")
    y = np.array([0, 1, 2, 0, 1, 2])
    batches = tf.data.Dataset.from_tensor_slices((x, y)).batch(3)
    activations = rng.normal(size=(6, 5)).astype("float32")
    predictions = np.full((6, 3), 1 / 3, "float32")
    C = rng.uniform(size=(3, 3)).astype("float32")
    a = np.full(3, 1 / 3, "float32")
    return {
        **_networks(code),
        "make_classifier": make_network,
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
        "source": (activations, y),
        "target": (activations, y),
        "P": C,
        "loss": otreg.losses.RepresentationTransport(),
        "source_predictions": predictions,
        "target_predictions": predictions,
    }


@pytest.fixture
def particular(request, given):
    """What single examples take for granted, under the same names."""

    def find(name):
        room = name.split(".")[0]
        if room in ("data", "tuning"):
            return request.getfixturevalue(f"of_{room}")(name)
        return SINGLE.get(name, lambda given: {})(given)

    return find


def _of_a_penalty(given):
    penalty = otreg.Penalty(otreg.losses.Coral(), at="avg_pool")
    return {"model": otreg.TransferModel(make_network(), None, [penalty])}


def _of_a_saved_teacher(given):
    teacher = make_network()
    teacher.save("teacher.keras")
    penalty = otreg.Penalty(otreg.losses.Coral(), at="avg_pool")
    return {"model": otreg.TransferModel(make_network(), teacher, [penalty])}


def _of_a_source(given):
    labelled = given["x"], given["y"]
    costs = np.ones((52, 3))
    return {"cost_matrix": costs, "target": labelled, "source": labelled}


def _of_classes(given):
    return {"loss": otreg.losses.ClassTransport(given["C"])}


def _of_shares(given):
    task = otreg.SourceTask(
        keras.layers.Dense(3, activation="softmax"),
        at="features",
        loss="sparse_categorical_crossentropy",
    )
    model = otreg.TransferModel(make_network(), source_task=task)
    both = {"target": (given["x"], given["y"])}
    both["source"] = both["target"]
    return {**both, "model": compiled(model)}


def _of_features(given):
    features = np.random.default_rng(0).normal(size=(6, 5)), given["y"]
    names = ("source_features", "target_features")
    return {**_of_shares(given), **dict.fromkeys(names, features)}


def _of_labels(given):
    more = {"x_more": given["x"], "x_valid": given["x"], "y_valid": given["y"]}
    return {"model": make_network(), **more}


SINGLE = {
    "callbacks.SourceShares": _of_shares,
    "class_costs.shares": _of_features,
    "callbacks.SelfTraining": _of_labels,
    "labelling.solve_head_in_rounds": _of_labels,
    "labelling.transported_labels": _of_labels,
    "callbacks.TransportMonitor": lambda given: {"model": penalised()},
    "features.capture": lambda given: {"model": nested()},
    "features.fingerprint": _of_a_penalty,
    "models.SourceTask": _of_a_source,
    "models.load_model": _of_a_saved_teacher,
    "layers.FeatureTap": lambda given: {"x": given["shortcut"]},
    "plots.class_plan": _of_classes,
}
