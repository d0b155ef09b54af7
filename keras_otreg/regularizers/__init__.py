"""Regularisers for existing Keras layers and models."""

from keras_otreg.regularizers.feature_set_transport import FeatureSetTransport
from keras_otreg.regularizers.starting_points import (
    NeuronTransport,
    StartingPoint,
    Sum,
    add_starting_point,
)

__all__ = [
    "FeatureSetTransport",
    "NeuronTransport",
    "StartingPoint",
    "Sum",
    "add_starting_point",
]
