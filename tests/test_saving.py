"""Everything that is registered comes back as it was, from any description."""

import inspect
import json

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_otreg import (
    Penalty,
    SourceTask,
    WeightPenalty,
    losses,
    ot,
    regularizers,
)
from keras_otreg.layers import FeaturePenalty, FeatureTap
from keras_otreg.ot.costs import COSTS
from keras_otreg.saving import decode_array, encode_array

TENTH = float(np.float32(0.1))
BANK = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
KERNEL = np.random.default_rng(1).normal(size=(5, 4)).astype("float32")
START = regularizers.StartingPoint(KERNEL, 1 / 3)
SOLVERS = [
    ot.Sinkhorn(),
    ot.Sinkhorn(max_iterations=7, tolerance=1 / 3),
    ot.ProximalPoint(),
    ot.ProximalPoint(1 / 3, 7, inner_iterations=2, tolerance=TENTH),
]


@keras.saving.register_keras_serializable(package="tests")
def doubled(x, y):
    return 2.0 * ot.costs.euclidean(x, y)


LOSSES = [
    losses.RepresentationTransport(),
    losses.RepresentationTransport(
        "cosine",
        1 / 3,
        solver=SOLVERS[3],
        spatial="keep",
        name="near",
        reduction="sum",
        dtype="float64",
    ),
    losses.RepresentationTransport(
        doubled, plan="identity", reduction=None, across_replicas=False
    ),
    losses.TransportAlignment(),
    losses.TransportAlignment(
        0.1, solver=ot.Sinkhorn(9), spatial="keep", across_replicas=False
    ),
    losses.SinkhornDivergence(),
    losses.SinkhornDivergence(
        doubled,
        1 / 3,
        solver=SOLVERS[1],
        spatial="keep",
        name="near",
        reduction="sum",
        dtype="float64",
    ),
    losses.ClassConditional(np.full((4, 3), 0.25)),
    losses.ClassTransport(KERNEL**2),
    losses.ClassTransport(
        KERNEL**2, 1 / 3, rho=TENTH, from_logits=(True, False), name="near"
    ),
]
NAMED = {"name": "near", "reduction": "sum", "dtype": "float64"}
COMPARATORS = [
    losses.AttentionTransfer(),
    losses.AttentionTransfer(**NAMED),
    losses.BatchSpectralShrinkage(),
    losses.BatchSpectralShrinkage(3, spatial="keep", **NAMED),
    losses.CenteredKernelAlignment(),
    losses.CenteredKernelAlignment(spatial="keep", **NAMED),
    losses.Coral(),
    losses.Coral(spatial="keep", across_replicas=False, **NAMED),
    losses.FeatureMap(),
    losses.FeatureMap([TENTH, 0.2, 0.3, 0.4], **NAMED),
    losses.Hint(),
    losses.Hint(**NAMED),
    losses.LogitsDistillation(),
    losses.LogitsDistillation(1 / 3, from_logits=(True, False), **NAMED),
    losses.MaximumMeanDiscrepancy(),
    losses.MaximumMeanDiscrepancy(True, spatial="keep", **NAMED),
]
REGULARIZERS = [
    START,
    regularizers.StartingPoint(np.float32(0.1), 0.1),
    regularizers.Sum([START, keras.regularizers.L2(TENTH)]),
    regularizers.Sum([regularizers.Sum([START]), "l1"]),
    regularizers.NeuronTransport(KERNEL, 1 / 3, epsilon=TENTH),
    regularizers.FeatureSetTransport(BANK, 1 / 3),
    regularizers.FeatureSetTransport(
        BANK, TENTH, epsilon=1 / 3, points="positions", cost=doubled
    ),
]
LAYERS = [
    FeatureTap(name="tap", dtype="mixed_bfloat16"),
    *(FeaturePenalty(loss, 1 / 3, name="kept") for loss in LOSSES[:5]),
]
PENALTIES = [
    Penalty(LOSSES[1], "a/b", "c", weight=1 / 3, name="near"),
    WeightPenalty("transport", ["a", "b"], epsilon=TENTH, weight=1 / 3),
    Penalty(
        LOSSES[3], "a", weight=keras.optimizers.schedules.CosineDecay(TENTH, 9)
    ),
]
HEAD = layers.Dense(3, name="head")
TASKS = [SourceTask(HEAD, "a/b", "mse", weight=1 / 3, transport=LOSSES[5])]
OBJECTS = [
    *SOLVERS,
    *COSTS.values(),
    *LOSSES,
    *COMPARATORS,
    *REGULARIZERS,
    *LAYERS,
    *PENALTIES,
    *TASKS,
]
# These hold whole networks: they are saved in the tests of their own room.
MODELS = {"SourceModel", "TransferModel"}


