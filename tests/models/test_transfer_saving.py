import json
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_otreg as otreg

# On PyTorch Keras saves where random numbers have got only for a seed.
SEED = 5 if keras.backend.backend() == "torch" else None

pytestmark = pytest.mark.compiled


@pytest.fixture
def model(make_network, compiled):
    # On JAX Keras shows losses no number of the step.
    schedule = keras.optimizers.schedules.ExponentialDecay(3.0, 10, 0.9)
    weight = 3.0 if keras.backend.backend() == "jax" else schedule
    penalties = [
        otreg.Penalty(
            otreg.losses.RepresentationTransport(epsilon=0.1),
            at="backbone/features",
            weight=weight,
        ),
        otreg.Penalty(keras.losses.MeanSquaredError(), at="head", name="mse"),
    ]
    teacher = make_network(name="teacher")
    model = otreg.TransferModel(make_network(), teacher, penalties)
    return compiled(model, metrics=["accuracy"])


@pytest.mark.slow
def test_a_saved_model_evaluates_to_the_same_numbers(model, samples, tmp_path):
    model.fit(*samples, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.evaluate(*samples, verbose=0) == model.evaluate(
        *samples, verbose=0
    )


@pytest.mark.slow
def test_training_goes_on_after_loading_as_if_never_stopped(
    model, samples, tmp_path
):
    options = {"batch_size": 8, "shuffle": False, "verbose": 0}
    model.fit(*samples, epochs=2, **options)
    model.save(tmp_path / "model.keras")
    through = model.fit(*samples, epochs=2, **options).history
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    resumed = loaded.fit(*samples, epochs=2, **options).history
    assert int(loaded.optimizer.iterations) == 12
    for name, values in through.items():
        np.testing.assert_allclose(resumed[name], values, rtol=1e-5)


@pytest.mark.slow
def test_weights_and_config_rebuild_the_model(model, samples, tmp_path):
    model.fit(*samples, verbose=0)
    model.save_weights(tmp_path / "model.weights.h5")
    rebuilt = otreg.TransferModel.from_config(model.get_config())
    rebuilt.load_weights(tmp_path / "model.weights.h5")
    for x, y in zip(
        model.teacher.get_weights() + model.get_weights(),
        rebuilt.teacher.get_weights() + rebuilt.get_weights(),
        strict=True,
    ):
        np.testing.assert_array_equal(x, y)
    assert rebuilt.get_config() == model.get_config()


@pytest.mark.slow
def test_the_students_file_loads_without_this_library(model, samples, tmp_path):
    model.fit(*samples, verbose=0)
    model.student.save(tmp_path / "student.keras")
    np.save(tmp_path / "x.npy", samples[0])
    expected = model.predict(samples[0], verbose=0)
    code = f"""
        import sys
        import keras, numpy as np
        model = keras.saving.load_model(r"{tmp_path}/student.keras")
        x = np.load(r"{tmp_path}/x.npy")
        np.save(r"{tmp_path}/y.npy", model.predict(x, verbose=0))
        assert "keras_otreg" not in sys.modules
    """
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        check=True,
        capture_output=True,
        cwd=tmp_path,
    )
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), expected, rtol=1e-6)


