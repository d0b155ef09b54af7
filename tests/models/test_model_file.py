"""Files without the teacher, and the teachers that they accept."""

import os

import keras
import numpy as np
import pytest

import keras_otreg as otreg


@pytest.fixture
def teacher(make_network):
    return make_network(width=120, name="teacher")


@pytest.fixture
def model(make_network, compiled, teacher):
    return make_model(make_network(), compiled, teacher)


def make_model(student, compiled, teacher=None):
    loss = otreg.losses.CenteredKernelAlignment()
    penalty = otreg.Penalty(loss, at="backbone/features")
    model = otreg.TransferModel(student, teacher, [penalty])
    return compiled(model, run_eagerly=True)


def assert_equal(x, y):
    for a, b in zip(x, y, strict=True):
        np.testing.assert_array_equal(a, b)


def changed(network, layer):
    """A copy of a network with one weight of one layer moved."""
    copy = keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    kernel = copy.get_layer("backbone").get_layer("hidden").kernel
    if layer == "head":
        kernel = copy.get_layer("head").kernel
    kernel.assign(kernel + 1e-6)
    return copy


@pytest.mark.release
def test_a_file_without_the_teacher_is_small_and_goes_on(
    model, teacher, samples, tmp_path
):
    model.fit(*samples, verbose=0)
    model.save(tmp_path / "all.keras")
    model.save(tmp_path / "small.keras", include_teacher=False)
    teacher.save(tmp_path / "teacher.keras")
    sizes = {p.stem: p.stat().st_size for p in tmp_path.glob("*.keras")}
    assert sizes["all"] - sizes["small"] > 4 * teacher.count_params()
    options = {"batch_size": 8, "shuffle": False, "verbose": 0}
    history = model.fit(*samples, **options).history
    for given in (teacher, str(tmp_path / "teacher.keras")):
        loaded = otreg.load_model(tmp_path / "small.keras", given)
        assert loaded.fit(*samples, **options).history == history
        assert_equal(loaded.teacher.get_weights(), teacher.get_weights())
    assert "teacher" in dir(loaded)
    assert "teacher" in dir(model)


@pytest.mark.release
def test_a_file_with_the_teacher_needs_none(model, samples, tmp_path):
    model.save(tmp_path / "all.keras")
    loaded = otreg.load_model(tmp_path / "all.keras")
    assert_equal(loaded.teacher.get_weights(), model.teacher.get_weights())
    with pytest.raises(ValueError, match="Leave out `teacher`"):
        otreg.load_model(tmp_path / "all.keras", model.teacher)
    model.student.save(tmp_path / "student.keras")
    assert otreg.load_model(tmp_path / "student.keras").built
    with pytest.raises(ValueError, match="TransferModel"):
        otreg.load_model(tmp_path / "student.keras", model.teacher)


@pytest.mark.release
def test_only_the_teacher_that_the_penalties_know_is_accepted(
    model, teacher, make_network, tmp_path
):
    model.save(tmp_path / "small.keras", include_teacher=False)
    with pytest.raises(ValueError, match=r"Received: none.*load_model"):
        keras.saving.load_model(tmp_path / "small.keras")
    with pytest.raises(ValueError, match="fingerprint"):
        otreg.load_model(tmp_path / "small.keras", changed(teacher, "hidden"))
    with pytest.raises(ValueError, match="fingerprint"):
        otreg.load_model(tmp_path / "small.keras", make_network(width=120))
    other_head = changed(teacher, "head")
    assert otreg.load_model(tmp_path / "small.keras", other_head).built


@pytest.mark.release
def test_a_copy_of_the_start_can_be_given_again(
    make_network, compiled, samples, tmp_path
):
    student = make_network()
    start = keras.models.clone_model(student)
    start.set_weights(student.get_weights())
    model = make_model(student, compiled)
    model.fit(*samples, verbose=0)
    model.save(tmp_path / "small.keras", include_teacher=False)
    loaded = otreg.load_model(tmp_path / "small.keras", start)
    expected = model.evaluate(*samples, verbose=0)
    assert loaded.evaluate(*samples, verbose=0) == expected
    with pytest.raises(ValueError, match="fingerprint"):
        otreg.load_model(tmp_path / "small.keras", model.student)


@pytest.mark.filterwarnings("default")
def test_a_model_without_a_teacher_is_saved_in_either_way(
    make_network, compiled, samples, tmp_path
):
    model = compiled(otreg.TransferModel(make_network()))
    model.save(tmp_path / "small.keras", include_teacher=False)
    loaded = keras.saving.load_model(tmp_path / "small.keras")
    assert loaded.teacher is None
    assert_equal(loaded.get_weights(), model.get_weights())
    with pytest.raises(ValueError, match="include_teacher"):
        model.save(tmp_path / "small.keras", include_teacher="no")