def described(instance):
    """The configuration in JSON: what a file would hold."""
    return json.dumps(keras.saving.serialize_keras_object(instance))


def label(instance):
    return type(instance).__name__


def test_every_registered_class_is_here():
    registered = {
        item.__name__
        for name, item in keras.saving.get_custom_objects().items()
        if name.startswith("keras_otreg>") and inspect.isclass(item)
    }
    assert registered == {label(x) for x in OBJECTS} | MODELS


@pytest.mark.parametrize("instance", OBJECTS, ids=label)
def test_an_object_comes_back_from_its_description(instance):
    text = json.loads(described(instance))
    for again in (
        type(instance).from_config(instance.get_config()),
        keras.saving.deserialize_keras_object(text),
    ):
        assert type(again) is type(instance)
        assert described(again) == described(instance)


@keras.saving.register_keras_serializable(package="tests")
class Shifted(losses.Coral):
    """A loss of a user, with an argument of its own."""

    def __init__(self, shift, **kwargs):
        super().__init__(**kwargs)
        self.shift = decode_array(shift)


def test_a_subclass_is_saved_with_its_arguments_and_those_it_passes_on():
    loss = Shifted(BANK, spatial="keep")
    again = keras.saving.deserialize_keras_object(json.loads(described(loss)))
    np.testing.assert_array_equal(again.shift, BANK)
    assert (again.name, again.spatial) == ("shifted", "keep")
    shift = "array(shape=(6, 4), dtype=float32)"
    assert repr(again) == f"Shifted(shift={shift}, spatial='keep')"


def test_the_name_says_the_package_and_the_class():
    for instance in OBJECTS:
        expected = f"keras_otreg>{label(instance)}"
        assert keras.saving.get_registered_name(type(instance)) == expected


def test_the_config_has_the_arguments_of_the_constructor():
    kinds = (*SOLVERS, *LOSSES, *COMPARATORS, *REGULARIZERS, *PENALTIES)
    for instance in kinds:
        parameters = inspect.signature(type(instance)).parameters.values()
        own = {x.name for x in parameters if x.kind is not x.VAR_KEYWORD}
        if any(x.kind is x.VAR_KEYWORD for x in parameters):
            own |= {"name", "reduction", "dtype"}
        assert own <= set(instance.get_config()), instance


def test_describing_and_rebuilding_leaves_the_config_alone():
    for instance in OBJECTS:
        config = instance.get_config()
        before = json.dumps(config, default=repr)
        type(instance).from_config(config)
        assert json.dumps(config, default=repr) == before, instance


@pytest.mark.parametrize("name", COSTS)
def test_costs_are_found_by_name(name):
    cost = COSTS[name]
    for identifier in (name, f"keras_otreg>{name}", cost):
        assert ot.costs.get(identifier) is cost
    assert ot.costs.name_of(cost) == name
    assert ot.costs.name_of(doubled) == "tests>doubled"
    assert ot.costs.get("tests>doubled") is doubled


@pytest.mark.slow
def test_a_loss_that_comes_back_computes_the_same(rng):
    teacher, student = rng.normal(size=(2, 5, 3, 4)).astype("float32")
    # A plan that is given takes no solver, of which each compiles its own.
    for loss in (LOSSES[2], *COMPARATORS):
        again = type(loss).from_config(loss.get_config())
        np.testing.assert_array_equal(
            again(teacher, student), loss(teacher, student), label(loss)
        )


def reloaded(model, path):
    model.save(path / "model.keras")
    return keras.models.load_model(path / "model.keras")


def around(layer, **kwargs):
    """A compiled model around a layer."""
    inputs = keras.Input((5,))
    model = keras.Model(inputs, layer(inputs))
    model.compile(keras.optimizers.SGD(TENTH), **kwargs)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("loss", LOSSES[:4], ids=label)
def test_a_compiled_loss_is_saved_with_the_model(loss, tmp_path, rng):
    model = around(layers.Dense(4), loss=loss)
    again = reloaded(model, tmp_path)
    assert described(again.loss) == described(loss)
    again.fit(rng.normal(size=(6, 5)), rng.normal(size=(6, 4)), verbose=0)


