import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import keras_otreg as otreg
from keras_otreg.data import (
    few_shot,
    paired,
    with_teacher,
    with_unlabelled,
)
from keras_otreg.data.teacher import ATTRIBUTE, differing
from keras_otreg.models import parts
from keras_otreg.models.parts import joined, split

PATHS = ["backbone/pool", "features"]


class Batches(keras.utils.PyDataset):
    """Batches of some samples, with noise if wanted."""

    def __init__(self, x, y, noise=0.0):
        super().__init__()
        self.x, self.y, self.noise = x, y, noise

    def __len__(self):
        return 5

    def __getitem__(self, index):
        part = slice(4 * index, 4 * index + 4)
        x = self.x[part]
        noise = self.noise * np.random.default_rng().normal(size=x.shape)
        return x + noise.astype("float32"), self.y[part]


class AlwaysDropout(layers.Dropout):
    """Random in inference, too."""

    def call(self, inputs):
        return super().call(inputs, training=True)


@pytest.fixture
def samples(rng):
    return rng.normal(size=(20, 6, 6, 1)).astype("float32"), np.arange(20) % 3


def network(width, policy=None, single=True):
    """A network of pictures, or of two of them in a dictionary."""
    image = keras.Input((6, 6, 1))
    x = layers.Conv2D(4, 3, dtype=policy, name="maps")(image)
    x = layers.BatchNormalization(dtype=policy)(x)
    x = layers.GlobalAveragePooling2D(dtype=policy, name="pool")(x)
    backbone = keras.Model(image, x, name="backbone")
    names = ["only"] if single else ["left", "right"]
    inputs = {name: keras.Input((6, 6, 1), name=name) for name in names}
    x = layers.Average()(list(inputs.values())) if len(inputs) > 1 else None
    x = backbone(inputs["only"] if x is None else x)
    x = layers.Dense(width, "relu", dtype=policy, name="features")(x)
    x = layers.Dense(3, "softmax", dtype="float32", name="head")(x)
    return keras.Model(inputs["only"] if single else inputs, x)


def make_model(policy=None, single=True, source_task=None, paths=PATHS):
    """The same model each time: two layers, and a wider teacher."""
    keras.utils.set_random_seed(1)
    student, teacher = (network(n, policy, single) for n in (5, 7))
    penalties = [
        otreg.Penalty(
            otreg.losses.CenteredKernelAlignment(), at=path, name=path[-4:]
        )
        for path in paths
    ]
    model = otreg.TransferModel(
        student, teacher, penalties, source_task=source_task
    )
    model.compile(
        keras.optimizers.Adam(0.01),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        weighted_metrics=[],
        run_eagerly=True,
    )
    return model


@pytest.fixture(scope="module")
def model():
    """A model that no test changes."""
    return make_model()


def known_of(data):
    """Inputs of one epoch, and what they carry."""
    steps = [parts.split(x) for x, *_ in data]
    inputs = np.concatenate([parts.target for parts in steps])
    known = {
        path: np.concatenate([parts.cached[0][path] for parts in steps])
        for path in PATHS
    }
    return inputs, known


def live(model, x):
    _, found = otreg.features.capture(model.teacher, x, PATHS, training=False)
    return {path: value.numpy() for path, value in found.items()}


def as_dictionary(x):
    return {"left": x, "right": -0.5 * x}


CASES = {
    "weights": {"weights": True},
    "dictionary on disk": {"single": False, "disk": True},
    "float16": {"policy": "mixed_float16"},
    "bfloat16 on disk": {"policy": "mixed_bfloat16", "disk": True},
}


