"""Networks that are read, and never trained."""

from typing import Any

import keras

from keras_otreg import checks
from keras_otreg.features.taps import capture
from keras_otreg.models import batch


class FrozenNetwork:
    """Holds a model out of sight of the tracking of Keras.

    A tracked model would become part of its owner: its weights trainable, its
    regularisers counted, its `trainable` flags set with the owner's. The
    caller's model must stay as it is.
    """

    def __init__(self, model: keras.Model):
        self.model = model

    def activations(self, inputs: Any, paths: list[str]) -> dict[str, Any]:
        """Constant activations of some layers, in inference mode."""
        _, found = capture(self.model, inputs, paths, training=False)
        return keras.tree.map_structure(keras.ops.stop_gradient, found)

    def target_activations(
        self, parts: batch.Parts, paths: list[str]
    ) -> dict[str, Any]:
        """Constant activations for all target samples of a step.

        The model runs only if the inputs do not carry its activations.
        """
        known = batch.joined_known(parts)
        if known is not None:
            return checks.carried_layers(known, paths)
        # The source samples are none of the penalties' business.
        seen = batch.joined(parts._replace(source=None))
        return self.activations(seen, paths)


def frozen_copy(model: keras.Model) -> keras.Model:
    """Copies a model as it is now.

    Args:
        model: A built `keras.Model`.

    Returns:
        A model of the same architecture, with equal weights of its own.

    Raises:
        ValueError: If the model cannot be copied.
    """
    try:
        copy = keras.models.clone_model(model)
        if not copy.built:
            copy.build_from_config(model.get_build_config())
        copy.set_weights(model.get_weights())
    except Exception as error:
        raise checks.uncopied_model(model.name, error) from error
    copy.trainable = False
    return copy