@pytest.mark.release
@pytest.mark.filterwarnings("default")
def test_weights_bring_their_teacher_along(
    model, teacher, make_network, compiled, tmp_path
):
    model.save_weights(tmp_path / "all.weights.h5")
    mine = make_network(width=120, name="mine")
    before = mine.get_weights()
    other = make_model(make_network(), compiled, mine)
    other.load_weights(tmp_path / "all.weights.h5")
    assert_equal(other.teacher.get_weights(), teacher.get_weights())
    # The teacher that was given belongs to someone else.
    assert other.teacher is not mine
    assert_equal(mine.get_weights(), before)


@pytest.mark.release
def test_what_was_compiled_goes_on_with_the_teacher_of_the_weights(
    make_network, teacher, compiled, samples, tmp_path
):
    first, second = (
        compiled(
            otreg.TransferModel(
                make_network(dropout=0.0),
                known,
                [otreg.Penalty(keras.losses.MeanSquaredError(), at="head")],
            )
        )
        for known in (teacher, make_network(width=120))
    )
    for model in (first, second):
        model.fit(*samples, verbose=0)
        model.evaluate(*samples, verbose=0)
    first.save_weights(tmp_path / "all.weights.h5")
    second.load_weights(tmp_path / "all.weights.h5")
    expected = first.evaluate(*samples, verbose=0)
    assert second.evaluate(*samples, verbose=0) == expected
    options = {"shuffle": False, "verbose": 0}
    history = first.fit(*samples, **options).history
    assert second.fit(*samples, **options).history == history


@pytest.mark.filterwarnings("default")
def test_an_equal_teacher_stays_where_it_is(model, teacher, tmp_path):
    model.save_weights(tmp_path / "all.weights.h5")
    model.load_weights(tmp_path / "all.weights.h5")
    assert model.teacher is teacher


@pytest.mark.release
def test_weights_without_the_teacher_are_for_an_equal_one(
    model, teacher, make_network, compiled, samples, tmp_path
):
    model.fit(*samples, verbose=0)
    model.save_weights(tmp_path / "all.weights.h5")
    path = tmp_path / "small.weights.h5"
    model.save_weights(path, include_teacher=False)
    saved = os.path.getsize(tmp_path / "all.weights.h5") - os.path.getsize(path)
    assert saved > 4 * teacher.count_params()
    equal = keras.models.clone_model(teacher)
    equal.set_weights(teacher.get_weights())
    other = make_model(make_network(), compiled, equal)
    other.load_weights(path)
    assert other.teacher is equal
    assert_equal(other.get_weights(), model.get_weights())
    other = make_model(make_network(), compiled, make_network(width=120))
    before = other.get_weights()
    with pytest.raises(ValueError, match="fingerprint"):
        other.load_weights(path)
    assert_equal(other.get_weights(), before)


@pytest.mark.release
@pytest.mark.parametrize("weights_only", [False, True])
def test_checkpoints_leave_the_teacher_out_if_the_model_says_so(
    model, teacher, make_network, compiled, samples, tmp_path, weights_only
):
    suffix = "weights.h5" if weights_only else "keras"
    options = {"shuffle": False, "verbose": 0}
    for name in ("all", "small"):
        model.include_teacher = name == "all"
        checkpoint = keras.callbacks.ModelCheckpoint(
            tmp_path / f"{name}.{suffix}", save_weights_only=weights_only
        )
        model.fit(*samples, callbacks=[checkpoint], **options)
    path = tmp_path / f"small.{suffix}"
    spared = (tmp_path / f"all.{suffix}").stat().st_size - path.stat().st_size
    assert spared > 4 * teacher.count_params()
    if weights_only:
        loaded = make_model(make_network(), compiled, teacher)
        loaded.load_weights(path)
    else:
        loaded = otreg.load_model(path, teacher)
    history = model.fit(*samples, **options).history
    assert loaded.fit(*samples, **options).history == history


@pytest.mark.release
def test_a_config_alone_has_new_weights_and_a_file_brings_the_old(
    model, compiled, samples, tmp_path
):
    model.fit(*samples, verbose=0)
    model.save_weights(tmp_path / "model.weights.h5")
    rebuilt = type(model).from_config(model.get_config())
    clone = keras.models.clone_model(model)
    expected = model.evaluate(*samples, verbose=0)
    for other in (rebuilt, clone):
        assert other.get_config() == model.get_config()
        compiled(other, run_eagerly=True).load_weights(
            tmp_path / "model.weights.h5"
        )
        assert other.evaluate(*samples, verbose=0) == expected
        assert other.student is not model.student
        assert other.teacher is not model.teacher


@pytest.mark.release
@pytest.mark.filterwarnings("default")
def test_skipping_mismatches_does_not_skip_the_teacher(
    model, teacher, compiled, make_network, tmp_path
):
    path = tmp_path / "small.weights.h5"
    model.save_weights(path, include_teacher=False)
    other = make_model(make_network(), compiled, changed(teacher, "features"))
    before = other.student.get_weights()
    with pytest.raises(ValueError, match="Expected the teacher with which"):
        other.load_weights(path, skip_mismatch=True)
    assert_equal(other.student.get_weights(), before)
