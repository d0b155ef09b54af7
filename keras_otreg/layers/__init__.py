"""Layers that a user places in a model."""

from keras_otreg.layers.feature_penalty import FeaturePenalty
from keras_otreg.layers.feature_tap import FeatureTap

__all__ = ["FeaturePenalty", "FeatureTap"]
