import keras
import numpy as np
import pytest

import keras_otreg as otreg

pytestmark = pytest.mark.compiled


@pytest.fixture
def penalty():
    loss = otreg.losses.RepresentationTransport()
    return otreg.Penalty(loss, at="backbone/features", weight=3.0)


def transport_at(path, **kwargs):
    loss = otreg.losses.RepresentationTransport()
    return otreg.Penalty(loss, at=path, **kwargs)


def assert_equal_weights(left, right):
    for x, y in zip(left.get_weights(), right.get_weights(), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.slow
def test_fit_logs_the_task_and_each_penalty(
    make_network, samples, compiled, penalty
):
    model = otreg.TransferModel(make_network(), penalties=[penalty])
    compiled(model, metrics=["accuracy"])
    history = model.fit(*samples, validation_data=samples, verbose=0).history
    names = {"loss", "accuracy", "representation_transport"}
    assert set(history) == names | {f"val_{name}" for name in names}


@pytest.mark.slow
def test_total_is_task_plus_weighted_penalties(
    make_network, samples, compiled, penalty
):
    student = make_network()
    teacher = make_network(width=9, name="teacher")
    task = compiled(student).evaluate(*samples, verbose=0)
    second = transport_at("head", weight=0.5, name="second")
    model = otreg.TransferModel(student, teacher, [penalty, second])
    logs = compiled(model).evaluate(*samples, verbose=0, return_dict=True)
    total = task + 3.0 * logs["representation_transport"]
    total += 0.5 * logs["second"]
    assert logs["representation_transport"] > 0.01
    np.testing.assert_allclose(logs["loss"], total, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(
    keras.backend.backend() == "jax",
    reason="a step on JAX keeps nothing that the teacher writes",
)
def test_one_forward_pass_of_each_network_a_step(
    make_network, samples, compiled, penalty, counter_class
):
    counters = [counter_class(), counter_class()]
    student = make_network(counter=counters[0])
    teacher = make_network(counter=counters[1], name="teacher")
    model = compiled(otreg.TransferModel(student, teacher, [penalty]))
    before = [int(counter.calls) for counter in counters]
    model.fit(*samples, batch_size=11, epochs=3, verbose=0)
    after = [int(counter.calls) for counter in counters]
    assert [y - x for x, y in zip(before, after, strict=True)] == [6, 6]


@pytest.mark.slow
def test_predict_runs_neither_teacher_nor_solver(
    make_network, samples, compiled, penalty, counter_class
):
    counter = counter_class()
    teacher = make_network(counter=counter, name="teacher")
    model = compiled(otreg.TransferModel(make_network(), teacher, [penalty]))
    before = int(counter.calls)
    model.predict(samples[0], verbose=0)
    assert int(counter.calls) == before


@pytest.mark.slow
def test_predict_returns_the_students_prediction(
    make_network, samples, compiled, penalty
):
    student = make_network()
    model = compiled(otreg.TransferModel(student, penalties=[penalty]))
    np.testing.assert_array_equal(
        model.predict(samples[0], verbose=0),
        compiled(student).predict(samples[0], verbose=0),
    )


@pytest.mark.slow
def test_evaluate_twice_gives_equal_numbers_and_changes_no_variable(
    make_network, samples, compiled, penalty, states
):
    model = compiled(
        otreg.TransferModel(make_network(), penalties=[penalty]),
        metrics=["accuracy"],
    )
    model.fit(*samples, verbose=0)
    before = states(model), states(model.teacher)
    optimizer = [v.numpy() for v in model.optimizer.variables]
    first = model.evaluate(*samples, verbose=0)
    second = model.evaluate(*samples, verbose=0)
    assert first == second
    after = states(model), states(model.teacher)
    keras.tree.map_structure(np.testing.assert_array_equal, before, after)
    for x, y in zip(optimizer, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(x, y.numpy())


COMPILED = pytest.param(
    True,
    marks=pytest.mark.skipif(
        keras.backend.backend() == "torch",
        reason="`torch.compile` takes minutes",
    ),
)


@pytest.mark.release
@pytest.mark.parametrize("jit_compile", [False, COMPILED])
def test_weight_zero_equals_plain_fine_tuning_to_the_last_bit(
    make_network, samples, compiled, jit_compile
):
    plain, student = make_network(), make_network()
    student.set_weights(plain.get_weights())
    penalty = transport_at("backbone/features", weight=0.0)
    model = otreg.TransferModel(student, penalties=[penalty])
    for network in (plain, model):
        keras.utils.set_random_seed(7)
        compiled(network, jit_compile=jit_compile)
        network.fit(*samples, batch_size=8, epochs=3, verbose=0)
    if not jit_compile:
        assert_equal_weights(plain, student)
    # XLA rounds otherwise in a step that can be undone.
    for x, y in zip(plain.get_weights(), student.get_weights(), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-7)


@pytest.mark.slow
def test_a_penalty_of_weight_zero_is_still_logged(
    make_network, samples, compiled
):
    penalty = transport_at("backbone/features", weight=0.0)
    model = compiled(otreg.TransferModel(make_network(), penalties=[penalty]))
    logs = model.fit(*samples, epochs=2, verbose=0).history
    assert logs["representation_transport"][-1] > 0.0


@pytest.mark.slow
def test_without_penalties_it_is_plain_training(
    make_network, samples, compiled
):
    plain, student = make_network(), make_network()
    student.set_weights(plain.get_weights())
    model = otreg.TransferModel(student)
    assert model.teacher is None
    for network in (plain, model):
        keras.utils.set_random_seed(7)
        compiled(network).fit(*samples, epochs=2, verbose=0)
    assert_equal_weights(plain, student)


def test_the_callers_models_are_unchanged_by_wrapping(
    make_network, penalty, states
):
    student, teacher = make_network(), make_network(name="teacher")
    student.get_layer("backbone").trainable = False

    def flags(model):
        return [(v.path, v.trainable) for v in model.variables]

    before = [(states(m), flags(m)) for m in (student, teacher)]
    otreg.TransferModel(student, teacher, [penalty])
    after = [(states(m), flags(m)) for m in (student, teacher)]
    keras.tree.map_structure(np.testing.assert_array_equal, before, after)
    assert "call" not in vars(student.get_layer("backbone"))


@pytest.mark.slow
def test_training_changes_the_student_and_not_the_teacher(
    make_network, samples, compiled, penalty, states
):
    student, teacher = make_network(), make_network(name="teacher")
    model = compiled(otreg.TransferModel(student, teacher, [penalty]))
    before = states(student), states(teacher)
    model.fit(*samples, epochs=2, verbose=0)
    for x, y in zip(before[1], states(teacher), strict=True):
        np.testing.assert_array_equal(x, y)
    assert not np.array_equal(before[0][0], states(student)[0])


def test_a_wrapper_that_is_frozen_leaves_its_teacher_as_it_is(
    make_network, penalty
):
    teacher = make_network(name="teacher")
    model = otreg.TransferModel(make_network(), teacher, [penalty])
    model.trainable = False
    assert all(v.trainable for v in teacher.get_layer("head").variables)


@pytest.mark.slow
def test_the_penalty_keeps_the_student_closer_to_its_teacher(
    make_network, samples, compiled
):
    start = make_network().get_weights()
    distances = []
    for weight in (0.0, 30.0):
        student = make_network()
        student.set_weights(start)
        model = otreg.TransferModel(
            student,
            penalties=[transport_at("backbone/features", weight=weight)],
        )
        compiled(model).fit(*samples, epochs=20, verbose=0)
        logs = model.evaluate(*samples, verbose=0, return_dict=True)
        distances.append(logs["representation_transport"])
    assert distances[1] < 0.7 * distances[0]


@pytest.mark.slow
def test_the_students_own_regularisers_count_and_the_teachers_do_not(
    samples, compiled
):
    def network(strength):
        inputs = keras.Input((8,))
        x = keras.layers.Dense(
            5,
            name="features",
            kernel_regularizer=keras.regularizers.L2(strength),
            activity_regularizer=keras.regularizers.L2(strength),
        )(inputs)
        return keras.Model(inputs, keras.layers.Dense(3, "softmax")(x))

    student, teacher = network(0.1), network(100.0)
    expected = compiled(student).evaluate(*samples, verbose=0)
    penalty = transport_at("features", weight=0.0)
    model = compiled(otreg.TransferModel(student, teacher, [penalty]))
    np.testing.assert_allclose(
        model.evaluate(*samples, verbose=0, return_dict=True)["loss"],
        expected,
        rtol=1e-6,
    )


@pytest.mark.slow
def test_a_schedule_follows_the_steps_of_the_optimizer(
    make_network, samples, compiled
):
    weight = keras.optimizers.schedules.PiecewiseConstantDecay([3], [0.0, 50.0])
    if keras.backend.backend() == "jax":
        with pytest.raises(NotImplementedError, match="Expected a number"):
            transport_at("backbone/features", weight=weight)
        return
    penalty = transport_at("backbone/features", weight=weight)
    teacher = make_network(name="teacher")
    model = otreg.TransferModel(make_network(), teacher, [penalty])
    compiled(model, optimizer=keras.optimizers.SGD(0.0))
    logs = model.fit(*samples, batch_size=22, epochs=6, verbose=0).history
    total = np.array(logs["loss"])
    assert np.ptp(total[:4]) < 1.0
    assert np.all(total[4:] > total[:4].max() + 1.0)


@pytest.mark.slow
def test_penalties_alone_can_be_trained(make_network, samples, penalty):
    teacher = make_network(name="teacher")
    student = make_network()
    student.get_layer("head").trainable = False
    model = otreg.TransferModel(student, teacher, [penalty])
    model.compile("adam")
    logs = model.fit(*samples, epochs=5, verbose=0).history
    assert logs["loss"][-1] < logs["loss"][0]
