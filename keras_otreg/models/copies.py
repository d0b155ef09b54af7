"""Networks with all that others have learnt."""

import tempfile

import keras
from keras import ops

from keras_otreg.features.walk import walk
from keras_otreg.models.layer_names import names_of, take_names


def copy_of(
    model: keras.Model, weights: keras.Model | None = None
) -> keras.Model:
    """The same network with a state of its own.

    Args:
        model: A built `keras.Model`, which Keras can clone.
        weights: A network of the same layers, whose state is copied instead.

    Returns:
        A built model that predicts the same. Beside the weights it has what
        layers have learnt by `adapt`: means, vocabularies and bins.
    """
    copy = keras.models.clone_model(model)
    if not copy.built:
        copy.build_from_config(model.get_build_config())
    take_names(copy, names_of(model))
    _take_optional_inputs(copy, model)
    take_state(copy, model if weights is None else weights)
    return copy


def take_state(model: keras.Model, other: keras.Model) -> None:
    """Gives a network the weights of another one, and what it has adapted to.

    Args:
        model: The network that is changed.
        other: One of the same layers.
    """
    model.set_weights(other.get_weights())
    for layer, known in _pairs(model, other):
        if _keeps_more(layer, "load_own_variables"):
            store: dict[str, object] = {}
            known.save_own_variables(store)
            # Their values: two variables may hold one array of JAX, which is
            # gone for both once a step has been given it.
            layer.load_own_variables(
                {key: ops.convert_to_numpy(x) for key, x in store.items()}
            )
        if _keeps_more(layer, "load_assets"):
            with tempfile.TemporaryDirectory() as folder:
                known.save_assets(folder)
                layer.load_assets(folder)


def _pairs(model, other):
    both = [walk(network, into_loops=True) for network in (model, other)]
    return [(x, y) for (_, x), (_, y) in zip(*both, strict=True)]


def _take_optional_inputs(copy, model):
    """Lets inputs be `None` in a copy too, which Keras forgets in a clone."""
    for part, known in [(copy, model), *_pairs(copy, model)]:
        for layer in known.layers if isinstance(known, keras.Model) else ():
            if isinstance(layer, keras.layers.InputLayer) and layer.optional:
                part.get_layer(layer.name).optional = True


def _keeps_more(layer, method):
    """Whether a layer loads in a way of its own, beyond its weights."""
    own, usual = (
        getattr(kind, method, None) for kind in (type(layer), keras.Layer)
    )
    return own is not usual
