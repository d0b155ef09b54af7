import keras
import numpy as np
import pytest

import keras_otreg as otreg


def transport(at="backbone/features", **kwargs):
    loss = otreg.losses.RepresentationTransport(**kwargs)
    return otreg.Penalty(loss, at=at)


def test_an_unknown_layer_is_named_with_near_matches(make_network):
    with pytest.raises(ValueError, match=r"'features'.*backbone/features"):
        otreg.TransferModel(make_network(), penalties=[transport("features")])


def test_an_unknown_teacher_layer_is_named_with_its_model(make_network):
    penalty = otreg.Penalty(
        otreg.losses.RepresentationTransport(), at="head", teacher_at="heat"
    )
    teacher = make_network(name="teacher")
    with pytest.raises(ValueError, match=r"'teacher'.*'heat'.*'head'"):
        otreg.TransferModel(make_network(), teacher, [penalty])


def test_an_unbuilt_student_is_refused():
    student = keras.Sequential([keras.layers.Dense(3, name="features")])
    with pytest.raises(ValueError, match="`student` to be a built"):
        otreg.TransferModel(student)


def test_an_unbuilt_teacher_is_refused(make_network):
    teacher = keras.Sequential([keras.layers.Dense(3, name="features")])
    with pytest.raises(ValueError, match="`teacher` to be a built"):
        otreg.TransferModel(make_network(), teacher, [transport()])


def test_a_student_that_is_not_a_model_is_refused():
    with pytest.raises(ValueError, match=r"`student`.*Received.*'resnet'"):
        otreg.TransferModel("resnet")


def test_networks_that_cannot_share_an_input_are_refused(make_network):
    inputs = keras.Input((5,))
    x = keras.layers.Dense(4, name="features")(inputs)
    teacher = keras.Model(inputs, x, name="teacher")
    penalty = otreg.Penalty(
        otreg.losses.RepresentationTransport(),
        at="backbone/features",
        teacher_at="features",
    )
    with pytest.raises(ValueError, match=r"inputs.*\(None, 5\).*\(None, 8\)"):
        otreg.TransferModel(make_network(), teacher, [penalty])


def test_a_teacher_that_shares_trained_weights_is_refused(make_network):
    student = make_network()
    teacher = student.get_layer("backbone")
    with pytest.raises(ValueError, match="shares 6 trainable weights"):
        otreg.TransferModel(student, teacher, [transport()])


@pytest.mark.parametrize("at", ["", "/", None, 3])
def test_an_empty_layer_path_is_refused(at):
    with pytest.raises(ValueError, match="`at`.*Expected the path of a layer"):
        transport(at)


@pytest.mark.parametrize(
    "weight", [-1.0, float("nan"), float("inf"), "1", None]
)
def test_a_weight_must_be_a_number_of_at_least_zero(weight):
    loss = otreg.losses.RepresentationTransport()
    with pytest.raises(ValueError, match="`weight`.*Received: weight="):
        otreg.Penalty(loss, at="features", weight=weight)


@pytest.mark.parametrize("loss", ["mse", keras.losses.mean_squared_error, None])
def test_a_loss_must_be_a_keras_loss(loss):
    with pytest.raises(ValueError, match=r"`loss`.*keras.losses.Loss"):
        otreg.Penalty(loss, at="features")


def test_two_penalties_of_one_name_are_refused(make_network):
    loss = otreg.losses.RepresentationTransport()
    penalties = [
        otreg.Penalty(loss, at=path, name="same")
        for path in ("head", "backbone/features")
    ]
    with pytest.raises(ValueError, match="repeated.*Give one of them another"):
        otreg.TransferModel(make_network(), penalties=penalties)


def test_a_penalty_cannot_be_named_as_the_total(make_network):
    loss = otreg.losses.RepresentationTransport()
    penalty = otreg.Penalty(loss, at="head", name="loss")
    with pytest.raises(ValueError, match="'loss'. is repeated"):
        otreg.TransferModel(make_network(), penalties=[penalty])


def test_what_is_not_a_penalty_is_refused(make_network):
    with pytest.raises(ValueError, match=r"`penalties`.*keras_otreg.Penalty"):
        otreg.TransferModel(
            make_network(), penalties=[otreg.losses.RepresentationTransport()]
        )


def test_an_identity_plan_between_unequal_widths_is_refused(make_network):
    teacher = make_network(width=5, name="teacher")
    with pytest.raises(ValueError, match="5 teacher neurons and 12 student"):
        otreg.TransferModel(
            make_network(), teacher, [transport(plan="identity")]
        )


def test_a_model_that_cannot_be_copied_says_what_to_do(rng):
    class Unsaved(keras.Model):
        def __init__(self, width):
            super().__init__()
            self.features = keras.layers.Dense(width, name="features")
            self.head = keras.layers.Dense(3, name="head")

        def call(self, inputs):
            return self.head(self.features(inputs))

        def get_config(self):
            raise NotImplementedError("no configuration")

    student = Unsaved(4)
    student(rng.normal(size=(2, 8)))
    with pytest.raises(ValueError, match="no configuration.*as `teacher=`"):
        otreg.TransferModel(student, penalties=[transport("features")])


@pytest.mark.tensorflow
def test_maps_of_channels_first_are_refused():
    inputs = keras.Input((3, 8, 8))
    maps = keras.layers.Conv2D(4, 3, data_format="channels_first", name="maps")(
        inputs
    )
    last = keras.layers.Permute((2, 3, 1), name="last")(maps)
    x = keras.layers.Flatten()(last)
    student = keras.Model(inputs, keras.layers.Dense(2)(x))
    loss = otreg.losses.AttentionTransfer()
    with pytest.raises(ValueError, match="channels_first"):
        otreg.TransferModel(student, penalties=[otreg.Penalty(loss, at="maps")])
    otreg.TransferModel(student, penalties=[otreg.Penalty(loss, at="last")])


def test_layers_of_the_teacher_that_are_unfrozen_later_are_noticed():
    backbone = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(5, name="features")],
        name="backbone",
    )
    backbone.trainable = False
    inputs = keras.Input((4,))
    student = keras.Model(inputs, keras.layers.Dense(1)(backbone(inputs)))
    penalty = otreg.Penalty(
        otreg.losses.Coral(), at="backbone/features", teacher_at="features"
    )
    model = otreg.TransferModel(student, backbone, [penalty])
    x, y = np.ones((8, 4)), np.ones((8, 1))
    model.compile("sgd", "mse", run_eagerly=True)
    model.fit(x, y, verbose=0)
    backbone.trainable = True
    model.compile("sgd", "mse", run_eagerly=True)
    with pytest.raises(ValueError, match="weights"):
        model.fit(x, y, verbose=0)
