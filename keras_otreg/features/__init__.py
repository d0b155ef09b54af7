"""Activations of named layers, and points made of them."""

from keras_otreg.features.channel_weights import channel_weights
from keras_otreg.features.fingerprint import fingerprint
from keras_otreg.features.points import (
    positions_as_points,
    samples_as_points,
    units_as_points,
)
from keras_otreg.features.taps import capture, summary

__all__ = [
    "capture",
    "channel_weights",
    "fingerprint",
    "positions_as_points",
    "samples_as_points",
    "summary",
    "units_as_points",
]
