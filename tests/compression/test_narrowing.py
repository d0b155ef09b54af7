import keras
import numpy as np
import pytest
from keras import layers

from keras_otreg.compression import Budget, channels, narrow
from keras_otreg.compression.resources import summary_rows

pytestmark = pytest.mark.filterwarnings("ignore:Expected at least as many rows")


def widths(model):
    return {row.path: row.width for row in summary_rows(model)}


def test_tied_layers_are_narrowed_together(residual):
    teacher = residual()
    found = widths(narrow(teacher, 0.5))
    assert found["stem"] == found["project"] == found["norm"] == 4
    assert found["expand"] == found["each"] == found["gate"] == 6
    assert found["both"] == 8
    assert found["head"] == 4
    assert list(found) == list(widths(teacher))


def test_a_mapping_narrows_what_it_names_alone(residual):
    found = widths(narrow(residual(), {"dense": 3, "project": 0.25}))
    assert (found["dense"], found["stem"], found["expand"]) == (3, 2, 12)


def test_layers_to_keep_and_new_classes(residual):
    found = widths(narrow(residual(), 0.5, keep=["dense"], classes=7))
    assert (found["dense"], found["head"], found["stem"]) == (10, 7, 4)


@pytest.mark.slow
def test_networks_in_a_network_are_narrowed_and_saved(
    settled, images, tmp_path
):
    inner = keras.Input((8, 8, 6))
    x = layers.Conv2D(6, 3, padding="same", name="conv")(inner) * 0.5 + inner
    body = keras.Model(inner, x, name="body")
    head = keras.Sequential(
        [layers.GlobalAveragePooling2D(), layers.Dense(3, name="out")],
        name="end",
    )
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 1, name="stem")(inputs)
    teacher = settled(keras.Model(inputs, head(body(x))))
    student = narrow(teacher, 0.5, samples=images)
    assert widths(student)["body/conv"] == 3
    student.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(loaded(images), student(images))


def test_a_network_may_end_in_another():
    inner = keras.Input((4,))
    x = layers.Dense(6, activation="relu", name="a")(inner)
    body = keras.Model(inner, layers.Dense(2, name="b")(x), name="body")
    inputs = keras.Input((4,))
    teacher = keras.Model(inputs, body(inputs))
    assert widths(narrow(teacher, 0.5)) == {"body/a": 3, "body/b": 2}


def test_a_layer_without_a_rule_keeps_its_width():
    inputs = keras.Input((4,))
    x = layers.Dense(6, name="a")(layers.Dense(8, name="narrow")(inputs))
    x = layers.EinsumDense("ab,bc->ac", 6, name="einsum")(x)
    found = widths(narrow(keras.Model(inputs, layers.Dense(2)(x)), 0.5))
    assert [found[name] for name in ("narrow", "a", "einsum")] == [4, 6, 6]


def test_layers_of_which_nothing_is_known_stay_as_wide(images):
    class Mystery(layers.Layer):
        def call(self, x):
            return x

    class Scale(Mystery):
        pass

    def network(kind):
        inputs = keras.Input((4,))
        x = layers.Dense(8, name="dense")(inputs)
        return keras.Model(inputs, layers.Dense(2, name="out")(kind()(x)))

    rows = {row.path: row for row in summary_rows(network(Mystery))}
    assert "nothing is known" in rows["dense"].why
    with pytest.raises(ValueError, match="whose neurons all stay"):
        narrow(network(Mystery), {"dense": 0.5})
    channels.register(Scale, channels.Passes())
    rows = {row.path: row for row in summary_rows(network(Scale))}
    assert not rows["dense"].why


@pytest.mark.slow
@pytest.mark.parametrize("limit", ["flops", "parameters"])
def test_a_budget_is_kept_and_spent(residual, settled, images, limit):
    teacher = settled(residual(width=16, inner=32, units=64))
    student = narrow(teacher, Budget(**{limit: 0.4}), samples=images)

    def resources(model):
        rows = summary_rows(model)
        return sum(getattr(row.resources, limit) for row in rows)

    assert 0.3 < resources(student) / resources(teacher) <= 0.4
    if limit == "parameters":
        counted = student.count_params() / teacher.count_params()
        assert counted == resources(student) / resources(teacher)


@pytest.mark.slow
def test_a_budget_takes_neurons_where_they_say_nothing(settled, images):
    inputs = keras.Input((8, 8, 3))
    x = layers.Flatten()(inputs)
    for name in ("full", "copies"):
        x = layers.Dense(24, activation="tanh", name=name)(x)
    teacher = settled(keras.Model(inputs, layers.Dense(5)(x)))
    layer = teacher.get_layer("copies")
    layer.kernel.assign(np.repeat(layer.kernel[:, :3], 8, axis=1))
    layer.bias.assign(np.zeros(24))
    found = widths(narrow(teacher, Budget(parameters=0.6), samples=images))
    assert found["copies"] < found["full"] / 1.5


@pytest.mark.parametrize(
    ("width", "message"),
    [
        (0, "share above 0.0"),
        (1.5, "share above 0"),
        ({"dense": 99}, "from 1 to 10"),
        ({"nowhere": 0.5}, "Expected paths of layers"),
        ({"stem": 4, "project": 2}, "share their neurons"),
        ({"head": 0.5}, "whose neurons all stay"),
        (Budget(parameters=3), "one neuron in each"),
    ],
)
def test_widths_that_cannot_be_are_refused(residual, width, message):
    with pytest.raises(ValueError, match=message):
        narrow(residual(), width)


def test_subclassed_networks_are_refused_with_a_way_out():
    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(2)

        def call(self, x):
            return self.dense(x)

    model = Subclassed()
    model(np.ones((1, 2)))
    with pytest.raises(ValueError, match="functional API"):
        narrow(model, 0.5)


@pytest.mark.parametrize("settings", [{}, {"flops": 0.5, "share": 0.5}])
def test_a_budget_has_one_limit(settings):
    with pytest.raises(ValueError, match="Expected one of"):
        Budget(**settings)


@pytest.mark.slow
@pytest.mark.tensorflow
def test_exports_are_smaller_by_what_was_promised(tmp_path):
    import tensorflow as tf

    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(64, 3, activation="relu")(inputs)
    x = layers.Conv2D(128, 3, activation="relu")(x)
    x = layers.GlobalAveragePooling2D()(x)
    teacher = keras.Model(inputs, layers.Dense(5)(x))
    sizes = []
    for model in (teacher, narrow(teacher, 0.5)):
        # Keras exports no network to ONNX before it was called.
        model(np.ones((1, 16, 16, 3)))
        model.export(tmp_path / "m.onnx", format="onnx", verbose=False)
        lite = tf.lite.TFLiteConverter.from_keras_model(model).convert()
        sizes.append((tmp_path / "m.onnx").stat().st_size)
        sizes.append(len(lite))
        sizes.append(model.count_params())
    onnx, lite, promised = (
        small / large for large, small in zip(sizes[:3], sizes[3:], strict=True)
    )
    # The graph itself takes some KB, however wide the layers are.
    assert abs(onnx - promised) < 0.05
    assert abs(lite - promised) < 0.05
