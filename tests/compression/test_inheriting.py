import keras
import numpy as np
import pytest
from keras import layers

from keras_otreg.compression import graph, inherit, narrow
from keras_otreg.compression.affine import without_activation

pytestmark = pytest.mark.filterwarnings("ignore:Expected at least as many rows")


def predictions(model, x):
    return np.asarray(model(x))


def test_a_student_of_the_same_width_is_its_teacher(residual, settled, images):
    teacher = settled(residual())
    before = teacher.get_weights()
    student = narrow(teacher, 1.0, samples=images)
    np.testing.assert_allclose(
        predictions(student, images), predictions(teacher, images), atol=1e-4
    )
    for one, other in zip(before, teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_both_networks_see_the_same_order_of_a_shuffled_data_set(
    residual, settled, images, monkeypatch
):
    tf = pytest.importorskip("tensorflow")
    # Of some batches, for one of the networks or both.
    monkeypatch.setattr(graph, "MEMORY", 100_000)
    teacher = settled(residual())
    samples = tf.data.Dataset.from_tensor_slices(images).shuffle(len(images))
    student = narrow(teacher, 1.0, samples=samples.batch(16))
    np.testing.assert_allclose(
        predictions(student, images), predictions(teacher, images), atol=1e-3
    )


@pytest.mark.slow
def test_copies_of_neurons_are_removed_without_a_loss(settled, images):
    def network(factor):
        x = inputs = keras.Input((8, 8, 3))
        x = skip = layers.Conv2D(4 * factor, 3, padding="same", name="stem")(x)
        x = layers.BatchNormalization(name="norm")(x)
        x = layers.Conv2D(6 * factor, 1, name="expand")(layers.ReLU()(x))
        x = layers.DepthwiseConv2D(3, padding="same", name="each")(x)
        x = layers.Conv2D(4 * factor, 1, name="project")(layers.ReLU()(x))
        x = layers.Add(name="add")([skip, x])
        x = layers.GlobalAveragePooling2D()(x)
        return keras.Model(inputs, layers.Dense(5, name="head")(x))

    small, wide = settled(network(1)), network(3)
    takers = dict.fromkeys(("expand", "project", "head"), 3)
    for layer in filter(lambda x: x.weights, small.layers):
        for own, known in zip(
            wide.get_layer(layer.name).weights, layer.weights, strict=True
        ):
            value = keras.ops.convert_to_numpy(known)
            for axis, n in enumerate(own.shape):
                value = np.repeat(value, n // value.shape[axis], axis)
            if layer.name in takers and "kernel" in own.path:
                value = value / takers[layer.name]
            own.assign(value)
    np.testing.assert_allclose(
        predictions(wide, images), predictions(small, images), atol=1e-5
    )
    shares = dict.fromkeys(("stem", "expand"), 1 / 3)
    student = narrow(wide, shares, samples=images)
    assert student.count_params() == small.count_params()
    np.testing.assert_allclose(
        predictions(student, images), predictions(wide, images), atol=1e-3
    )


@pytest.mark.slow
def test_permuting_the_neurons_of_the_teacher_changes_nothing(settled, images):
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, activation="relu", name="a")(inputs)
    x = layers.Flatten()(x)
    teacher = settled(keras.Model(inputs, layers.Dense(3, name="b")(x)))
    other = keras.models.clone_model(teacher)
    order = np.random.default_rng(1).permutation(8)
    kernel, bias, head, head_bias = teacher.get_weights()
    head_ = head.reshape(-1, 8, 3)[:, order].reshape(-1, 3)
    other.set_weights([kernel[..., order], bias[order], head_, head_bias])
    found = [
        predictions(narrow(x, {"a": 4}, samples=images), images)
        for x in (teacher, other)
    ]
    np.testing.assert_allclose(*found, atol=1e-4)


@pytest.mark.slow
def test_least_squares_beats_weights_that_are_only_chosen(
    residual, settled, images
):
    teacher = settled(residual(width=16, inner=24, units=20))
    target = predictions(teacher, images)

    def error(**settings):
        student = narrow(teacher, 0.5, samples=images, **settings)
        return np.square(predictions(student, images) - target).mean()

    # So strong a ridge leaves what the plan alone says.
    assert error() < 0.5 * error(ridge=1e9)
    assert error() < target.var()


@pytest.mark.slow
def test_batches_of_a_data_set_give_the_weights_of_arrays(
    residual, settled, images
):
    tf = pytest.importorskip("tensorflow")
    teacher = settled(residual())
    labelled = tf.data.Dataset.from_tensor_slices((images, images[:, 0, 0, 0]))
    found = [
        narrow(teacher, 0.5, samples=samples).get_weights()
        for samples in (images, labelled.batch(50))
    ]
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-4)


@pytest.mark.slow
def test_a_student_of_another_architecture_inherits_named_layers(
    settled, images
):
    def network(widths, pool, classes=4):
        x = inputs = keras.Input((8, 8, 3))
        for k, width in enumerate(widths):
            x = layers.Conv2D(width, 3, padding="same", name=f"c{k}")(x)
            x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.GlobalAveragePooling2D()(layers.MaxPooling2D(pool)(x))
        return keras.Model(inputs, layers.Dense(classes, name="head")(x))

    teacher = settled(network((12, 10, 8), 2))
    student = network((6, 8), 4)
    found = inherit(
        student,
        teacher,
        images,
        layers={"c0": "c0", "c1": "c2", "head": "head"},
        verbose=False,
    )
    assert [fit.source for fit in found.values()] == ["c0", "c2", "head"]
    target = predictions(teacher, images)
    left = np.square(predictions(student, images) - target).mean()
    assert left < 0.7 * target.var(axis=0).mean()
    # A head of other classes means something else.
    other = network((6, 8), 4, classes=3)
    layers_ = {"c0": "c0", "head": "head"}
    assert "head" not in inherit(
        other, teacher, images, layers=layers_, verbose=False
    )


