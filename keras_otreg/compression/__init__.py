"""Small networks that start as copies of large ones."""

from keras_otreg.compression import channels
from keras_otreg.compression.inheriting import Fit, Inheritance, inherit
from keras_otreg.compression.narrowing import narrow
from keras_otreg.compression.resources import Budget, summary

__all__ = [
    "Budget",
    "Fit",
    "Inheritance",
    "channels",
    "inherit",
    "narrow",
    "summary",
]
