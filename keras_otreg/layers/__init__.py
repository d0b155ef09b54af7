"""Layers that a user places in a model."""

from keras_otreg.layers.features import FeaturePenalty, FeatureTap

__all__ = ["FeaturePenalty", "FeatureTap"]