@pytest.mark.slow
def test_the_table_warns_of_layers_that_explain_little(settled, images, capsys):
    inputs = keras.Input((8, 8, 3))
    x = layers.Dense(64, activation="relu", name="a")(layers.Flatten()(inputs))
    x = layers.Dense(64, activation="relu", name="b")(x)
    teacher = settled(keras.Model(inputs, layers.Dense(9, name="c")(x)))
    narrow(teacher, {"a": 1}, samples=images)
    lines = capsys.readouterr().out.splitlines()
    rows = {x.split()[1]: x for x in lines if x.startswith("│")}
    assert "low: more samples" in rows["b"]
    assert "1 of 64" in rows["a"]
    assert "low" not in rows["a"]


def test_half_precision_gives_what_single_precision_gives(settled, images):
    def network(dtype):
        inputs = keras.Input((8, 8, 3))
        x = layers.Conv2D(8, 3, activation="relu", name="a", dtype=dtype)(
            inputs
        )
        x = layers.GlobalAveragePooling2D(dtype=dtype)(x)
        return keras.Model(inputs, layers.Dense(3, name="b", dtype=dtype)(x))

    found = []
    for dtype in ("float32", "mixed_float16"):
        teacher = settled(network(dtype))
        student = narrow(teacher, 0.5, samples=images)
        found.append(predictions(student, images).astype("float32"))
    np.testing.assert_allclose(*found, atol=2e-2)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.full((4, 8, 8, 3), np.nan, "float32"), "`samples`.*not finite"),
        (np.zeros((4, 8, 3), "float32"), "of shapes"),
        (np.zeros((0, 8, 8, 3), "float32"), "at least one sample"),
    ],
)
def test_samples_that_cannot_be_used_are_refused(residual, samples, message):
    with pytest.raises(ValueError, match=message):
        narrow(residual(), 0.5, samples=samples)


def test_networks_without_a_layer_in_common_are_refused(residual, images):
    inputs = keras.Input((8, 8, 3))
    other = layers.Dense(4, name="other")(layers.Flatten()(inputs))
    with pytest.raises(ValueError, match="same names, or `layers`"):
        inherit(keras.Model(inputs, other), residual(), images)


def test_a_layer_without_its_activation_has_the_same_weights(settled):
    layer = layers.Dense(3, activation="relu")
    layer.build((None, 2))
    settled(layer)
    x = np.ones((1, 2), "float32")
    plain = np.asarray(without_activation(layer)(x))
    np.testing.assert_allclose(np.maximum(plain, 0.0), np.asarray(layer(x)))


def dense_pair(settled):
    inputs = keras.Input((6,))
    x = layers.Dense(8, activation="relu", name="a")(inputs)
    return settled(keras.Model(inputs, layers.Dense(3, name="b")(x)))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["adapter", "quantised"])
def test_layers_with_adapters_or_quantised_keep_their_function(settled, kind):
    teacher = dense_pair(settled)
    layer = teacher.get_layer("a")
    if kind == "adapter":
        layer.enable_lora(2)
        settled(layer)
    else:
        layer.quantize("int8")
    x = np.random.default_rng(0).normal(size=(50, 6)).astype("float32")
    student = narrow(teacher, 1.0, samples=x)
    np.testing.assert_allclose(
        predictions(student, x), predictions(teacher, x), atol=1e-4
    )


@pytest.mark.slow
def test_channels_in_groups_stay_and_are_taken(settled, images):
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(12, 3, activation="relu", name="a")(inputs)
    x = layers.Conv2D(12, 3, groups=3, name="groups")(x)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, name="two")(x)
    x = layers.Dense(20, name="b")(layers.GlobalAveragePooling2D()(x))
    teacher = settled(keras.Model(inputs, layers.Dense(4, name="c")(x)))
    same = narrow(teacher, 1.0, samples=images)
    target = predictions(teacher, images)
    np.testing.assert_allclose(predictions(same, images), target, atol=1e-3)
    smaller = narrow(teacher, 0.5, samples=images)
    assert smaller.get_layer("groups").filters == 12
    error = np.square(predictions(smaller, images) - target).mean()
    assert error < 0.2 * target.var()


def test_samples_are_cast_as_the_network_casts_them(settled):
    teacher = dense_pair(settled)
    x = np.random.default_rng(0).integers(0, 9, size=(50, 6), dtype="uint8")
    found = [
        narrow(teacher, 0.5, samples=samples).get_weights()
        for samples in (x, x.astype("float32"))
    ]
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_fewer_rows_than_inputs_work_and_warn(settled):
    teacher = dense_pair(settled)
    x = np.random.default_rng(0).normal(size=(3, 6)).astype("float32")
    student = narrow(teacher, {"a": 4})
    with pytest.warns(UserWarning, match="at least as many rows"):
        found = inherit(student, teacher, x, verbose=False)
    assert np.isfinite(predictions(student, x)).all()
    plan = found["a"].plan
    assert plan.shape == (8, 4)
    np.testing.assert_allclose(plan.sum(), 1.0)
    assert found["b"].plan is None
