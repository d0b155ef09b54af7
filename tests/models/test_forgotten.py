"""What a model leaves in the process once nobody has it any more."""

import collections
import gc

import keras
import pytest

import keras_otreg as otreg

pytestmark = [pytest.mark.tensorflow, pytest.mark.compiled]


def graphs():
    """How many graphs of TensorFlow there are, by name."""
    from tensorflow.python.framework import func_graph

    gc.collect()
    held = [x for x in gc.get_objects() if isinstance(x, func_graph.FuncGraph)]
    return collections.Counter(graph.name for graph in held)


@pytest.fixture
def lived(samples, compiled):
    """A model is made, used, and forgotten."""
    layers = [
        keras.Input((8,)),
        keras.layers.Dense(6, "relu", name="features"),
        keras.layers.Dense(3, "softmax"),
    ]

    def live(use, model_of, **settings):
        penalties = [
            otreg.Penalty(
                otreg.losses.RepresentationTransport(momentum=0.9),
                at="features",
            )
        ]
        student = keras.Sequential(layers)
        if model_of:
            student = otreg.TransferModel(
                student, penalties=penalties, **settings
            )
        model = compiled(student, run_eagerly=False)
        getattr(model, use)(*samples, verbose=0)

    return live


def gained(live, *arguments, **settings):
    """Names of graphs that are left of a second model like the first."""
    live(*arguments, **settings)
    before = graphs()
    live(*arguments, **settings)
    return graphs() - before


@pytest.mark.release
def test_no_graph_of_an_evaluation_is_left(lived):
    assert not gained(lived, "evaluate", True)


@pytest.mark.release
@pytest.mark.parametrize("policy", ["raise", "skip"])
def test_no_more_of_a_training_is_left_than_by_keras(lived, policy):
    # Keras's optimizer sums gradients over devices, by a function that
    # TensorFlow never forgets, nor the graph of the step around it.
    plain, wrapped = (
        sum(
            count
            for name, count in gained(
                lived, "fit", model_of, on_nonfinite=policy
            ).items()
            if "one_step" in name
        )
        for model_of in (False, True)
    )
    # Keras traces the first step twice, and leaves both graphs.
    assert 2 * wrapped == plain > 0
