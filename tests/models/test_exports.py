"""What leaves this package: it runs where the package is not."""

import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest

import keras_otreg as otreg

# No import of this package can succeed after it.
WITHOUT_US = """
import sys
sys.modules["keras_otreg"] = None
import keras
import numpy as np
"""


@pytest.fixture
def model(make_network, compiled, samples):
    penalties = [
        otreg.Penalty(otreg.losses.Hint(), "backbone/features"),
        otreg.Penalty(
            otreg.losses.RepresentationTransport(), "backbone/hidden"
        ),
    ]
    teacher = make_network(width=99, name="teacher")
    model = otreg.TransferModel(make_network(), teacher, penalties)
    compiled(model, run_eagerly=True).fit(*samples, verbose=0)
    return model


def run_elsewhere(code, folder):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_US + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.tensorflow
@pytest.mark.slow
def test_everything_that_is_exported_predicts_without_this_package(
    model, samples, tmp_path
):
    x = samples[0]
    np.save(tmp_path / "x.npy", x)
    model.export(tmp_path / "wrapper", verbose=False)
    model.student.export(tmp_path / "student", verbose=False)
    model.student.save(tmp_path / "student.keras")
    model.student.save_weights(tmp_path / "student.weights.h5")
    code = """
        import keras, tensorflow as tf
        x = np.load("x.npy")
        student = keras.saving.load_model("student.keras")
        found = {"model": student.predict(x, verbose=0)}
        student.set_weights([0.0 * v for v in student.get_weights()])
        student.load_weights("student.weights.h5")
        found["weights"] = student.predict(x, verbose=0)
        for name in ("wrapper", "student"):
            served = tf.saved_model.load(name)
            found[name] = served.serve(x).numpy()
        np.savez("found.npz", **found)
    """
    run_elsewhere(code, tmp_path)
    expected = model.predict(x, verbose=0)
    with np.load(tmp_path / "found.npz") as found:
        assert len(found.files) == 4
        for name in found.files:
            np.testing.assert_allclose(found[name], expected, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.tensorflow
def test_the_teacher_is_not_exported(model, samples, tmp_path):
    model.export(tmp_path / "wrapper", verbose=False)
    model.student.export(tmp_path / "student", verbose=False)
    wrapper, student = (
        sum(p.stat().st_size for p in (tmp_path / name).glob("variables/*"))
        for name in ("wrapper", "student")
    )
    # Adapters and memories come along.
    others = 4 * (model.count_params() - model.student.count_params())
    assert others > 0
    assert wrapper - student < others + 2000
    assert 4 * model.teacher.count_params() > others + 8000


@pytest.mark.slow
@pytest.mark.tensorflow
def test_the_student_is_exported_to_onnx(model, samples, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    path = tmp_path / "student.onnx"
    model.student.export(path, format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(path)
    (given,) = session.get_inputs()
    (found,) = session.run(None, {given.name: samples[0]})
    expected = model.predict(samples[0], verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.tensorflow
def test_a_loaded_model_is_exported_though_it_was_never_called(tmp_path):
    inputs = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(4, 3, name="features")(inputs)
    student = keras.Model(inputs, keras.layers.GlobalMaxPooling1D()(x))
    penalty = otreg.Penalty(otreg.losses.FeatureMap(), at="features")
    model = otreg.TransferModel(student, penalties=[penalty])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    loaded.export(tmp_path / "served", verbose=False)
    served = keras.layers.TFSMLayer(
        str(tmp_path / "served"), call_endpoint="serve"
    )
    tokens = np.array([[1, 2, 3]], "int32")
    np.testing.assert_allclose(served(tokens), student(tokens))


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_loaded_source_model_is_exported_though_it_was_never_called(tmp_path):
    inputs = keras.Input((4,))
    x = keras.layers.Dense(3, name="features")(inputs)
    student = keras.Model(inputs, keras.layers.Dense(2)(x))
    task = otreg.SourceTask(keras.layers.Dense(5), "features", "mse")
    source = otreg.TransferModel(student, source_task=task).source_model
    source.save(tmp_path / "source.keras")
    loaded = keras.saving.load_model(tmp_path / "source.keras")
    loaded.export(tmp_path / "served", verbose=False)
    served = keras.layers.TFSMLayer(
        str(tmp_path / "served"), call_endpoint="serve"
    )
    x = np.ones((2, 4), "float32")
    np.testing.assert_allclose(served(x), source(x), rtol=1e-6)