@keras.saving.register_keras_serializable(package="tests")
class Subclassed(keras.Model):
    """A model without symbolic inputs, with one layer called twice."""

    def __init__(self, width=6, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self.features = keras.layers.Dense(width, name="features")
        self.square = keras.layers.Dense(width, name="square")
        self.dropout = keras.layers.Dropout(0.3, seed=SEED)
        self.head = keras.layers.Dense(3, "softmax", name="head")

    def call(self, inputs, training=None):
        x = self.dropout(self.features(inputs), training=training)
        return self.head(self.square(self.square(x)))

    def get_config(self):
        return {**super().get_config(), "width": self.width}


@pytest.mark.slow
def test_a_subclassed_student_is_copied_trained_saved_and_resumed(
    samples, compiled, tmp_path
):
    student = Subclassed()
    student(samples[0])
    loss = otreg.losses.RepresentationTransport()
    penalties = [
        otreg.Penalty(loss, at="features"),
        otreg.Penalty(loss, at="square#1", name="square"),
    ]
    model = compiled(otreg.TransferModel(student, penalties=penalties))
    model.fit(*samples, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        loaded.evaluate(*samples, verbose=0),
        model.evaluate(*samples, verbose=0),
    )
    options = {"epochs": 2, "shuffle": False, "verbose": 0}
    history = model.fit(*samples, **options).history
    assert loaded.fit(*samples, **options).history == history


def test_a_layer_called_twice_is_refused_unless_the_call_is_chosen(samples):
    student = Subclassed()
    student(samples[0])
    penalty = otreg.Penalty(otreg.losses.RepresentationTransport(), at="square")
    with pytest.raises(ValueError, match=r"2 times.*square#0.*square#1"):
        otreg.TransferModel(student, penalties=[penalty])


@pytest.mark.tensorflow
@pytest.mark.slow
def test_it_exports_as_a_saved_model_of_the_students_prediction(
    model, samples, tmp_path
):
    model.fit(*samples, verbose=0)
    model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(tmp_path / "served")
    np.testing.assert_allclose(
        served.serve(samples[0]),
        model.predict(samples[0], verbose=0),
        rtol=1e-5,
    )


@pytest.mark.slow
def test_the_distillers_own_test_of_saving(samples, tmp_path):
    """That of `keras.distillation`, which ends where this one goes on."""

    def network(width, name):
        layers = [
            keras.layers.Dense(width, "relu", name="hidden"),
            keras.layers.Dense(3, name="logits"),
        ]
        model = keras.Sequential(layers, name=name)
        model.build((None, 8))
        return model

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    penalties = [
        otreg.Penalty(
            otreg.losses.LogitsDistillation(3.0, from_logits=True), "logits"
        ),
        otreg.Penalty(otreg.losses.Hint(), "hidden", weight=0.5),
    ]
    student, teacher = network(16, "student"), network(32, "teacher")
    model = otreg.TransferModel(student, teacher, penalties)
    model.compile("adam", loss, metrics=["accuracy"], run_eagerly=True)
    model.predict(samples[0], verbose=0)
    config = json.dumps(model.get_config())
    again = otreg.TransferModel.from_config(json.loads(config))
    assert json.dumps(again.get_config()) == config
    assert [p.name for p in again.penalties] == [p.name for p in penalties]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for found, expected in (
        (loaded.predict, model.predict),
        (loaded.student.predict, student.predict),
        (loaded.teacher.predict, teacher.predict),
    ):
        np.testing.assert_array_equal(
            found(samples[0], verbose=0), expected(samples[0], verbose=0)
        )
    options = {"shuffle": False, "verbose": 0, "epochs": 2}
    history = model.fit(*samples, **options).history
    assert loaded.fit(*samples, **options).history == history


@pytest.mark.slow
def test_a_model_keeps_its_precision_and_with_it_its_optimizer(
    make_network, compiled, samples, tmp_path
):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        penalty = otreg.Penalty(otreg.losses.Hint(), at="backbone/features")
        model = otreg.TransferModel(make_network(), penalties=[penalty])
        compiled(model, run_eagerly=True).fit(*samples, verbose=0)
    finally:
        keras.config.set_dtype_policy("float32")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.optimizer, keras.optimizers.LossScaleOptimizer)
    assert int(loaded.optimizer.iterations) == int(model.optimizer.iterations)
    histories = [
        m.fit(*samples, shuffle=False, verbose=0) for m in (model, loaded)
    ]
    assert histories[0].history == histories[1].history


@pytest.mark.parametrize("name", ["model.h5", "model.hdf5"])
def test_a_format_that_loses_the_teacher_is_refused(model, tmp_path, name):
    with pytest.raises(ValueError, match="Expected the path of a .keras file"):
        model.save(tmp_path / name)
    assert not any(tmp_path.iterdir())


def test_a_link_stays_a_link(model, tmp_path):
    there, link = tmp_path / "there.keras", tmp_path / "link.keras"
    there.touch()
    link.symlink_to(there)
    model.save(link)
    assert link.is_symlink()
    assert there.stat().st_size > 0
