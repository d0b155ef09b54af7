"""The parts of a training batch: labelled samples, and others."""

from typing import Any

import keras
from keras import ops

from keras_otreg.features.points import weight_of_samples

# Inputs of a step that carries samples which only the penalties see.
LABELLED, UNLABELLED = "otreg_labelled", "otreg_unlabelled"


def with_extra(labelled: Any, unlabelled: Any) -> dict[str, Any]:
    """Joins labelled inputs and unlabelled ones into the inputs of a step."""
    return {LABELLED: labelled, UNLABELLED: unlabelled}


def split(inputs: Any) -> tuple[Any, Any]:
    """Returns the labelled inputs, and the unlabelled ones or `None`."""
    if isinstance(inputs, dict) and set(inputs) == {LABELLED, UNLABELLED}:
        return inputs[LABELLED], inputs[UNLABELLED]
    return inputs, None


def joined(inputs: Any) -> Any:
    """All inputs of a step, the labelled ones first."""
    labelled, unlabelled = split(inputs)
    if unlabelled is None:
        return labelled
    return keras.tree.map_structure(
        lambda x, y: ops.concatenate([x, y], axis=0), labelled, unlabelled
    )


def batch_size(inputs: Any) -> Any:
    """How many samples some inputs hold."""
    return ops.shape(keras.tree.flatten(inputs)[0])[0]


def labelled_part(predictions: Any, inputs: Any) -> Any:
    """The predictions for the labelled inputs of a step."""
    labelled, unlabelled = split(inputs)
    if unlabelled is None:
        return predictions
    size = batch_size(labelled)
    return keras.tree.map_structure(lambda x: x[:size], predictions)


def penalty_weights(sample_weight: Any, inputs: Any) -> Any:
    """What each sample of a step counts for in the penalties.

    Args:
        sample_weight: What `fit` was given: weights of shape `(batch, ...)`,
            averaged over all axes but the first, or a structure of them, one
            for each output, averaged too.
        inputs: Inputs of the step. Unlabelled ones count 1 each.

    Returns:
        Weights of shape `(samples,)`, or `None` where all count the same.
    """
    given = [x for x in keras.tree.flatten(sample_weight) if x is not None]
    if not given:
        return None
    weights = [ops.cast(weight_of_samples(x), "float32") for x in given]
    weights = sum(weights) / len(given)
    _, unlabelled = split(inputs)
    if unlabelled is None:
        return weights
    others = ops.ones((batch_size(unlabelled),), dtype=weights.dtype)
    return ops.concatenate([weights, others], axis=0)
