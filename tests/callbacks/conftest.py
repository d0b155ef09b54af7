import keras
import numpy as np
import pytest

import keras_otreg as otreg

losses = otreg.losses
# Without a graph for extrapolation, which takes the time of these tests.
PLAIN = otreg.ot.Sinkhorn(accelerated=False)


@pytest.fixture
def data(rng):
    return rng.normal(size=(24, 6)).astype("float32"), np.arange(24) % 3


@pytest.fixture
def make_student():
    """A network with all that a step can change: statistics, random numbers."""

    def make(width=7):
        return keras.Sequential(
            [
                keras.Input((6,)),
                keras.layers.Dense(
                    width,
                    "relu",
                    name="features",
                    kernel_regularizer="l2",
                    activity_regularizer="l2",
                ),
                keras.layers.BatchNormalization(name="norm"),
                keras.layers.Dropout(0.2),
                keras.layers.Dense(3, name="head"),
            ]
        )

    return make


@pytest.fixture
def compiled():
    def make(model, optimizer=None):
        model.compile(
            optimizer or keras.optimizers.SGD(0.1),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        return model

    return make


@pytest.fixture
def make_model(make_student, compiled):
    """The same model whenever it is made."""

    def make(*penalties, teacher=None, **arguments):
        keras.utils.set_random_seed(3)
        teacher = teacher and make_student(teacher)
        student = make_student()
        model = otreg.TransferModel(student, teacher, penalties, **arguments)
        return compiled(model)

    return make


@pytest.fixture
def all_penalties():
    return [
        otreg.Penalty(
            losses.RepresentationTransport(momentum=0.5, solver=PLAIN),
            "features",
        ),
        otreg.Penalty(losses.TransportAlignment(solver=PLAIN), "features"),
        otreg.Penalty(losses.SinkhornDivergence(solver=PLAIN), "norm"),
        otreg.Penalty(losses.CenteredKernelAlignment(), "norm", weight=0.0),
    ]


@pytest.fixture
def control():
    """A plan without a solver, whose graph takes the time of these tests."""
    loss = losses.RepresentationTransport(plan="uniform")
    return otreg.Penalty(loss, at="features")


@pytest.fixture
def look():
    """What a monitor adds to the logs of an epoch, without the epoch."""

    def look(model, monitor, epoch=0):
        logs = {}
        monitor.set_model(model)
        monitor.on_train_begin()
        monitor.on_epoch_end(epoch, logs)
        monitor.on_train_end()
        return logs

    return look


@pytest.fixture
def joint_model(make_student, compiled):
    def make():
        keras.utils.set_random_seed(3)
        task = otreg.SourceTask(
            keras.layers.Dense(4),
            at="features",
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            transport=losses.ClassTransport(
                np.abs(np.arange(4.0)[:, None] - np.arange(3.0)),
                from_logits=True,
            ),
        )
        penalties = [
            otreg.Penalty(losses.RepresentationTransport(), "features")
        ]
        model = otreg.TransferModel(
            make_student(), penalties=penalties, source_task=task
        )
        return compiled(model)

    return make


@pytest.fixture
def make_pairs(data, rng):
    source = rng.normal(size=(16, 6)).astype("float32"), np.arange(16) % 4
    return lambda: otreg.data.paired(data, source, batch_size=8)


@pytest.fixture
def pairs(make_pairs):
    return make_pairs()