@pytest.mark.slow
@pytest.mark.parametrize("regularizer", [START, *REGULARIZERS[2:5]], ids=label)
def test_a_weight_regulariser_is_saved_with_the_model(regularizer, tmp_path):
    layer = layers.Dense(4, kernel_regularizer=regularizer, name="dense")
    model = around(layer, loss="mse")
    again = reloaded(model, tmp_path)
    found = again.get_layer("dense").kernel_regularizer
    assert described(found) == described(regularizer)
    assert float(model.losses[0]) > 0.0
    np.testing.assert_array_equal(again.losses, model.losses)


@pytest.mark.slow
def test_an_activity_regulariser_is_saved_with_the_model(tmp_path, rng):
    regularizer = regularizers.FeatureSetTransport(BANK, 1 / 3)
    layer = layers.Dense(4, activity_regularizer=regularizer, name="dense")
    model, x = around(layer, loss="mse"), rng.normal(size=(3, 5))
    again = reloaded(model, tmp_path)
    found = again.get_layer("dense").activity_regularizer
    assert described(found) == described(regularizer)
    np.testing.assert_array_equal(again(x), model(x))
    np.testing.assert_array_equal(again.losses, model.losses)


@pytest.mark.parametrize("layer", [LAYERS[0], LAYERS[3]], ids=label)
def test_a_layer_is_saved_with_the_model(layer, tmp_path, rng):
    layer = type(layer).from_config(layer.get_config())
    inputs = keras.Input((4,))
    is_tap = isinstance(layer, FeatureTap)
    outputs = (
        layer(inputs)
        if is_tap
        else layer(keras.ops.flip(inputs, axis=1), inputs)
    )
    model = keras.Model(inputs, outputs)
    again, x = reloaded(model, tmp_path), rng.normal(size=(3, 4))
    assert described(again.get_layer(layer.name)) == described(layer)
    np.testing.assert_array_equal(again(x), model(x))
    np.testing.assert_array_equal(again.losses, model.losses)


@pytest.mark.parametrize(
    "array",
    [
        BANK,
        BANK.T,
        BANK[::2],
        np.float32(0.1),
        np.zeros((3, 0), "float32"),
        np.array([np.nan, np.inf, -0.0, 1e-45], "float32"),
        np.array([1 / 3, 1e-320]),
        np.array([1, 2], ">i4"),
        np.array([True, False]),
        np.asarray(ops.cast([0.1, 0.2], "bfloat16")),
    ],
    ids=lambda x: f"{x.dtype}{list(x.shape)}",
)
def test_an_array_survives_json_bit_by_bit(array):
    again = decode_array(json.loads(json.dumps(encode_array(array))))
    assert again.shape == array.shape
    assert again.dtype == array.dtype.newbyteorder("=")
    native = np.ascontiguousarray(array.astype(again.dtype))
    assert again.tobytes() == native.tobytes()
    again.flat[:1] = 0


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (losses.RepresentationTransport(), "RepresentationTransport()"),
        (
            losses.RepresentationTransport(
                "cosine", solver=ot.Sinkhorn(9), plan="uniform"
            ),
            "RepresentationTransport(cost=Cosine(), plan='uniform', "
            "solver=Sinkhorn(max_iterations=9))",
        ),
        (
            losses.RepresentationTransport(doubled, dtype="float64"),
            "RepresentationTransport(cost=doubled, dtype='float64')",
        ),
        (ot.ProximalPoint(tolerance=0.1), "ProximalPoint(tolerance=0.1)"),
        (
            regularizers.StartingPoint(np.ones((2, 3), "float32"), 0.1),
            "StartingPoint(start=array(shape=(2, 3), dtype=float32), "
            "strength=0.1)",
        ),
        (
            Penalty(losses.Coral(), "a", weight=2.0),
            "Penalty(loss=Coral(), at='a', weight=2.0)",
        ),
    ],
    ids=lambda x: type(x).__name__,
)
def test_a_repr_names_the_class_and_what_is_not_default(made, expected):
    assert repr(made) == expected


def test_no_repr_is_an_address():
    for made in OBJECTS:
        if not isinstance(made, keras.layers.Layer):
            assert " at 0x" not in repr(made)