@pytest.mark.release
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_training_is_what_it_is_without(samples, tmp_path, case):
    x, y = samples
    single = case.get("single", True)
    data = (x if single else as_dictionary(x), y)
    if case.get("weights"):
        data = (*data, np.linspace(0.0, 2.0, 20).astype("float32"))
    models = [make_model(case.get("policy"), single) for _ in range(2)]
    cache = tmp_path / "cache" if case.get("disk") else None
    carried = with_teacher(
        data, models[0], batch_size=8, shuffle=False, cache=cache
    )
    plain = tf.data.Dataset.from_tensor_slices(data).batch(8)
    logs = [
        model.fit(train, epochs=3, verbose=0).history
        for model, train in zip(models, (carried, plain), strict=True)
    ]
    tight = case.get("policy") is None
    for name in logs[1]:
        np.testing.assert_allclose(
            logs[0][name], logs[1][name], rtol=1e-5 if tight else 2e-2
        )
    if tight:
        for one, other in zip(*(m.get_weights() for m in models), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_each_sample_carries_what_the_teacher_returns_for_it(samples, model):
    data = with_teacher(samples, model, batch_size=6)
    epochs = [known_of(data) for _ in range(2)]
    for x, known in epochs:
        for path, expected in live(model, x).items():
            np.testing.assert_allclose(known[path], expected, atol=1e-6)
    first, second = (x for x, _ in epochs)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(np.sort(first, axis=0), np.sort(second, 0))


@pytest.mark.release
def test_labels_and_weights_stay_with_their_samples(samples, model):
    x, _ = samples
    y, weight = np.arange(20), np.arange(20) / 7
    data = with_teacher((x, y, weight), model, batch_size=3)
    assert len(data) == 7
    for inputs, label, found in data:
        np.testing.assert_array_equal(parts.split(inputs).target, x[label])
        np.testing.assert_array_equal(found, weight[label.numpy()])


@pytest.mark.release
def test_seeds_give_orders_and_no_shuffle_gives_that_of_the_data(
    samples, model
):
    first, again, other = (
        known_of(with_teacher(samples, model, seed=seed))[0]
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    kept, _ = known_of(with_teacher(samples, model, shuffle=False))
    np.testing.assert_array_equal(kept, samples[0])


@pytest.mark.release
def test_a_shuffled_data_set_is_paired_by_its_samples(samples, model):
    shuffled = tf.data.Dataset.from_tensor_slices(samples).shuffle(20).batch(6)
    data = with_teacher(shuffled, model)
    assert [len(y) for _, y in data] == [6, 6, 6, 2]
    x, known = known_of(data)
    for path, expected in live(model, x).items():
        np.testing.assert_allclose(known[path], expected, atol=1e-6)
    assert len(next(iter(with_teacher(shuffled, model, batch_size=9)))[1]) == 9


@pytest.mark.release
@pytest.mark.parametrize("disk", [False, True], ids=["memory", "disk"])
def test_samples_and_activations_go_with_their_data_set(
    samples, tmp_path, disk
):
    model = make_model()
    data = with_teacher(samples, model, cache=tmp_path / "c" if disk else None)
    columns = [weakref.ref(column) for column in getattr(data, ATTRIBUTE)]
    model.fit(data, validation_data=data.take(1), epochs=2, verbose=0)
    assert all(column() is not None for column in columns)
    del data
    gc.collect()
    assert not any(column() is not None for column in columns)


@pytest.mark.release
def test_a_py_dataset_is_read_too(samples, model):
    x, known = known_of(with_teacher(Batches(*samples), model))
    np.testing.assert_array_equal(np.sort(x, 0), np.sort(samples[0], 0))
    assert known["features"].shape == (20, 7)


@pytest.mark.release
def test_the_teacher_of_later_runs_may_have_another_head(samples, tmp_path):
    caches = []
    for seed in (1, 2):
        model = make_model()
        head = model.teacher.get_layer("head")
        head.set_weights([seed * w for w in head.get_weights()])
        caches.append(with_teacher(samples, model, cache=tmp_path / "c"))
    one, other = (known_of(data) for data in caches)
    keras.tree.map_structure(np.testing.assert_array_equal, one, other)


@pytest.mark.release
def test_a_cache_is_read_and_not_made_again(samples, tmp_path, model):
    folder = tmp_path / "c"
    with_teacher(samples, model, cache=folder)
    before = {file: file.stat().st_mtime_ns for file in folder.iterdir()}
    # The order of the samples does not matter, and their source neither.
    shuffled = tf.data.Dataset.from_tensor_slices(samples).shuffle(20).batch(6)
    x, known = known_of(with_teacher(shuffled, model, cache=str(folder)))
    np.testing.assert_array_equal(np.sort(x, 0), np.sort(samples[0], 0))
    for path, expected in live(model, x).items():
        np.testing.assert_allclose(known[path], expected, atol=1e-6)
    assert before == {f: f.stat().st_mtime_ns for f in folder.iterdir()}


@pytest.mark.release
@pytest.mark.parametrize("is_there", [True, False])
def test_a_cache_may_be_a_link_to_a_folder(samples, tmp_path, is_there, model):
    target, link = tmp_path / "elsewhere" / "c", tmp_path / "link"
    if is_there:
        target.mkdir(parents=True)
    link.symlink_to(target)
    for _ in range(2):
        assert len(with_teacher(samples, model, cache=link)) == 1
    assert link.is_symlink()
    assert (target / "index.json").is_file()
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.release
def test_a_cache_that_is_no_folder_of_this_machine_is_refused(samples, model):
    for cache in (5, b"folder", "gs://bucket/c", True, ["c"]):
        with pytest.raises(ValueError, match="argument `cache`.*this machine"):
            with_teacher(samples, model, cache=cache)


@pytest.mark.release
def test_a_cache_of_something_else_is_refused(samples, tmp_path, model):
    folder = tmp_path / "c"
    with_teacher(samples, model, cache=folder)
    x, y = samples
    for data in ((x[:-1], y[:-1]), (x, (y + 1) % 3), (x + 1e-6, y)):
        with pytest.raises(ValueError, match="made with others: {'samples'"):
            with_teacher(data, model, cache=folder)
    single = make_model(paths=PATHS[:1])
    with pytest.raises(ValueError, match="made with others.*'layers'"):
        with_teacher(samples, single, cache=folder)
    moved = make_model()
    moved.teacher.get_layer("features").bias.assign_add(np.full(7, 1e-6))
    with pytest.raises(ValueError, match="made with others: {'teacher'"):
        with_teacher(samples, moved, cache=folder)


@pytest.mark.release
def test_data_that_know_another_teacher_are_refused(samples):
    known = with_teacher(samples, make_model(), batch_size=10)
    same = make_model()
    same.fit(known, validation_data=known, verbose=0)
    moved = make_model()
    moved.teacher.get_layer("features").bias.assign_add(np.full(7, 1e-6))
    for work in (
        lambda: moved.fit(known, verbose=0),
        lambda: moved.fit(samples[0], samples[1], validation_data=known),
        lambda: moved.evaluate(x=known, verbose=0),
    ):
        with pytest.raises(ValueError, match="whose activations the data"):
            work()


@pytest.mark.release
def test_a_teacher_of_another_precision_is_refused(samples, tmp_path):
    low, full = make_model("mixed_bfloat16"), make_model()
    known = with_teacher(samples, low, cache=tmp_path / "c")
    with pytest.raises(ValueError, match=r"others: {'precision': \['bfloat16"):
        with_teacher(samples, full, cache=tmp_path / "c")
    with pytest.raises(ValueError, match=r"computed in \['bfloat16'\]"):
        full.evaluate(known, verbose=0)
    assert np.isfinite(make_model("mixed_bfloat16").evaluate(known)[0])


@pytest.mark.release
def test_a_teacher_that_uses_its_weights_otherwise_is_refused(
    samples, tmp_path
):
    model = make_model()
    with_teacher(samples, model, cache=tmp_path / "c")
    model.teacher.get_layer("features").activation = keras.activations.tanh
    with pytest.raises(ValueError, match="another result from the same weig"):
        with_teacher(samples, model, cache=tmp_path / "c")


@pytest.mark.release
@pytest.mark.parametrize("disk", [False, True], ids=["memory", "disk"])
def test_a_random_teacher_is_refused_and_leaves_no_cache(
    samples, tmp_path, disk
):
    image = keras.Input((6, 6, 1))
    x = layers.Flatten(name="pixels")(image)
    x = AlwaysDropout(0.5, name="noise")(x)
    student = keras.Model(image, layers.Dense(3)(x))
    penalty = otreg.Penalty(otreg.losses.Coral(), at="noise")
    model = otreg.TransferModel(student, penalties=[penalty])
    cache = tmp_path / "c" if disk else None
    with pytest.raises(ValueError, match="'noise' each time.*random in infer"):
        with_teacher(samples, model, cache=cache)
    assert list(tmp_path.iterdir()) == []
    # What comes before is not random.
    penalty = otreg.Penalty(otreg.losses.Coral(), at="pixels")
    model = otreg.TransferModel(student, penalties=[penalty])
    assert len(with_teacher(samples, model, cache=cache)) == 1


@pytest.mark.release
def test_random_data_are_refused_and_leave_no_cache(samples, tmp_path, model):
    rows = tf.data.Dataset.from_tensor_slices(samples)
    flip = layers.RandomFlip()
    flipped = rows.batch(5).map(lambda x, y: (flip(x, training=True), y))
    some = rows.shuffle(20).take(10).batch(5)
    for data in (flipped, some, Batches(*samples, 0.1)):
        with pytest.raises(ValueError, match="two passes that differ"):
            with_teacher(data, model, cache=tmp_path / "c")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.release
def test_it_composes_with_unlabelled_samples_and_with_a_source(samples):
    x, y = samples
    logs = []
    for carries in (True, False):
        keras.utils.set_random_seed(2)
        task = otreg.SourceTask(
            layers.Dense(4, activation="softmax", kernel_initializer="ones"),
            at="features",
            loss="sparse_categorical_crossentropy",
        )
        model = make_model(source_task=task)
        parts = (x[:8], y[:8]), (x[8:],)
        if carries:
            parts = [with_teacher(part, model, shuffle=False) for part in parts]
        else:
            parts = [
                tf.data.Dataset.from_tensor_slices(part).batch(32)
                for part in parts
            ]
        data = paired(with_unlabelled(*parts), (x, y), source_batch_size=5)
        logs.append(model.fit(data, epochs=3, verbose=0).history)
    assert {"source_loss", "ures", "pool"} <= set(logs[0])
    for name in logs[0]:
        np.testing.assert_allclose(logs[0][name], logs[1][name], rtol=1e-3)


@pytest.mark.release
def test_few_labels_and_the_others_carry_activations(samples, model):
    few, others = (
        with_teacher(part, model, batch_size=6)
        for part in few_shot(samples, per_class=2)
    )
    ((inputs, y),) = with_unlabelled(few, others)
    np.testing.assert_array_equal(np.bincount(y), [2, 2, 2])
    parts = split(inputs)
    x = np.concatenate([parts.target, parts.unlabelled])
    found = joined(*parts.cached)
    for path, expected in live(model, x).items():
        np.testing.assert_allclose(found[path], expected, atol=1e-6)


@pytest.mark.release
def test_unlabelled_arrays_alone_carry_activations(samples, model):
    x, _ = samples
    ((inputs,),) = with_teacher(x, model, shuffle=False)
    parts = split(inputs)
    np.testing.assert_array_equal(parts.target, x)
    assert set(parts.cached[0]) == set(PATHS)


@pytest.mark.release
def test_what_is_joined_already_is_refused(samples, model):
    x, y = samples
    carried = with_teacher(samples, model)
    joined = with_unlabelled(samples, x), paired(samples, samples), carried
    for data in joined:
        with pytest.raises(ValueError, match="Begin with `with_teacher`"):
            with_teacher(data, model)
    with pytest.raises(ValueError, match="Received: labelled samples alone"):
        with_unlabelled(carried, x)
    with pytest.raises(ValueError, match="Received: unlabelled samples alone"):
        with_unlabelled(samples, carried)


@pytest.mark.release
def test_labels_and_weights_may_be_none_as_for_keras(samples, model):
    x, y = samples
    rows = tf.data.Dataset.from_tensor_slices
    for data, length in (
        ((x, None), 1),
        ((x, None, None), 1),
        ((x, y, None), 2),
        (rows(samples).batch(6).map(lambda x, y: (x, y, None)), 2),
        (rows(samples).batch(6).map(lambda x, y: (x, None)), 1),
    ):
        assert len(next(iter(with_teacher(data, model)))) == length
    with pytest.raises(ValueError, match="NoneType"):
        with_teacher((x, None, y), model)


def test_a_seed_is_a_whole_number(samples, model):
    for seed in (None, -1, 0.5, "1", True):
        with pytest.raises(ValueError, match="argument `seed`"):
            with_teacher(samples, model, seed=seed)


@pytest.mark.release
def test_what_cannot_be_read_twice_is_refused(samples, model):
    x, y = samples
    rows = tf.data.Dataset.from_tensor_slices(samples)
    generator = ((x, y) for _ in range(2))
    for data in (generator, (x, y.tolist()), "folder", None):
        with pytest.raises(ValueError, match="labelled data as a tuple"):
            with_teacher(data, model)
    with pytest.raises(ValueError, match="list of 2. Write several inputs as"):
        with_teacher([x, y], model)
    with pytest.raises(ValueError, match="Leave out its `repeat"):
        with_teacher(rows.batch(5).repeat(), model)
    with pytest.raises(ValueError, match="Batch the data set"):
        with_teacher(rows, model)
    with pytest.raises(ValueError, match=r"lengths \[3, 20\]"):
        with_teacher((x, y[:3]), model)
    text = rows.batch(5).map(lambda x, y: (tf.strings.as_string(x), y))
    ragged = tf.data.Dataset.from_tensor_slices(
        (tf.ragged.constant([[1.0], [1.0, 2.0]] * 10), y)
    ).batch(5)
    for data in (text, ragged):
        with pytest.raises(ValueError, match="samples of numbers, in dense"):
            with_teacher(data, model)
    with pytest.raises(ValueError, match="an empty one"):
        with_teacher(rows.take(0).batch(5), model)


def test_a_model_that_reads_no_teacher_is_refused(samples):
    student = network(5)
    with pytest.raises(ValueError, match="a `keras_otreg.TransferModel`"):
        with_teacher(samples, student)
    with pytest.raises(ValueError, match="a model with penalties"):
        with_teacher(samples, otreg.TransferModel(student))


@pytest.mark.release
def test_several_inputs_in_a_list_are_taken(samples):
    inputs = [keras.Input((4,)), keras.Input((4,))]
    x = layers.Dense(3, name="features")(layers.Add()(inputs))
    student = keras.Model(inputs, layers.Dense(3, "softmax")(x))
    penalty = otreg.Penalty(otreg.losses.Coral(), at="features")
    model = otreg.TransferModel(student, penalties=[penalty])
    model.compile("adam", loss="sparse_categorical_crossentropy")
    x, y = samples
    rows = x[:, 0, :4, 0]
    data = with_teacher(([rows, rows], y), model, batch_size=10)
    assert np.isfinite(model.fit(data, verbose=0).history["loss"]).all()


def test_a_teacher_may_round_otherwise_and_no_more():
    value = np.linspace(-1.0, 1.0, 12).astype("float32").reshape(3, 4)
    holes = np.where(value > 0.9, np.nan, value)
    for first, second in (
        (value, value * np.float32(1 + 1e-6)),
        (value.astype("bfloat16"), (value * 1.01).astype("bfloat16")),
        (holes, holes.copy()),
        (0 * value, 0 * value),
    ):
        assert differing({"a": first}, {"a": second}) is None
    for first, second in (
        (value, value * 1.01),
        (value.astype("bfloat16"), (value * 1.1).astype("bfloat16")),
        (value, holes),
        (0 * value, value),
    ):
        assert differing({"a": first}, {"a": second}) == "a"
