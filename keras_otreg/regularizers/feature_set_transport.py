"""An activity regulariser towards a stored set of activations."""

from typing import Any

import keras
from keras import ops

from keras_otreg import checks
from keras_otreg.features.points import positions_as_points, samples_as_points
from keras_otreg.ot import Sinkhorn, costs
from keras_otreg.ot.numerics import at_least_float32
from keras_otreg.ot.objectives import relative_divergence, uniform_weights
from keras_otreg.saving import Configurable, decode_array, export

POINTS = ("positions", "samples")


@export
class FeatureSetTransport(Configurable, keras.regularizers.Regularizer):
    """Keeps a layer's activations near a stored set of reference activations.

    The penalty is `strength` times the Sinkhorn divergence between the
    activations on the batch and the reference. It needs no teacher while
    training, and no wrapper: use it as `activity_regularizer=`.

    Args:
        reference: Activations of shape `(n, ..., units)`, for example those
            of the pretrained network on some samples.
        strength: Factor of the penalty, which does not depend on the batch
            size.
        epsilon: Entropic strength in units of the mean cost.
        points: `"samples"` compares samples, averaged over positions;
            `"positions"` compares all positions of all samples.
        cost: Name of a cost in `keras_otreg.ot.costs`, or a cost function.

    Example:
        ```python
        near = FeatureSetTransport(bank, strength=0.1)
        layer = keras.layers.Dense(64, activity_regularizer=near)
        ```

    References:
        Feydy et al., "Interpolating between optimal transport and MMD using
        Sinkhorn divergences" (2019).
    """

    def __init__(
        self,
        reference: Any,
        strength: float,
        epsilon: float = 0.05,
        points: str = "samples",
        cost: Any = "squared_euclidean",
    ):
        name, reference = "reference", decode_array(reference)
        self.reference = checks.finite_array(reference, name, least_rank=2)
        self.strength = checks.non_negative(strength, "strength")
        self.epsilon = checks.positive(epsilon, "epsilon")
        self.points = checks.one_of(points, POINTS, "points")
        self.cost = costs.get(cost)

    def __call__(self, x):
        """The penalty of activations of shape `(batch, ..., units)`."""
        y = self._as_points(at_least_float32(x))
        reference = ops.convert_to_tensor(self.reference, dtype=y.dtype)
        reference = self._as_points(reference)
        checks.equal_features(reference.shape, y.shape)
        settings = self.cost, self.epsilon, Sinkhorn()
        weights = uniform_weights(reference), uniform_weights(y)
        value = relative_divergence(reference, y, *settings, *weights)
        # Keras divides activity penalties by the batch size since 3.14.
        version = tuple(map(int, keras.version().split(".")[:2]))
        size = ops.cast(ops.shape(x)[0], y.dtype) if version >= (3, 14) else 1.0
        return self.strength * value * size

    def get_config(self):
        """Return the constructor's arguments."""
        return {**super().get_config(), "cost": costs.name_of(self.cost)}

    def _as_points(self, activations):
        if self.points == "samples":
            return samples_as_points(activations)
        sets = positions_as_points(activations)
        return ops.reshape(sets, (-1, sets.shape[-1]))
