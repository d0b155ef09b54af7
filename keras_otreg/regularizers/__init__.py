"""Regularisers for existing Keras layers and models."""

from keras_otreg.regularizers.add_starting_point import add_starting_point
from keras_otreg.regularizers.feature_set_transport import FeatureSetTransport
from keras_otreg.regularizers.neuron_transport import NeuronTransport
from keras_otreg.regularizers.starting_point import StartingPoint, Sum

__all__ = [
    "FeatureSetTransport",
    "NeuronTransport",
    "StartingPoint",
    "Sum",
    "add_starting_point",
]
