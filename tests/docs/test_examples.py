"""The examples of docstrings and pages run; tests/test_wheel.py runs README."""

import functools
import importlib
import inspect
import pathlib
import re
import textwrap
import types

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf

import keras_otreg as otreg

ROOT = pathlib.Path(otreg.__file__).parents[1]
ROOMS = ("callbacks", "class_costs", "data", "features", "labelling", "layers")
ROOMS += (
    "losses",
    "models",
    "ot",
    "ot.costs",
    "plots",
    "regularizers",
    "tuning",
)
DOWNLOADED = ("data.load",)
# Of a search, and of a training: enough to see that an example runs.
TRIALS, EPOCHS = 2, 2
# Whose examples need no network to download, run one after the other.
PAGES = ("concepts", "joint_transfer")
# A tutorial searches, too.
SEARCHES = (
    "tuning.TransferHyperModel",
    "tuning.random_search",
    "tuning.trials",
)


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
                    if place in DOWNLOADED:
                        continue
                    marks = pytest.mark.release if place in SEARCHES else ()
                    yield pytest.param(
                        place, module, code, id=place, marks=marks
                    )


@pytest.fixture
def of_data(with_penalty, joint, tmp_path, monkeypatch):
    """Folders of pictures, and ten classes of samples."""
    rng = np.random.default_rng(0)
    folders = ["more", *(f"clothes/{x}" for x in ("train", "validation"))]
    for folder in folders:
        draw(tmp_path / folder, rng)
    load = functools.partial(otreg.data.load, data_dir=tmp_path / "sets")
    monkeypatch.setattr(otreg.data, "load", load)
    x = rng.random((60, 28, 28, 1)).astype("float32")
    y = np.arange(60) % 10

    def find(name):
        if name == "data.paired":
            source = rng.random((104, 8, 8, 1)), np.arange(104) % 52
            names = {"model": joint, "x_source": source[0]}
            return {**names, "y_source": source[1]}
        if name == "data.few_shot":
            draw(tmp_path / "other" / "clothes", rng)
            monkeypatch.chdir(tmp_path / "other")
        few = x[:10], y[:10]
        if name in ("data.with_teacher", "data.with_unlabelled"):
            names = {"x": few[0], "y": few[1]}
        else:
            names = {"x": x, "y": y}
        names |= {"x_more": x, "x_valid": few[0], "y_valid": few[1]}
        model = with_penalty(inputs=(28, 28, 1), classes=10)
        return {**names, "model": model}

    return find


def draw(folder, rng):
    """Pictures of two classes, in a folder for each."""
    for label in ("hat", "shoe"):
        (folder / label).mkdir(parents=True)
        for number in range(30):
            pixels = rng.integers(0, 256, size=(8, 8, 3))
            path = folder / label / f"{number}.png"
            keras.utils.save_img(path, pixels, scale=False)


@pytest.fixture
def of_tuning(given, with_penalty, tmp_path, monkeypatch):
    """A hypermodel, and tuners that try little."""
    few = {
        name: _tuner_of_few_trials(getattr(keras_tuner, name))
        for name in ("BayesianOptimization", "RandomSearch")
    }
    student = with_penalty().student
    student.compile(
        "sgd", "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    student.save(tmp_path / "with_new_head.keras")
    hypermodel = otreg.tuning.TransferHyperModel(
        lambda hp: keras.saving.load_model("with_new_head.keras"),
        penalties=lambda hp: [otreg.tuning.transport_space(hp, "avg_pool")],
    )

    search = otreg.tuning.random_search
    monkeypatch.setattr(
        otreg.tuning,
        "random_search",
        lambda hypermodel, folder, trials, **fit: search(
            hypermodel, folder, min(trials, TRIALS), **fit
        ),
    )

    def find(name):
        names = {
            "train": given["train"].take(1),
            "validation": given["train"].take(1),
            "hypermodel": hypermodel,
            "keras_tuner": types.SimpleNamespace(
                HyperParameters=keras_tuner.HyperParameters, **few
            ),
        }
        if name == "tuning.trials":
            names["tuner"] = few["RandomSearch"](
                hypermodel, otreg.tuning.objective(), max_trials=TRIALS
            )
            data = {"x": given["train"], "validation_data": given["train"]}
            names["tuner"].search(**data, verbose=0)
        return names

    return find


def _tuner_of_few_trials(kind):
    def make(hypermodel, objective, max_trials):
        assert max_trials >= TRIALS
        return kind(hypermodel, objective, max_trials=TRIALS)

    return make


@pytest.fixture
def eagerly(monkeypatch):
    """Without traces, of which each example would make its own; in short."""

    def fit(model, *data, epochs=1, **options):
        return fit_whole(model, *data, epochs=min(epochs, EPOCHS), **options)

    fit_whole = keras.Model.fit
    monkeypatch.setattr(keras.Model, "fit", fit)
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize(("name", "module", "code"), list(examples()))
def test_an_example_runs(name, module, code, given, particular):
    names = {**vars(module), **given, **particular(name)}
    exec(code, names)  # noqa: S102


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize(
    "page", [*PAGES, pytest.param("seeing", marks=pytest.mark.release)]
)
def test_the_examples_of_a_page_run_in_their_order(
    page, given, network, joint, rng
):
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
        "x_source": letters[0],
        "y_source": letters[1],
        "source_batches": [letters],
        "letters": [str(number) for number in range(52)],
        "target": (given["x"], given["y"]),
        "target_batches": given["batches"],
        "target_validation": given["batches"],
        "joint": joint,
    }
    text = (ROOT / "docs" / "pages" / f"{page}.md").read_text(encoding="utf-8")
    for code in blocks(text):
        exec(code, names)  # noqa: S102


def test_the_first_page_shows_the_example_of_the_readme():
    index = ROOT / "docs" / "pages" / "index.md"
    first, readme = (
        blocks(path.read_text(encoding="utf-8"))
        for path in (index, ROOT / "README.md")
    )
    assert first == readme


def test_every_link_of_the_readme_leads_to_a_file():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^):#]+)\)", text)
    assert links
    for link in links:
        assert (ROOT / link).exists(), link
